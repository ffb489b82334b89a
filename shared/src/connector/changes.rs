//! What a sync writes, for its log line and for previews.

use serde_json::Value;

use super::field::Field;
use super::forget::ForgottenContact;
use crate::derivation::{Tag, TagDiff};
use crate::remembered::ContactReference;

/// No writes means that the CRM already agreed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    pub writes: u32,
    /// Writes that the CRM refused and the sync can do without.
    pub refused_writes: u32,
    /// The contact of the user's earlier address has the new one.
    pub is_moved: bool,
    /// Several for a CRM that has a contact per list.
    pub contacts: Vec<ContactChanges>,
    /// How the CRM knows the contact now.
    pub reference: Option<ContactReference>,
    /// What is left at the user's earlier address, because the CRM had a contact of
    /// the new address already. It may be part of the earlier reference.
    pub left_behind: Option<ContactReference>,
    /// The CRM refuses to move the contact of a user who left it, so there must be no
    /// contact of the new address. The next sync tries again.
    pub keeps_earlier: bool,
}

/// Holds no personal data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContactChanges {
    pub list: Option<String>,
    pub is_new: bool,
    pub is_moved: bool,
    /// The contact of an earlier address, which loses our tags and fields.
    pub is_earlier: bool,
    pub tags: TagChanges,
    pub fields: Vec<FieldChange>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagChanges {
    /// Missing before, or spelled differently.
    pub added: Vec<String>,
    /// The CRM added the desired tags before the sync read those of the contact, so
    /// that `added` lacks them.
    pub added_unseen: bool,
    pub removed: Vec<String>,
    /// Includes foreign tags.
    pub kept: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    pub name: String,
    pub to: NewValue,
}

#[derive(Debug, Clone, PartialEq)]
pub enum NewValue {
    Shown(Value),
    /// Personal data, which is not kept here.
    Personal,
    Cleared,
}

impl Changes {
    /// Adds the changes of the user's contact.
    pub fn push(&mut self, contact: ContactChanges) {
        let is_moved = self.is_moved;
        self.contacts.push(ContactChanges {
            is_moved,
            ..contact
        });
    }

    /// `None` if the sync does not know.
    pub fn tags_added(&self) -> Option<usize> {
        let mut tags = self.contacts.iter().map(|contact| &contact.tags);
        tags.try_fold(0, |count, tags| {
            (!tags.added_unseen).then_some(count + tags.added.len())
        })
    }

    pub fn tags_removed(&self) -> usize {
        self.contacts.iter().map(|c| c.tags.removed.len()).sum()
    }
}

impl ContactChanges {
    pub fn new(is_new: bool, tags: TagChanges, fields: &[Field]) -> Self {
        Self {
            is_new,
            tags,
            fields: fields.iter().map(Field::change).collect(),
            ..Self::default()
        }
    }

    /// What a contact loses when our data is removed from it.
    pub(crate) fn removal(forgotten: ForgottenContact) -> Self {
        let fields = forgotten.fields.removed.iter();
        Self {
            list: forgotten.list,
            is_earlier: true,
            tags: TagChanges {
                removed: forgotten.tags.removed,
                ..TagChanges::default()
            },
            fields: fields.map(|name| FieldChange::cleared(name)).collect(),
            ..Self::default()
        }
    }
}

impl std::ops::AddAssign for Changes {
    fn add_assign(&mut self, other: Self) {
        self.writes += other.writes;
        self.refused_writes += other.refused_writes;
        self.is_moved |= other.is_moved;
        self.contacts.extend(other.contacts);
        self.reference = other.reference.or(self.reference.take());
        self.left_behind = other.left_behind.or(self.left_behind.take());
        self.keeps_earlier |= other.keeps_earlier;
    }
}

impl TagChanges {
    pub fn new(diff: &TagDiff, current: &[String]) -> Self {
        let added = diff.add.iter().chain(&diff.restore);
        Self {
            added: added.map(Tag::as_str).map(str::to_owned).collect(),
            added_unseen: false,
            removed: diff.remove.clone(),
            kept: current.len().saturating_sub(diff.remove.len()),
        }
    }

    /// For a CRM that takes the whole set in one write.
    pub fn between(before: &[String], after: &[String]) -> Self {
        let without = |tags: &[String], others: &[String]| -> Vec<String> {
            let tags = tags.iter().filter(|tag| !others.contains(tag));
            tags.cloned().collect()
        };
        let removed = without(before, after);
        Self {
            added: without(after, before),
            added_unseen: false,
            kept: before.len().saturating_sub(removed.len()),
            removed,
        }
    }
}

impl FieldChange {
    pub fn set(name: &str, value: Value, personal: bool) -> Self {
        let to = if personal {
            NewValue::Personal
        } else {
            NewValue::Shown(value)
        };
        let name = name.to_owned();
        Self { name, to }
    }

    pub fn cleared(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            to: NewValue::Cleared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_sets_share_is_kept() {
        let tags = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
        let before = tags(&["vip", "sesamy_old", "sesamy_a"]);
        let after = tags(&["vip", "sesamy_a", "sesamy_new"]);
        let changes = TagChanges {
            added: tags(&["sesamy_new"]),
            added_unseen: false,
            removed: tags(&["sesamy_old"]),
            kept: 2,
        };
        assert_eq!(TagChanges::between(&before, &after), changes);
    }

    #[test]
    fn added_tags_are_not_counted_where_a_contact_was_not_seen_before() {
        let contact = |added_unseen| ContactChanges {
            tags: TagChanges {
                added: vec!["sesamy_a".to_owned()],
                added_unseen,
                ..TagChanges::default()
            },
            ..ContactChanges::default()
        };
        let count = |contacts: &[bool]| {
            let mut changes = Changes::default();
            contacts
                .iter()
                .for_each(|unseen| changes.push(contact(*unseen)));
            changes.tags_added()
        };
        assert_eq!(count(&[]), Some(0));
        assert_eq!(count(&[false, false]), Some(2));
        assert_eq!(count(&[false, true]), None);
    }
}
