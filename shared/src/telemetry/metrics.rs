//! Metrics in CloudWatch's embedded metric format (EMF).
//!
//! Source: the EMF specification of CloudWatch (documented), its limits too.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The CloudWatch namespace of every metric of this system.
pub const NAMESPACE: &str = "SesamyCrmSync";

/// The dimension that tells stacks in one account apart, and functions from
/// each other. Its value is the name of the Lambda function.
const FUNCTION: &str = "FunctionName";

/// The variable in which Lambda puts the function's name.
const FUNCTION_VARIABLE: &str = "AWS_LAMBDA_FUNCTION_NAME";

/// The most values of one metric that a line may hold.
const MAX_VALUES: usize = 100;

/// The longest value of a dimension, in characters. CloudWatch allows 1,024.
const MAX_DIMENSION: usize = 256;

/// What a metric's values are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Things.
    Count,
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
}

/// Values of metrics that share their dimensions, to be written as one line.
///
/// ```
/// use shared::telemetry::{Metrics, Unit};
///
/// Metrics::new()
///     .dimension("Api", "rule")
///     .dimension("Status", "200")
///     .count("ApiCalls", 1)
///     .value("ApiLatency", Unit::Milliseconds, 41.5)
///     .emit();
/// ```
///
/// Every distinct set of dimension values is a metric of its own, and is paid
/// for: they must come from a small fixed choice, so never ids. Dimensions and
/// metrics need different names, because both stand at the top of the line.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    dimensions: BTreeMap<&'static str, Cow<'static, str>>,
    values: BTreeMap<&'static str, (Unit, Vec<f64>)>,
}

impl Metrics {
    /// No values yet; the function's name is their dimension `FunctionName`
    /// where there is one, that is in Lambda.
    pub fn new() -> Self {
        match std::env::var(FUNCTION_VARIABLE) {
            Ok(function) if !function.is_empty() => Self::default().dimension(FUNCTION, function),
            _ => Self::default(),
        }
    }

    /// Adds a dimension. What CloudWatch would refuse in its value becomes `?`;
    /// an empty value becomes `none`.
    #[must_use]
    pub fn dimension(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.dimensions.insert(name, allowed(value.into()));
        self
    }

    /// Adds a number of things.
    #[must_use]
    pub fn count(self, name: &'static str, things: u32) -> Self {
        self.value(name, Unit::Count, things.into())
    }

    /// Adds a value. Several of one name are all told, in the unit of the
    /// first. One that is no finite number is left out.
    #[must_use]
    pub fn value(mut self, name: &'static str, unit: Unit, value: f64) -> Self {
        if value.is_finite() {
            let (_, values) = self.values.entry(name).or_insert((unit, Vec::new()));
            values.push(value);
        }
        self
    }

    /// Writes the metrics to stdout, as lines of their own beside the log.
    pub fn emit(&self) {
        let mut stdout = std::io::stdout().lock();
        for line in self.lines(Timestamp::now()) {
            // Nobody is left to be told when stdout is gone.
            let _ = writeln!(stdout, "{line}");
        }
    }

    /// The lines in EMF: one, or more where a metric has more values than a line may hold.
    fn lines(&self, at: Timestamp) -> Vec<String> {
        let most = self.values.values().map(|(_, values)| values.len()).max();
        (0..most.unwrap_or(0).div_ceil(MAX_VALUES))
            .map(|part| self.line(at, part).to_string())
            .collect()
    }

    /// The `part`th hundred of every metric's values.
    fn line(&self, at: Timestamp, part: usize) -> Value {
        let mut line = Map::new();
        let mut metrics = Vec::new();
        for (name, (unit, values)) in &self.values {
            if let Some(values) = values.chunks(MAX_VALUES).nth(part) {
                metrics.push(json!({ "Name": name, "Unit": unit }));
                let told = match values {
                    [value] => json!(value),
                    values => json!(values),
                };
                line.insert((*name).to_owned(), told);
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
    /// What the lines tell, beside what CloudWatch needs to read them.
    pub(crate) fn told(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        for line in self.lines(Timestamp::UNIX_EPOCH) {
            let mut line: Value = serde_json::from_str(&line).unwrap();
            line.as_object_mut().unwrap().remove("_aws");
            lines.push(line);
        }
        lines
    }
}

/// A dimension's value as CloudWatch takes it: printable ASCII, not blank, not too long.
fn allowed(value: Cow<'static, str>) -> Cow<'static, str> {
    let printable = |c: char| c.is_ascii_graphic() || c == ' ';
    if value.trim().is_empty() {
        "none".into()
    } else if value.len() <= MAX_DIMENSION && value.chars().all(printable) {
        value
    } else {
        let mended = value.chars().take(MAX_DIMENSION);
        mended
            .map(|c| if printable(c) { c } else { '?' })
            .collect::<String>()
            .into()
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
    fn metrics_of_the_same_dimensions_are_one_line() {
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
    fn without_values_nothing_is_written() {
        let metrics = Metrics::default()
            .dimension("Outcome", "accepted")
            .value("Lag", Unit::Seconds, f64::NAN)
            .value("Lag", Unit::Seconds, f64::INFINITY);
        assert_eq!(lines(&metrics), [] as [Value; 0]);
    }

    #[test]
    fn more_than_a_hundred_values_take_several_lines() {
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
    fn a_dimension_holds_what_cloudwatch_takes() {
        let long = "x".repeat(300);
        let cases = [
            ("accepted", "accepted"),
            ("", "none"),
            (" \n", "none"),
            ("a\nå", "a??"),
            (long.as_str(), &long[..256]),
        ];
        for (value, expected) in cases {
            assert_eq!(allowed(value.to_owned().into()), expected);
        }
    }
}
