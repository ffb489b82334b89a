//! What the body of an error tells, read without keeping the rest of it.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What the body of an error tells.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    /// The API's own word for the error, from the places where the APIs put it:
    /// `error`, `error.code`, `code`.
    pub(super) code: Option<String>,
    /// How long to wait: `error.retry_after`, `retry_after`, in seconds.
    pub(super) retry_after: Option<Duration>,
}

impl Told {
    /// Reads a body. What is no JSON tells nothing.
    pub(super) fn read(body: &[u8]) -> Self {
        let Ok(Part::Object(outer)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let (error, inner) = match outer.error.map(|part| *part) {
            Some(Part::Object(inner)) => (None, *inner),
            other => (other, Fields::default()),
        };
        // An `error` that is an object without a code has none.
        let text = |part: Option<Box<Part>>| match part.map(|part| *part) {
            Some(Part::Text(text)) => Some(text),
            _ => None,
        };
        let code = text(inner.code)
            .or(text(error.map(Box::new)))
            .or(text(outer.code));
        let stated = inner.retry_after.or(outer.retry_after);
        Self {
            code: code.filter(|code| is_plain(code)),
            retry_after: stated.and_then(|part| part.seconds()),
        }
    }
}

/// Whether a word is a plain identifier. Free text may name a person.
fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '-');
    !word.is_empty() && word.len() <= 64 && word.chars().all(plain)
}

/// Seconds, as a text.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A value of which no more is kept than an error may tell.
enum Part {
    Text(String),
    Number(f64),
    Object(Box<Fields>),
    Other,
}

#[derive(Default)]
struct Fields {
    error: Option<Box<Part>>,
    code: Option<Box<Part>>,
    retry_after: Option<Box<Part>>,
}

impl Part {
    fn seconds(&self) -> Option<Duration> {
        match self {
            Self::Number(number) => Duration::try_from_secs_f64(*number).ok(),
            Self::Text(text) => seconds(text),
            Self::Object(_) | Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
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

    #[expect(clippy::cast_precision_loss, reason = "a wait is no longer than that")]
    fn visit_i64<E>(self, number: i64) -> Result<Part, E> {
        Ok(Part::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "a wait is no longer than that")]
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
            *field = Some(Box::new(object.next_value()?));
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
            assert_eq!(Told::read(body.as_bytes()).code.as_deref(), code, "{body}");
        }
    }

    #[test]
    fn a_wait_is_taken_from_an_error_body_as_number_or_text() {
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
            let told = Told::read(body.as_bytes()).retry_after;
            assert_eq!(told, seconds.map(Duration::from_secs), "{body}");
        }
    }
}
