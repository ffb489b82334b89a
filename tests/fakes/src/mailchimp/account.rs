//! The data of a Mailchimp account.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::merge_fields::{FieldKind, MergeField};
use crate::validation::same_tag;

/// The consent of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    #[default]
    Subscribed,
    Unsubscribed,
    /// Mails to the address bounced.
    Cleaned,
    /// Has not confirmed the subscription yet.
    Pending,
    /// Never subscribed.
    Transactional,
    /// Only in answers.
    Archived,
}

/// A member's activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub name: String,
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    #[serde(default)]
    pub occurred_at: String,
    /// Such an event starts no automation.
    #[serde(default)]
    pub is_syncing: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// In the spelling of the write that set it.
    pub email_address: String,
    /// Stays the same when the address changes. Chosen when an empty one is stored.
    #[serde(default)]
    pub contact_id: String,
    #[serde(default)]
    pub status: Status,
    /// By tag. A merge field without a value is absent.
    #[serde(default)]
    pub merge_fields: BTreeMap<String, Value>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub events: Vec<Event>,
}

impl Member {
    pub fn new(email: &str) -> Self {
        Self {
            email_address: email.to_owned(),
            ..Self::default()
        }
    }

    pub const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Sets a merge field. Storing the member defines it with a matching type.
    pub fn field(mut self, tag: &str, value: impl Into<Value>) -> Self {
        self.merge_fields.insert(tag.to_owned(), value.into());
        self
    }

    pub fn names(self, first: &str, last: &str) -> Self {
        self.field("FNAME", first).field("LNAME", last)
    }

    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.tags.extend(tags.iter().map(|&tag| tag.to_owned()));
        self
    }
}

/// Choices for behaviour that Mailchimp does not document, and for plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MailchimpSettings {
    /// How many merge fields an audience may have.
    pub merge_field_limit: usize,
    /// Whether answers name that limit. Newer ones do.
    pub shows_limit: bool,
    /// Whether a merge field above the limit is answered as if it were created.
    /// Otherwise it is a 400.
    pub hides_limit: bool,
    /// Whether a change of a subscribed member's address is a 400, even if the new
    /// one is free.
    pub refuse_moves: bool,
    /// Whether an event of a member that is not subscribed is a 400.
    pub refuse_events: bool,
    /// Whether the answer to a refused address names it in `errors`.
    pub names_refused_address: bool,
}

impl Default for MailchimpSettings {
    fn default() -> Self {
        Self {
            merge_field_limit: 30,
            shows_limit: true,
            hides_limit: false,
            refuse_moves: false,
            refuse_events: false,
            names_refused_address: false,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MailchimpAccountSeed {
    pub name: String,
    /// Required if the account is new.
    #[serde(default)]
    pub api_key: Option<String>,
    #[serde(default)]
    pub settings: Option<MailchimpSettings>,
    #[serde(default)]
    pub audiences: Vec<AudienceSeed>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AudienceSeed {
    pub id: String,
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub merge_fields: Vec<MergeField>,
    #[serde(default)]
    pub members: Vec<Member>,
    /// Addresses whose members were deleted for ever.
    #[serde(default)]
    pub forgotten: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Account {
    pub api_key: String,
    pub settings: MailchimpSettings,
    pub audiences: BTreeMap<String, Audience>,
    /// Of the members, in all audiences.
    pub last_contact_id: u64,
}

/// A list, as the API calls it.
pub(crate) struct Audience {
    pub id: String,
    pub name: String,
    pub merge_fields: Vec<MergeField>,
    /// Every tag that a member ever had, in its first spelling. The position makes the id.
    pub tags: Vec<String>,
    /// By lower-case address.
    pub members: BTreeMap<String, Member>,
    /// Lower-case addresses whose members were deleted for ever.
    pub forgotten: BTreeSet<String>,
}

pub(crate) fn key(email: &str) -> String {
    email.trim().to_ascii_lowercase()
}

impl Audience {
    pub fn new(id: &str, name: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            merge_fields: MergeField::defaults(),
            tags: Vec::new(),
            members: BTreeMap::new(),
            forgotten: BTreeSet::new(),
        }
    }

    /// Stores a member unchecked, and defines its merge fields.
    pub fn put(&mut self, mut member: Member, new_contact_id: impl FnOnce() -> String) {
        for (tag, value) in &member.merge_fields {
            self.define(tag, FieldKind::of(tag, value));
        }
        if member.contact_id.is_empty() {
            let known = self.members.get(&key(&member.email_address));
            member.contact_id = known.map_or_else(new_contact_id, |known| known.contact_id.clone());
        }
        // A contact has one address.
        self.members
            .retain(|_, known| known.contact_id != member.contact_id);
        for tag in &mut member.tags {
            *tag = self.tag(tag);
        }
        self.members.insert(key(&member.email_address), member);
    }

    /// The audience's spelling of a tag, which it gets if it is new.
    pub fn tag(&mut self, name: &str) -> String {
        if let Some(known) = self.tags.iter().find(|tag| same_tag(tag, name, true)) {
            return known.clone();
        }
        self.tags.push(name.to_owned());
        name.to_owned()
    }

    pub fn tag_id(&self, name: &str) -> usize {
        let position = self.tags.iter().position(|tag| tag == name);
        position.map_or(0, |position| position + 1)
    }

    pub fn definition(&self, tag: &str) -> Option<&MergeField> {
        self.merge_fields.iter().find(|field| field.tag == tag)
    }

    pub fn define(&mut self, tag: &str, kind: FieldKind) {
        if self.definition(tag).is_none() {
            self.merge_fields.push(MergeField::new(tag, kind));
        }
    }

    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "mergeFields": self.merge_fields,
            "tags": self.tags,
            "members": self.members.values().collect::<Vec<_>>(),
        })
    }
}

impl Account {
    /// In hexadecimal, as Mailchimp's are.
    pub fn put(&mut self, audience: &str, member: Member) {
        let last = &mut self.last_contact_id;
        let new_contact_id = || {
            *last += 1;
            format!("c0ffee{last:026x}")
        };
        if let Some(audience) = self.audiences.get_mut(audience) {
            audience.put(member, new_contact_id);
        }
    }
}
