//! Checks of JSON bodies that every API needs.

use serde_json::{Map, Value};

/// The prefix of every tag the system under test writes. A tag without it
/// belongs to the publisher.
const OWN_PREFIX: &str = "sesamy_";

/// The longest tag that is taken. The limit is the one the tags were designed
/// for; what each CRM itself takes is not documented.
pub(crate) const TAG_LIMIT: usize = 99;

/// Whether a tag is the publisher's own.
pub(crate) fn is_foreign(tag: &str) -> bool {
    tag != "sesamy" && !tag.starts_with(OWN_PREFIX)
}

/// Faults found in a body: the field and what is wrong with it.
#[derive(Default, Debug)]
pub(crate) struct Problems(pub Vec<(String, String)>);

impl Problems {
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push((field.into(), message.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults as a JSON object, the first one of each field.
    pub fn to_map(&self) -> Value {
        let mut map = Map::new();
        for (field, message) in &self.0 {
            map.entry(field.clone())
                .or_insert_with(|| Value::from(message.clone()));
        }
        Value::Object(map)
    }

    /// The faults in one line.
    pub fn summary(&self) -> String {
        let lines: Vec<_> = self.0.iter().map(|(f, m)| format!("{f}: {m}")).collect();
        lines.join("; ")
    }
}

/// Notes every key that is not among the known ones.
pub(crate) fn only(object: &Map<String, Value>, known: &[&str], problems: &mut Problems) {
    for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
        problems.add(key, "unknown field");
    }
}

/// An optional string. `null` is not a string.
pub(crate) fn text<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    problems: &mut Problems,
) -> Option<&'a str> {
    let value = object.get(key)?;
    if value.as_str().is_none() {
        problems.add(key, "must be a string");
    }
    value.as_str()
}

/// A string that must be there and not be blank.
pub(crate) fn required_text<'a>(
    object: &'a Map<String, Value>,
    key: &str,
    problems: &mut Problems,
) -> Option<&'a str> {
    match object.get(key) {
        None => problems.add(key, "is required"),
        Some(Value::String(value)) if value.trim().is_empty() => {
            problems.add(key, "must not be empty");
        }
        Some(Value::String(value)) => return Some(value),
        Some(_) => problems.add(key, "must be a string"),
    }
    None
}

/// An optional boolean.
pub(crate) fn flag(
    object: &Map<String, Value>,
    key: &str,
    problems: &mut Problems,
) -> Option<bool> {
    let value = object.get(key)?;
    if !value.is_boolean() {
        problems.add(key, "must be true or false");
    }
    value.as_bool()
}

/// An optional list of tag names, each a usable one.
pub(crate) fn tag_names(
    object: &Map<String, Value>,
    present: &[String],
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let Value::Array(list) = object.get("tags")? else {
        problems.add("tags", "must be an array of names");
        return None;
    };
    let mut names: Vec<String> = Vec::new();
    for (index, tag) in list.iter().enumerate() {
        let field = format!("tags.{index}");
        match tag {
            Value::String(name) if name.trim().is_empty() => problems.add(field, "is empty"),
            // A long tag that is there already must survive a read and write.
            Value::String(name) if name.chars().count() > TAG_LIMIT && !present.contains(name) => {
                problems.add(field, format!("is longer than {TAG_LIMIT} characters"));
            }
            Value::String(name) if names.contains(name) => {}
            Value::String(name) => names.push(name.clone()),
            _ => problems.add(field, "must be a string"),
        }
    }
    Some(names)
}

/// Whether a text is an e-mail address as far as a CRM would check it.
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

/// Whether a text is a real day written `YYYY-MM-DD`.
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails_and_dates() {
        for good in ["a@b.se", "a.b+c@d.e.no", "å@ö.se"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "", "a", "a@b", "@b.se", "a b@c.se", "a@b@c.se", "a@.se", "a@b.se.",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
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
    fn own_tags_are_those_with_the_exact_prefix() {
        assert!(!is_foreign("sesamy_x"));
        assert!(!is_foreign("sesamy"));
        assert!(is_foreign("SESAMY_x"));
        assert!(is_foreign("sesamyx"));
    }
}
