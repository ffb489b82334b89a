//! The data of a Rule account.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{error_rate::ErrorRate, values::FieldType};
use crate::validation::same_tag;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Subscriber {
    /// 0 in a preload means a new id.
    #[serde(default)]
    pub id: u64,
    /// In the spelling of the write that set it.
    pub email: String,
    /// In international form.
    #[serde(default)]
    pub phone_number: Option<String>,
    /// ISO 639-1.
    #[serde(default)]
    pub language: Option<String>,
    #[serde(default = "yes")]
    pub opted_in: bool,
    /// The suppressed channels.
    #[serde(default)]
    pub suppressed: Vec<String>,
    /// No flow starts for a blocked subscriber.
    #[serde(default)]
    pub blocked: bool,
    /// By key. A cleared field is absent.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub created_at: Timestamp,
    #[serde(default)]
    pub updated_at: Timestamp,
}

const fn yes() -> bool {
    true
}

impl Subscriber {
    /// A subscriber who has opted in and has only an address.
    pub fn new(email: &str) -> Self {
        Self {
            id: 0,
            email: email.to_owned(),
            phone_number: None,
            language: None,
            opted_in: true,
            suppressed: Vec::new(),
            blocked: false,
            fields: BTreeMap::new(),
            tags: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.tags.extend(tags.iter().map(|&tag| tag.to_owned()));
        self
    }

    /// Sets a field. Storing the subscriber defines the field with a matching type.
    pub fn field(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.to_owned(), value.into());
        self
    }

    pub fn phone(mut self, number: &str) -> Self {
        self.phone_number = Some(number.to_owned());
        self
    }

    pub fn blocked(mut self) -> Self {
        self.blocked = true;
        self
    }

    pub fn unsubscribed(mut self) -> Self {
        self.opted_in = false;
        self.suppressed.push("email".into());
        self
    }
}

/// Why a flow started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowCause {
    NewTag,
    Force,
    Reset,
}

/// A start of a tag's automations for a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Flow {
    pub at: Timestamp,
    pub email: String,
    pub tag: String,
    pub cause: FlowCause,
    /// The subscriber's fields at that moment.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
}

/// Choices for behaviour that Rule does not document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RuleSettings {
    /// Whether tags that differ only in letter case are one tag.
    pub fold_tag_case: bool,
    /// Whether removing an absent tag is a 404. Otherwise it is a 200.
    pub absent_tag_is_404: bool,
    /// Whether an empty string clears only fields of type text and is a 400 for all other
    /// types.
    pub empty_clears_text_alone: bool,
    /// Whether a change of a subscriber's address is a 400, even if the new one is free.
    pub refuse_moves: bool,
    /// The percentage of failed calls that blocks the key for ten minutes. Rule's is 49. Off
    /// by default, because tests provoke failures.
    pub error_percent_limit: Option<u32>,
}

impl Default for RuleSettings {
    fn default() -> Self {
        Self {
            fold_tag_case: false,
            absent_tag_is_404: true,
            empty_clears_text_alone: false,
            refuse_moves: false,
            error_percent_limit: None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleAccountSeed {
    pub name: String,
    /// Required if the account is new.
    #[serde(default)]
    pub api_key: Option<String>,
    #[serde(default)]
    pub settings: Option<RuleSettings>,
    /// The defined fields by key.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldType>,
    #[serde(default)]
    pub subscribers: Vec<Subscriber>,
}

pub(crate) struct FieldDefinition {
    pub id: u64,
    pub group: String,
    pub name: String,
    pub kind: FieldType,
}

impl FieldDefinition {
    pub fn key(&self) -> String {
        format!("{}.{}", self.group, self.name)
    }
}

/// Four digits make the ids look real.
const FIRST_ID: u64 = 1_000;

/// A group of fields, or a tag.
pub(crate) struct Named {
    pub id: u64,
    pub name: String,
    pub created_at: Timestamp,
}

#[derive(Default)]
pub(crate) struct Account {
    pub api_key: String,
    pub settings: RuleSettings,
    pub subscribers: BTreeMap<u64, Subscriber>,
    /// Subscriber ids by lower-case address.
    pub by_email: BTreeMap<String, u64>,
    pub groups: Vec<Named>,
    pub fields: Vec<FieldDefinition>,
    pub tags: Vec<Named>,
    pub flows: Vec<Flow>,
    pub errors: ErrorRate,
    pub next_id: u64,
}

impl Account {
    pub const fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        FIRST_ID + self.next_id
    }

    /// Stores a subscriber unchecked, and creates its tags and fields. Replaces the ones with
    /// the same address or id.
    pub fn put(&mut self, mut subscriber: Subscriber) -> u64 {
        let address = subscriber.email.to_lowercase();
        let known = self.by_email.get(&address).copied();
        if subscriber.id == 0 {
            subscriber.id = known.unwrap_or_else(|| self.next_id());
        }
        self.next_id = self.next_id.max(subscriber.id.saturating_sub(FIRST_ID));
        for old in known.into_iter().chain([subscriber.id]) {
            self.remove(old);
        }
        for (key, value) in &subscriber.fields {
            if self.definition(key).is_none() {
                let kind = if value.is_array() {
                    FieldType::Multiple
                } else {
                    FieldType::Text
                };
                self.define(key, kind);
            }
        }
        subscriber.tags = std::mem::take(&mut subscriber.tags)
            .iter()
            .map(|tag| self.tag(tag, subscriber.created_at))
            .collect();
        let id = subscriber.id;
        // A subscriber may have only a phone number.
        if !address.is_empty() {
            self.by_email.insert(address, id);
        }
        self.subscribers.insert(id, subscriber);
        id
    }

    pub fn remove(&mut self, id: u64) {
        if let Some(removed) = self.subscribers.remove(&id) {
            self.by_email.remove(&removed.email.to_lowercase());
        }
    }

    pub fn by_email(&self, email: &str) -> Option<u64> {
        self.by_email.get(&email.trim().to_lowercase()).copied()
    }

    pub fn by_phone(&self, number: &str) -> Option<u64> {
        self.subscribers
            .values()
            .find(|subscriber| subscriber.phone_number.as_deref() == Some(number))
            .map(|subscriber| subscriber.id)
    }

    pub fn definition(&self, key: &str) -> Option<&FieldDefinition> {
        let (group, name) = key.split_once('.')?;
        self.fields
            .iter()
            .find(|field| field.group == group && field.name == name)
    }

    pub fn definitions(&self) -> BTreeMap<String, FieldType> {
        let fields = self.fields.iter();
        fields.map(|field| (field.key(), field.kind)).collect()
    }

    /// Defines a field if it is new. Ignores a key without a dot.
    pub fn define(&mut self, key: &str, kind: FieldType) {
        let Some((group, name)) = key.split_once('.') else {
            return;
        };
        if self.definition(key).is_some() {
            return;
        }
        if !self.groups.iter().any(|known| known.name == group) {
            let id = self.next_id();
            self.groups.push(Named {
                id,
                name: group.to_owned(),
                created_at: Timestamp::now(),
            });
        }
        let id = self.next_id();
        self.fields.push(FieldDefinition {
            id,
            group: group.to_owned(),
            name: name.to_owned(),
            kind,
        });
    }

    /// The account's spelling of a tag. A new tag is created.
    pub fn tag(&mut self, name: &str, now: Timestamp) -> String {
        let fold = self.settings.fold_tag_case;
        let known = self.tags.iter().find(|tag| same_tag(&tag.name, name, fold));
        if let Some(tag) = known {
            return tag.name.clone();
        }
        let id = self.next_id();
        self.tags.push(Named {
            id,
            name: name.to_owned(),
            created_at: now,
        });
        name.to_owned()
    }

    pub fn tag_of_id(&self, id: u64) -> Option<&str> {
        let tag = self.tags.iter().find(|tag| tag.id == id)?;
        Some(&tag.name)
    }

    pub fn tags_json(&self, subscriber: &Subscriber) -> Value {
        let tag = |name: &String| {
            let tag = self.tags.iter().find(|tag| tag.name == *name);
            json!({"id": tag.map(|tag| tag.id), "name": name})
        };
        subscriber.tags.iter().map(tag).collect()
    }

    pub fn subscriber_json(&self, subscriber: &Subscriber) -> Value {
        json!({
            "id": subscriber.id,
            "email": subscriber.email,
            "phone_number": subscriber.phone_number,
            "custom_identifier": null,
            "language": subscriber.language,
            "opted_in": subscriber.opted_in,
            "status": if subscriber.blocked { "BLOCKED" } else { "ACTIVE" },
            "created_at": subscriber.created_at.to_string(),
            "updated_at": subscriber.updated_at.to_string(),
            "tags": self.tags_json(subscriber),
            "suppressed": subscriber.suppressed,
            "syncAtSegments": [],
        })
    }
}
