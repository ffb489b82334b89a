//! Metrics in CloudWatch's embedded metric format (EMF). Format and limits are
//! from CloudWatch's specification (documented).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub const NAMESPACE: &str = "SesamyCrmSync";

/// Distinguishes functions, and the stacks of one account.
const FUNCTION: &str = "FunctionName";

const FUNCTION_VARIABLE: &str = "AWS_LAMBDA_FUNCTION_NAME";

/// For one metric in a line.
const MAX_VALUES: usize = 100;

/// For a dimension's value, in characters. CloudWatch allows 1,024.
const MAX_DIMENSION_LENGTH: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    Count,
    Milliseconds,
    Seconds,
}

/// Metrics with the same dimensions, which are written as one line.
///
/// CloudWatch charges for each distinct set of dimension values, so they must
/// come from a small fixed set: never use ids. Dimensions and metrics need
/// different names, because both are keys of the same object.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    dimensions: BTreeMap<&'static str, Cow<'static, str>>,
    values: BTreeMap<&'static str, (Unit, Vec<f64>)>,
}

impl Metrics {
    /// In Lambda, `FunctionName` is a dimension from the start.
    pub fn new() -> Self {
        match std::env::var(FUNCTION_VARIABLE) {
            Ok(function) if !function.is_empty() => Self::default().dimension(FUNCTION, function),
            _ => Self::default(),
        }
    }

    /// Replaces characters that CloudWatch rejects by `?`, and an empty value
    /// by `none`.
    #[must_use]
    pub fn dimension(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.dimensions.insert(name, sanitized(value.into()));
        self
    }

    #[must_use]
    pub fn count(self, name: &'static str, count: u32) -> Self {
        self.value(name, Unit::Count, count.into())
    }

    /// A metric may have several values, all in the unit of the first. Ignores
    /// values that are not finite.
    #[must_use]
    pub fn value(mut self, name: &'static str, unit: Unit, value: f64) -> Self {
        if value.is_finite() {
            let (_, values) = self.values.entry(name).or_insert((unit, Vec::new()));
            values.push(value);
        }
        self
    }

    pub fn emit(&self) {
        let mut stdout = std::io::stdout().lock();
        for line in self.lines(Timestamp::now()) {
            // Without stdout there is no way to report the error.
            let _ = writeln!(stdout, "{line}");
        }
    }

    /// One line, or more if a metric has more than [`MAX_VALUES`].
    fn lines(&self, at: Timestamp) -> Vec<String> {
        let max = self.values.values().map(|(_, values)| values.len()).max();
        (0..max.unwrap_or(0).div_ceil(MAX_VALUES))
            .map(|part| self.line(at, part).to_string())
            .collect()
    }

    fn line(&self, at: Timestamp, part: usize) -> Value {
        let mut line = Map::new();
        let mut metrics = Vec::new();
        for (name, (unit, values)) in &self.values {
            if let Some(values) = values.chunks(MAX_VALUES).nth(part) {
                metrics.push(json!({ "Name": name, "Unit": unit }));
                let values = match values {
                    [value] => json!(value),
                    values => json!(values),
                };
                line.insert((*name).to_owned(), values);
            }
        }
        for (name, value) in &self.dimensions {
            line.insert((*name).to_owned(), json!(value));
        }
        let names: Vec<_> = self.dimensions.keys().collect();
        line.insert(
            "_aws".to_owned(),
            json!({
                "Timestamp": at.as_millisecond(),
                "CloudWatchMetrics": [
                    { "Namespace": NAMESPACE, "Dimensions": [names], "Metrics": metrics }
                ],
            }),
        );
        Value::Object(line)
    }
}

#[cfg(test)]
impl Metrics {
    /// The lines without CloudWatch's metadata.
    pub(crate) fn emitted(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for line in self.lines(Timestamp::UNIX_EPOCH) {
            let mut line: Value = serde_json::from_str(&line).unwrap();
            line.as_object_mut().unwrap().remove("_aws");
            lines.push(line);
        }
        lines
    }
}

/// CloudWatch accepts printable ASCII that is neither blank nor too long.
fn sanitized(value: Cow<'static, str>) -> Cow<'static, str> {
    let printable = |c: char| c.is_ascii_graphic() || c == ' ';
    if value.trim().is_empty() {
        "none".into()
    } else if value.len() <= MAX_DIMENSION_LENGTH && value.chars().all(printable) {
        value
    } else {
        let characters = value.chars().take(MAX_DIMENSION_LENGTH);
        let replaced = characters.map(|c| if printable(c) { c } else { '?' });
        replaced.collect::<String>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics) -> Vec<Value> {
        let at = "2025-11-10T12:00:00.5Z".parse().unwrap();
        let lines = metrics.lines(at);
        assert!(lines.iter().all(|line| !line.contains('\n')));
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn metrics_with_the_same_dimensions_are_one_line() {
        let metrics = Metrics::default()
            .dimension("Outcome", "accepted")
            .count("Webhooks", 1)
            .value("WebhookDuration", Unit::Milliseconds, 12.5);
        let expected = json!({
            "_aws": {
                "Timestamp": 1_762_776_000_500_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "SesamyCrmSync",
                    "Dimensions": [["Outcome"]],
                    "Metrics": [
                        { "Name": "WebhookDuration", "Unit": "Milliseconds" },
                        { "Name": "Webhooks", "Unit": "Count" },
                    ],
                }],
            },
            "Outcome": "accepted",
            "WebhookDuration": 12.5,
            "Webhooks": 1.0,
        });
        assert_eq!(lines(&metrics), [expected]);
    }

    #[test]
    fn nothing_is_written_without_finite_values() {
        let metrics = Metrics::default()
            .dimension("Outcome", "accepted")
            .value("Lag", Unit::Seconds, f64::NAN)
            .value("Lag", Unit::Seconds, f64::INFINITY);
        assert_eq!(lines(&metrics), [] as [Value; 0]);
    }

    #[test]
    fn more_than_100_values_are_split_over_several_lines() {
        let metrics = (0..250_u32)
            .fold(Metrics::default(), |metrics, value| {
                metrics.value("Latency", Unit::Milliseconds, value.into())
            })
            .count("Calls", 250);
        let lines = lines(&metrics);
        let lengths: Vec<_> = lines
            .iter()
            .map(|line| line["Latency"].as_array().unwrap().len())
            .collect();
        assert_eq!(lengths, [100, 100, 50]);
        assert_eq!(lines[0]["Calls"], 250.0);
        for line in &lines[1..] {
            assert_eq!(line.get("Calls"), None);
            let metrics = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"];
            assert_eq!(
                metrics,
                &json!([{ "Name": "Latency", "Unit": "Milliseconds" }])
            );
        }
    }

    #[test]
    fn dimension_values_are_valid_for_cloudwatch() {
        let long = "x".repeat(300);
        let cases = [
            ("accepted", "accepted"),
            ("", "none"),
            (" \n", "none"),
            ("a\nå", "a??"),
            (long.as_str(), &long[..256]),
        ];
        for (value, expected) in cases {
            assert_eq!(sanitized(value.to_owned().into()), expected);
        }
    }
}
