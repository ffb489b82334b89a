//! The checks of JSON bodies that all CRMs share.

use serde_json::{Map, Value};

use crate::rejection::Rejection;

/// Tags with this prefix belong to the integration, all others to the publisher.
const OWN_PREFIX: &str = "sesamy_";

/// In characters. The integration's tags stay within this limit. The CRMs do not document
/// theirs.
pub(crate) const MAX_TAG_LENGTH: usize = 99;

/// Whether a tag belongs to the publisher.
pub(crate) fn is_foreign(tag: &str) -> bool {
    tag != "sesamy" && !tag.starts_with(OWN_PREFIX)
}

/// Whether two names mean the same tag. `fold` ignores letter case.
pub(crate) fn same_tag(a: &str, b: &str, fold: bool) -> bool {
    a == b || fold && a.to_lowercase() == b.to_lowercase()
}

/// Pairs of a field and a message.
#[derive(Default, Debug)]
pub(crate) struct FieldErrors(pub Vec<(String, String)>);

impl FieldErrors {
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push((field.into(), message.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_result(self) -> Result<(), Rejection> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Rejection::Invalid(self))
        }
    }

    /// A JSON object with the first error of each field.
    pub fn to_map(&self) -> Value {
        let mut map = Map::new();
        for (field, message) in &self.0 {
            map.entry(field.clone())
                .or_insert_with(|| Value::from(message.clone()));
        }
        Value::Object(map)
    }

    pub fn summary(&self) -> String {
        let lines: Vec<_> = self.0.iter().map(|(f, m)| format!("{f}: {m}")).collect();
        lines.join("; ")
    }
}

pub(crate) fn only(object: &Map<String, Value>, known: &[&str], errors: &mut FieldErrors) {
    for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
        errors.add(key, "unknown field");
    }
}

/// An optional string. `null` is not a string.
pub(crate) fn text<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    errors: &mut FieldErrors,
) -> Option<&'a str> {
    let value = object.get(key)?;
    if value.as_str().is_none() {
        errors.add(key, "must be a string");
    }
    value.as_str()
}

/// A required string that is not blank. Returns an empty string after an error.
pub(crate) fn required_text<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    errors: &mut FieldErrors,
) -> &'a str {
    match object.get(key) {
        None => errors.add(key, "is required"),
        Some(Value::String(value)) if value.trim().is_empty() => {
            errors.add(key, "must not be empty");
        }
        Some(Value::String(value)) => return value,
        Some(_) => errors.add(key, "must be a string"),
    }
    ""
}

pub(crate) fn flag(
    object: &Map<String, Value>,
    key: &str,
    errors: &mut FieldErrors,
) -> Option<bool> {
    let value = object.get(key)?;
    if !value.is_boolean() {
        errors.add(key, "must be true or false");
    }
    value.as_bool()
}

/// The optional list `tags`. A tag that the contact already has may be longer than the
/// limit, so that clients can write back the tags that they read.
pub(crate) fn tag_names(
    object: &Map<String, Value>,
    current: &[String],
    errors: &mut FieldErrors,
) -> Option<Vec<String>> {
    let Value::Array(list) = object.get("tags")? else {
        errors.add("tags", "must be an array of names");
        return None;
    };
    let mut names: Vec<String> = Vec::new();
    for (index, tag) in list.iter().enumerate() {
        let field = format!("tags.{index}");
        let Value::String(name) = tag else {
            errors.add(field, "must be a string");
            continue;
        };
        if name.trim().is_empty() {
            errors.add(field, "is empty");
        } else if name.chars().count() > MAX_TAG_LENGTH && !current.contains(name) {
            errors.add(field, format!("is longer than {MAX_TAG_LENGTH} characters"));
        } else if !names.contains(name) {
            names.push(name.clone());
        }
    }
    Some(names)
}

/// Whether a CRM would accept a text as an e-mail address.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let clean = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "@,;<>".contains(c))
    };
    clean(local)
        && clean(domain)
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
}

/// Whether a text is a valid date in the format `YYYY-MM-DD`.
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_need_one_at_sign_and_a_dotted_domain() {
        for good in ["a@b.se", "a.b+c@d.e.no", "å@ö.se"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "", "a", "a@b", "@b.se", "a b@c.se", "a@b@c.se", "a@.se", "a@b.se.",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn dates_are_existing_days_without_a_time() {
        assert!(is_date("2028-02-29"));
        for bad in [
            "2027-02-29",
            "2027-2-1",
            "20270201",
            "2027-02-01T00:00:00Z",
            "",
        ] {
            assert!(!is_date(bad), "{bad}");
        }
    }

    #[test]
    fn own_tags_have_the_exact_prefix() {
        assert!(!is_foreign("sesamy_x"));
        assert!(!is_foreign("sesamy"));
        assert!(is_foreign("SESAMY_x"));
        assert!(is_foreign("sesamyx"));
    }
}
