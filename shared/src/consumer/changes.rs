//! What a sync writes, as its log line counts it and a preview tells it.

use serde_json::Value;

use crate::derivation::{Reconciliation, Tag};

/// What a sync wrote. Nothing written at all means that the CRM agreed already.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Calls that wrote something.
    pub writes: u32,
    /// Writes the CRM refused that the sync can do without.
    pub refused_writes: u32,
    /// What changed about the reader's contact: one, or one per list where the
    /// vendor has several.
    pub contacts: Vec<ContactChanges>,
}

/// What a sync changed about one contact, as far as it came to know. Holds no
/// personal data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContactChanges {
    /// The list that the contact is on, for a CRM that has a contact per list.
    pub list: Option<String>,
    /// Whether there was no such contact before.
    pub is_new: bool,
    /// Its tags.
    pub tags: TagChanges,
    /// Fields whose value changed, each once.
    pub fields: Vec<FieldChange>,
}

/// What a sync changed about a contact's tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagChanges {
    /// Tags that were made sure of: the contact did not have them, or misspelt.
    pub added: Vec<String>,
    /// Tags that were taken away.
    pub removed: Vec<String>,
    /// How many tags, foreign ones included, stay as they are.
    pub kept: usize,
}

/// A field whose value changed.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// The field as the CRM calls it.
    pub name: &'static str,
    /// To what.
    pub to: NewValue,
}

/// What a field changed to.
#[derive(Debug, Clone, PartialEq)]
pub enum NewValue {
    /// A value that is nobody's secret.
    Shown(Value),
    /// A value about a person, which is not kept here.
    Personal,
    /// No value any more.
    Cleared,
}

impl Changes {
    /// How many tags were made sure of, over all contacts.
    pub fn tags_added(&self) -> usize {
        self.contacts.iter().map(|c| c.tags.added.len()).sum()
    }

    /// How many tags were taken away, over all contacts.
    pub fn tags_removed(&self) -> usize {
        self.contacts.iter().map(|c| c.tags.removed.len()).sum()
    }
}

impl std::ops::AddAssign for Changes {
    fn add_assign(&mut self, other: Self) {
        self.writes += other.writes;
        self.refused_writes += other.refused_writes;
        self.contacts.extend(other.contacts);
    }
}

impl TagChanges {
    /// What a plan changes where those tags are `present`.
    pub fn of(plan: &Reconciliation, present: &[String]) -> Self {
        let added = plan.add.iter().chain(&plan.restore);
        Self {
            added: added.map(Tag::as_str).map(str::to_owned).collect(),
            removed: plan.remove.clone(),
            kept: present.len().saturating_sub(plan.remove.len()),
        }
    }
}

impl FieldChange {
    /// A field that gets a value, which is kept only where it is not `personal`.
    pub fn set(name: &'static str, value: Value, personal: bool) -> Self {
        let to = if personal {
            NewValue::Personal
        } else {
            NewValue::Shown(value)
        };
        Self { name, to }
    }

    /// A field that loses its value.
    pub fn cleared(name: &'static str) -> Self {
        let to = NewValue::Cleared;
        Self { name, to }
    }
}
