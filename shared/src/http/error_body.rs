//! The few values of an error's body that matter, parsed without keeping the rest.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(Debug, Default, PartialEq)]
pub(super) struct ErrorBody {
    /// The API's own error code, from `error`, `error.code` or `code`.
    pub(super) code: Option<String>,
    /// `error.retry_after` or `retry_after`, in seconds.
    pub(super) retry_after: Option<Duration>,
}

impl ErrorBody {
    /// Has no values if the body is not a JSON object.
    pub(super) fn parse(body: &[u8]) -> Self {
        let Ok(Part::Object(outer)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let (error, inner) = match outer.error {
            Some(Part::Object(inner)) => (None, *inner),
            other => (other, Fields::default()),
        };
        let codes = [inner.code, error, outer.code].into_iter().flatten();
        let retry_after = inner.retry_after.or(outer.retry_after);
        Self {
            code: codes
                .filter_map(Part::into_text)
                .next()
                .filter(|code| is_identifier(code)),
            retry_after: retry_after.and_then(|part| part.seconds()),
        }
    }
}

/// Any other text may hold personal data.
fn is_identifier(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-');
    !text.is_empty() && text.len() <= 64 && text.chars().all(plain)
}

pub(super) fn parse_seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A JSON value, reduced to what [`ErrorBody`] needs.
enum Part {
    Text(String),
    Number(f64),
    Object(Box<Fields>),
    Other,
}

#[derive(Default)]
struct Fields {
    error: Option<Part>,
    code: Option<Part>,
    retry_after: Option<Part>,
}

impl Part {
    fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn seconds(&self) -> Option<Duration> {
        match self {
            Self::Number(number) => Duration::try_from_secs_f64(*number).ok(),
            Self::Text(text) => parse_seconds(text),
            Self::Object(_) | Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Part, E> {
        Ok(Part::Other)
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part::Other)
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 seconds")]
    fn visit_i64<E>(self, number: i64) -> Result<Part, E> {
        Ok(Part::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 seconds")]
    fn visit_u64<E>(self, number: u64) -> Result<Part, E> {
        Ok(Part::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Part, E> {
        Ok(Part::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Part, E> {
        Ok(Part::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Part, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Part::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Part, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = object.next_key::<String>()? {
            let field = match key.as_str() {
                "error" => &mut fields.error,
                "code" => &mut fields.code,
                "retry_after" => &mut fields.retry_after,
                _ => {
                    object.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = Some(object.next_value()?);
        }
        Ok(Part::Object(Box::new(fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_identifiers_are_taken_from_an_error_body() {
        let cases = [
            (r#"{"error":"NotAuthorized"}"#, Some("NotAuthorized")),
            (
                r#"{"error":{"code":"rate_limit_exceeded"}}"#,
                Some("rate_limit_exceeded"),
            ),
            (r#"{"code":"conflict"}"#, Some("conflict")),
            (r#"{"error":{},"code":"conflict"}"#, Some("conflict")),
            (r#"{"error":"anna@example.se is unknown"}"#, None),
            (r#"{"error":"46701234567"}"#, None),
            (r#"{"message":"Anna"}"#, None),
            (r#"{"code":["conflict"]}"#, None),
            (r#"[{"code":"conflict"}]"#, None),
            ("<html>", None),
            ("", None),
        ];
        for (body, code) in cases {
            let parsed = ErrorBody::parse(body.as_bytes());
            assert_eq!(parsed.code.as_deref(), code, "{body}");
        }
    }

    #[test]
    fn a_wait_is_read_from_an_error_body_as_number_or_text() {
        let cases = [
            (r#"{"error":{"retry_after":60}}"#, Some(60)),
            (r#"{"retry_after":"7"}"#, Some(7)),
            (r#"{"error":{"retry_after":1},"retry_after":2}"#, Some(1)),
            (r#"{"error":"busy","retry_after":2}"#, Some(2)),
            (r#"{"retry_after":0}"#, Some(0)),
            (r#"{"retry_after":-1}"#, None),
            (r#"{"retry_after":1e300}"#, None),
            (r#"{"retry_after":"soon"}"#, None),
            (r#"{"retry_after":[5]}"#, None),
        ];
        for (body, seconds) in cases {
            let parsed = ErrorBody::parse(body.as_bytes());
            assert_eq!(
                parsed.retry_after,
                seconds.map(Duration::from_secs),
                "{body}"
            );
        }
    }
}
