//! How Make.as knows a user's contacts: one id per list. Pure.

use std::collections::BTreeMap;

use shared::connector::ContactReference;

/// Ids of contacts by list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References(BTreeMap<String, String>);

impl References {
    /// A reference of another form has no ids.
    pub fn read(reference: &ContactReference) -> Self {
        Self(serde_json::from_str(reference.as_str()).unwrap_or_default())
    }

    pub fn id(&self, list: &str) -> Option<&str> {
        self.0.get(list).map(String::as_str)
    }

    pub fn add(&mut self, list: &str, id: &str) {
        self.0.insert(list.to_owned(), id.to_owned());
    }

    /// `None` without any id.
    pub fn write(&self) -> Option<ContactReference> {
        let json = serde_json::to_string(&self.0).ok()?;
        (!self.0.is_empty()).then(|| ContactReference::new(json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_written() {
        let mut references = References::default();
        assert_eq!(references.write(), None);
        references.add("77", "5");
        references.add("78", "6");
        let written = references.write().unwrap();
        assert_eq!(written.as_str(), r#"{"77":"5","78":"6"}"#);
        assert_eq!(References::read(&written), references);
        assert_eq!(references.id("79"), None);
        assert_eq!(
            References::read(&ContactReference::new("17")),
            References::default()
        );
    }
}
