//! Writes of a contact that HubSpot refuses.

use std::collections::BTreeSet;

use serde_json::Value;
use shared::http::{ApiError, FailedCall};

use crate::client::Properties;
use crate::mapping::{EMAIL, USER_ID};

/// Holds no text of the answer, which may be personal.
#[derive(Debug)]
pub struct Refusal {
    pub error: ApiError,
    /// The account lacks a property or an option: the definitions were changed, or
    /// are too new.
    pub is_outdated: bool,
    /// The id of the contact that has the address or the user already.
    pub holder: Option<String>,
    /// A property without which the write may succeed.
    pub dispensable: Option<&'static str>,
}

const EXISTING_ID: &str = "Existing ID:";
const HAS_VALUE: &str = " already has that value";

impl Refusal {
    pub fn new(failed: &FailedCall, sent: &Properties) -> Self {
        let is_refused = matches!(failed.error.status(), Some(400 | 409));
        let answer = failed.json().filter(|_| is_refused).unwrap_or_default();
        let details = answer.get("errors").and_then(Value::as_array);
        let details = details.into_iter().flatten();
        let texts = |key| {
            details
                .clone()
                .filter_map(move |detail| detail.get(key)?.as_str())
        };
        let message = answer.get("message").and_then(Value::as_str);
        let messages = message
            .into_iter()
            .chain(texts("message"))
            .chain(texts("code"));
        let messages = messages.collect::<Vec<_>>().join("\n");
        let mut names: BTreeSet<String> = texts("in").map(str::to_owned).collect();
        names.extend(invalid_names(message.unwrap_or_default()));
        let is_outdated = ["PROPERTY_DOESNT_EXIST", "INVALID_OPTION"];
        let is_outdated = is_outdated.iter().any(|code| messages.contains(code));
        // Assumed: a refusal that names nothing is the address's. Its text for an
        // address that was erased for privacy is not documented.
        let name = if messages.contains(HAS_VALUE) {
            USER_ID
        } else {
            let mut personal = ["firstname", "lastname", "phone"].into_iter();
            personal.find(|name| names.contains(*name)).unwrap_or(EMAIL)
        };
        let is_dispensable = is_refused && !is_outdated && sent.contains_key(name);
        Self {
            error: failed.error.clone(),
            is_outdated,
            holder: holder(&messages).map(str::to_owned),
            dispensable: is_dispensable.then_some(name),
        }
    }
}

/// The names in a refusal's reasons, which are JSON inside its text.
fn invalid_names(message: &str) -> Vec<String> {
    let json = message.find('[').and_then(|start| message.get(start..));
    let reasons: Option<Vec<Value>> = json.and_then(|json| serde_json::from_str(json).ok());
    let reasons = reasons.unwrap_or_default().into_iter();
    let name = |reason: Value| reason.get("name")?.as_str().map(str::to_owned);
    reasons.filter_map(name).collect()
}

/// The id of another contact, after or before certain words.
fn holder(message: &str) -> Option<&str> {
    let is_other = |c: char| !c.is_ascii_digit();
    let id = match message.split_once(EXISTING_ID) {
        Some((_, after)) => after.trim_start().split(is_other).next(),
        None => message.split_once(HAS_VALUE)?.0.rsplit(is_other).next(),
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

    #[test]
    fn a_refusal_names_properties_inside_its_text() {
        let message = r#"Property values were not valid: [{"isValid":false,"message":"x","error":"INVALID_EMAIL","name":"email"},{"error":"INVALID_DATE"}]"#;
        assert_eq!(invalid_names(message), ["email"]);
        for other in ["", "[", "no list", "[1]", "a [b] c"] {
            assert_eq!(invalid_names(other), [""; 0], "{other}");
        }
    }
}
