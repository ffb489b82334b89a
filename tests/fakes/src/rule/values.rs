//! Types, keys and values of fields.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::validation::is_date;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    Text,
    /// `YYYY-MM-DD`.
    Date,
    /// `YYYY-MM-DD HH:MM:SS`.
    Datetime,
    /// `HH:MM:SS`.
    Time,
    /// A list of strings.
    Multiple,
    /// A JSON document in a string.
    Json,
    /// One value of a list. Only a definition can have this type.
    Single,
}

impl FieldType {
    pub fn from_name(name: &str) -> Option<Self> {
        serde_json::from_value(Value::from(name)).ok()
    }

    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// The reason why a value does not fit this type.
    ///
    /// Assumed: an empty string clears a field of any type. Rule's own client sends it for
    /// "no value", but the effect is not documented.
    pub fn error(self, value: &Value) -> Option<&'static str> {
        if self == Self::Multiple {
            return match value {
                Value::String(text) if text.is_empty() => None,
                Value::Array(list) if list.iter().all(Value::is_string) => None,
                _ => Some("must be a list of strings"),
            };
        }
        let Value::String(text) = value else {
            return Some("must be a string; there is no type for numbers and booleans");
        };
        if text.is_empty() {
            return None;
        }
        let parses = match self {
            Self::Date => is_date(text),
            Self::Datetime => text
                .split_once(' ')
                .is_some_and(|(d, t)| is_date(d) && is_time(t)),
            Self::Time => is_time(text),
            Self::Json => serde_json::from_str::<Value>(text).is_ok(),
            Self::Text | Self::Single | Self::Multiple => true,
        };
        match self {
            _ if parses => None,
            Self::Date => Some("must be a date, YYYY-MM-DD"),
            Self::Datetime => Some("must be a moment, YYYY-MM-DD HH:MM:SS"),
            Self::Time => Some("must be a time, HH:MM:SS"),
            _ => Some("must be JSON in a string"),
        }
    }
}

fn is_time(text: &str) -> bool {
    text.len() == 8 && text.parse::<jiff::civil::Time>().is_ok()
}

/// The group and the name in a field's key. Rule does not document which characters it
/// reserves, so only alphanumeric characters, spaces, `_` and `-` are allowed.
pub(crate) fn split_key(key: &str) -> Result<(&str, &str), &'static str> {
    let usable = |name: &str| {
        !name.trim().is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || " _-".contains(c))
    };
    match key.split_once('.') {
        None => Err("needs a dot between group and name"),
        Some((_, name)) if name.contains('.') => Err("has more than one dot"),
        Some((group, name)) if usable(group) && usable(name) => Ok((group, name)),
        Some(_) => Err("has an empty name or a reserved character"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_must_fit_their_type() {
        use FieldType::*;
        for (kind, value) in [
            (Text, json!("x")),
            (Text, json!("")),
            (Date, json!("2026-01-31")),
            (Date, json!("")),
            (Datetime, json!("2026-01-31 10:00:00")),
            (Time, json!("10:00:00")),
            (Multiple, json!(["a", "b"])),
            (Multiple, json!([])),
            (Multiple, json!("")),
            (Json, json!("{\"a\":1}")),
        ] {
            assert_eq!(kind.error(&value), None, "{kind:?} {value}");
        }
        for (kind, value) in [
            (Text, json!(1)),
            (Text, json!(true)),
            (Text, json!(null)),
            (Text, json!(["x"])),
            (Date, json!("2026-02-31")),
            (Date, json!("31-01-2026")),
            (Date, json!("2026-01-31T10:00:00Z")),
            (Datetime, json!("2026-01-31T10:00:00Z")),
            (Time, json!("10:00")),
            (Multiple, json!("a")),
            (Multiple, json!([1])),
            (Json, json!("{a}")),
            (Json, json!({"a": 1})),
        ] {
            assert!(kind.error(&value).is_some(), "{kind:?} {value}");
        }
    }

    #[test]
    fn keys_have_exactly_one_dot() {
        assert_eq!(split_key("Sesamy_User.ID"), Ok(("Sesamy_User", "ID")));
        for bad in ["", "ID", "a.b.c", ".ID", "User.", "a.b[0]", "a.b\"", "a . "] {
            assert!(split_key(bad).is_err(), "{bad}");
        }
    }
}
