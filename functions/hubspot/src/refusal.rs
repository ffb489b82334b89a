//! Writes of a contact that HubSpot refuses.

use serde_json::Value;
use shared::connector::Field;
use shared::http::FailedCall;

use crate::mapping::USER_ID;

/// Holds no text of the answer, which may be personal.
#[derive(Debug, Default)]
pub struct Refusal {
    /// The account lacks a property or an option: the definitions were changed, or
    /// are too new.
    pub is_outdated: bool,
    /// The id of the contact that has the address or the user already.
    pub holder: Option<String>,
    /// The properties that HubSpot does not take, if it refuses what the contact says.
    names: Option<Vec<&'static str>>,
}

const EXISTING_ID: &str = "Existing ID:";
const HAS_VALUE: &str = " already has that value";

impl Refusal {
    pub fn read(failed: &FailedCall, sent: &[Field]) -> Self {
        if !matches!(failed.error.status(), Some(400 | 409)) {
            return Self::default();
        }
        // The reasons are a list beside the message, or JSON inside its text.
        let answer: Value = failed.json().unwrap_or_default();
        let message = answer.get("message").and_then(Value::as_str);
        let errors = answer.get("errors").map(Value::to_string);
        let text = [message.unwrap_or_default(), &errors.unwrap_or_default()].join(" ");
        let mut codes = ["PROPERTY_DOESNT_EXIST", "INVALID_OPTION"].into_iter();
        let is_outdated = codes.any(|code| text.contains(code));
        let is_named = |name: &&str| match text.contains(HAS_VALUE) {
            true => *name == USER_ID,
            false => text.contains(&format!("\"{name}\"")),
        };
        let names = sent.iter().map(|field| field.name);
        Self {
            is_outdated,
            holder: holder(&text).map(str::to_owned),
            names: (!is_outdated).then(|| names.filter(is_named).collect()),
        }
    }

    pub fn is_of(&self, field: &Field) -> bool {
        self.names.iter().flatten().any(|name| *name == field.name)
    }

    /// Assumed: a refusal that names no property is the address's. Its text for an
    /// address that was erased for privacy is not documented.
    pub fn is_of_address(&self) -> bool {
        self.names.as_ref().is_some_and(Vec::is_empty)
    }
}

/// The id of another contact, after or before certain words.
fn holder(text: &str) -> Option<&str> {
    let is_other = |c: char| !c.is_ascii_digit();
    let id = match text.split_once(EXISTING_ID) {
        Some((_, after)) => after.trim_start().split(is_other).next(),
        None => text.split_once(HAS_VALUE)?.0.rsplit(is_other).next(),
    };
    id.filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_contact_that_has_the_value() {
        let cases = [
            ("Contact already exists. Existing ID: 101", Some("101")),
            ("Contact already exists. Existing ID:101.", Some("101")),
            ("101 already has that value.", Some("101")),
            ("Cannot set it. 101 already has that value", Some("101")),
            ("Contact already exists.", None),
            ("Contact already exists. Existing ID: anna@example.se", None),
            ("", None),
        ];
        for (message, expected) in cases {
            assert_eq!(holder(message), expected, "{message}");
        }
    }
}
