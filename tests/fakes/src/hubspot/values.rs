//! The checks of a contact's values.

use serde_json::json;

use super::definitions::Definition;
use crate::validation;

/// In characters, of a text.
const MAX_TEXT: usize = 65_536;

/// A value that HubSpot rejects.
pub(crate) struct InvalidValue {
    name: String,
    error: &'static str,
    message: String,
}

impl InvalidValue {
    pub fn new(name: &str, error: &'static str, message: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            error,
            message: message.into(),
        }
    }
}

/// The message of a 400, which has the reasons as JSON in its text.
pub(crate) fn message(invalid: &[InvalidValue]) -> String {
    let reasons: Vec<_> = invalid
        .iter()
        .map(|invalid| {
            json!({
                "isValid": false,
                "message": invalid.message,
                "error": invalid.error,
                "name": invalid.name,
            })
        })
        .collect();
    format!("Property values were not valid: {}", json!(reasons))
}

pub(crate) fn takes_options(definition: &Definition) -> bool {
    ["enumeration", "bool"].contains(&definition.kind.as_str())
}

/// The value as HubSpot stores it. An empty text clears every property.
pub(crate) fn check(
    definition: &Definition,
    value: &str,
    before: &str,
    fold: bool,
) -> Result<String, InvalidValue> {
    let name = definition.name.as_str();
    let invalid =
        |error, message: &str| Err(InvalidValue::new(name, error, format!("{value} {message}")));
    if definition.read_only {
        return invalid(
            "READ_ONLY_VALUE",
            "cannot be set: the property is read-only",
        );
    }
    if value.is_empty() {
        return Ok(String::new());
    }
    if definition.kind != "string" && value.trim() != value {
        return invalid("LEADING_TRAILING_WHITESPACE", "begins or ends with a blank");
    }
    match definition.kind.as_str() {
        "string" if value.chars().count() > MAX_TEXT => {
            return invalid("PROPERTY_VALUE_TOO_LONG", "is too long");
        }
        "number" if value.parse::<f64>().is_err() => {
            return invalid("INVALID_LONG", "was not a valid number");
        }
        "date" if !validation::is_date(value) && !is_midnight(value) => {
            return invalid("INVALID_DATE", "was not a valid date");
        }
        "datetime"
            if value.parse::<jiff::Timestamp>().is_err() && value.parse::<i64>().is_err() =>
        {
            return invalid("INVALID_DATE", "was not a valid time");
        }
        "bool" if !["true", "false"].contains(&value) => {
            return invalid("INVALID_OPTION", "was not one of the allowed options");
        }
        "enumeration" => return check_options(definition, value, before, fold),
        _ => {}
    }
    Ok(value.to_owned())
}

/// Milliseconds at midnight UTC.
fn is_midnight(value: &str) -> bool {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    value.parse::<i64>().is_ok_and(|ms| ms % DAY == 0)
}

/// A multi-select takes values with semicolons between them. One in front adds to the
/// present values.
fn check_options(
    definition: &Definition,
    value: &str,
    before: &str,
    fold: bool,
) -> Result<String, InvalidValue> {
    let is_multiple = definition.field_type == "checkbox";
    let (mut stored, new): (Vec<String>, &str) = match value.strip_prefix(';') {
        Some(new) if is_multiple => (before.split(';').map(str::to_owned).collect(), new),
        _ => (Vec::new(), value),
    };
    let parts: Vec<&str> = match is_multiple {
        true => new.split(';').collect(),
        false => vec![new],
    };
    for part in parts {
        let mut options = definition.options.iter();
        match options.find(|option| validation::same_tag(&option.value, part, fold)) {
            Some(option) if !stored.contains(&option.value) => stored.push(option.value.clone()),
            Some(_) => {}
            None => {
                let allowed = definition
                    .options
                    .iter()
                    .map(|option| option.value.as_str());
                let allowed: Vec<&str> = allowed.collect();
                let message = format!(
                    "{part} was not one of the allowed options: {}",
                    json!(allowed)
                );
                return Err(InvalidValue::new(
                    &definition.name,
                    "INVALID_OPTION",
                    message,
                ));
            }
        }
    }
    Ok(stored.join(";"))
}
