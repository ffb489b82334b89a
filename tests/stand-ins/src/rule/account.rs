//! What a Rule account holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{errors::ErrorShare, values::FieldType};

/// A subscriber.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Subscriber {
    /// Given by the account; 0 in a preload means "give one".
    #[serde(default)]
    pub id: u64,
    /// The address as it was written first.
    pub email: String,
    /// In international form.
    #[serde(default)]
    pub phone_number: Option<String>,
    /// ISO 639-1.
    #[serde(default)]
    pub language: Option<String>,
    /// Whether the subscriber may be written to.
    #[serde(default = "yes")]
    pub opted_in: bool,
    /// The channels on which the subscriber is suppressed.
    #[serde(default)]
    pub suppressed: Vec<String>,
    /// Whether the subscriber's status is BLOCKED. No flow starts for such a one.
    #[serde(default)]
    pub blocked: bool,
    /// Values by key; a cleared field is not there.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
    /// Tag names, in the order they were added.
    #[serde(default)]
    pub tags: Vec<String>,
    /// When it was made.
    #[serde(default)]
    pub created_at: Timestamp,
    /// When it changed last.
    #[serde(default)]
    pub updated_at: Timestamp,
}

const fn yes() -> bool {
    true
}

impl Subscriber {
    /// An opted-in subscriber with nothing but an address.
    #[must_use]
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

    /// Adds tags.
    #[must_use]
    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.tags.extend(tags.iter().map(|&tag| tag.to_owned()));
        self
    }

    /// Sets a field; it counts as defined, with a type that fits the value.
    #[must_use]
    pub fn field(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.to_owned(), value.into());
        self
    }

    /// Sets the phone number.
    #[must_use]
    pub fn phone(mut self, number: &str) -> Self {
        self.phone_number = Some(number.to_owned());
        self
    }

    /// Blocked.
    #[must_use]
    pub fn blocked(mut self) -> Self {
        self.blocked = true;
        self
    }

    /// Not opted in, and suppressed for e-mail.
    #[must_use]
    pub fn unsubscribed(mut self) -> Self {
        self.opted_in = false;
        self.suppressed.push("email".into());
        self
    }
}

/// Why an automation began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlowCause {
    /// The tag was new to the subscriber.
    NewTag,
    /// `automation: "force"`.
    Force,
    /// `automation: "reset"`.
    Reset,
}

/// The automations of a tag, started for a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Flow {
    /// When.
    pub at: Timestamp,
    /// For whom.
    pub email: String,
    /// The tag.
    pub tag: String,
    /// Why.
    pub cause: FlowCause,
    /// The values of the subscriber's fields at that moment.
    #[serde(default)]
    pub fields: BTreeMap<String, Value>,
}

/// What is not documented and may be either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RuleSettings {
    /// Whether tags that differ by letter case alone are one tag.
    pub fold_tag_case: bool,
    /// Whether removing a tag that is not there is a 404, else a 200.
    pub absent_tag_is_404: bool,
    /// Whether an empty text clears fields of type text alone, and is a 400
    /// for every other type.
    pub empty_clears_text_alone: bool,
    /// The share of failing calls, in percent, at which the key is blocked for
    /// ten minutes; `None` (`null`) for never. Rule's is 49. Off by default,
    /// as a test of refusals fails on purpose.
    pub error_percent_limit: Option<u32>,
}

impl Default for RuleSettings {
    fn default() -> Self {
        Self {
            fold_tag_case: false,
            absent_tag_is_404: true,
            empty_clears_text_alone: false,
            error_percent_limit: None,
        }
    }
}

/// Accounts in a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RuleSeed {
    /// The accounts.
    pub accounts: Vec<RuleAccountSeed>,
}

/// One account in a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleAccountSeed {
    /// The name that requests and violations are listed under.
    pub name: String,
    /// Its key; needed when the account is new.
    #[serde(default)]
    pub api_key: Option<String>,
    /// Undocumented behaviour.
    #[serde(default)]
    pub settings: Option<RuleSettings>,
    /// Fields that are defined, by key.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldType>,
    /// Subscribers to add or replace.
    #[serde(default)]
    pub subscribers: Vec<Subscriber>,
}

/// A defined field.
pub(crate) struct Definition {
    pub id: u64,
    pub group: String,
    pub name: String,
    pub kind: FieldType,
}

impl Definition {
    pub fn key(&self) -> String {
        format!("{}.{}", self.group, self.name)
    }
}

/// A group of fields, or a tag: something with a number and a name.
pub(crate) struct Named {
    pub id: u64,
    pub name: String,
    pub made: Timestamp,
}

/// One account.
#[derive(Default)]
pub(crate) struct Account {
    pub api_key: String,
    pub settings: RuleSettings,
    pub subscribers: BTreeMap<u64, Subscriber>,
    /// Subscriber ids by lower-case address.
    pub by_email: BTreeMap<String, u64>,
    pub groups: Vec<Named>,
    pub fields: Vec<Definition>,
    pub tags: Vec<Named>,
    pub flows: Vec<Flow>,
    pub errors: ErrorShare,
    next_id: u64,
}

impl Account {
    pub fn apply(&mut self, seed: RuleAccountSeed) {
        if let Some(key) = seed.api_key {
            self.api_key = key;
        }
        if let Some(settings) = seed.settings {
            self.settings = settings;
        }
        for (key, kind) in seed.fields {
            self.define(&key, kind);
        }
        for subscriber in seed.subscribers {
            self.put(subscriber);
        }
    }

    pub fn reset(&mut self) {
        *self = Self {
            api_key: std::mem::take(&mut self.api_key),
            settings: self.settings,
            ..Self::default()
        };
    }

    pub const fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        // Numbers of four digits look like the real thing and are no tag names.
        1_000 + self.next_id
    }

    /// Puts a subscriber as it is, making what it refers to.
    pub fn put(&mut self, mut subscriber: Subscriber) -> u64 {
        let address = subscriber.email.to_lowercase();
        let known = self.by_email.get(&address).copied();
        if subscriber.id == 0 {
            subscriber.id = known.unwrap_or_else(|| self.next_id());
        }
        if let Some(old) = known.filter(|&old| old != subscriber.id) {
            self.subscribers.remove(&old);
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
        // Who has a phone number alone has no address to be found by.
        if !address.is_empty() {
            self.by_email.insert(address, id);
        }
        self.subscribers.insert(id, subscriber);
        id
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

    pub fn definition(&self, key: &str) -> Option<&Definition> {
        let (group, name) = key.split_once('.')?;
        self.fields
            .iter()
            .find(|field| field.group == group && field.name == name)
    }

    /// The types of all fields by key.
    pub fn definitions(&self) -> BTreeMap<String, FieldType> {
        let typed = |field: &Definition| (field.key(), field.kind);
        self.fields.iter().map(typed).collect()
    }

    /// Defines a field unless it is defined; a key without a dot is ignored.
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
                made: Timestamp::now(),
            });
        }
        let id = self.next_id();
        self.fields.push(Definition {
            id,
            group: group.to_owned(),
            name: name.to_owned(),
            kind,
        });
    }

    /// Whether two tag names are the same tag here.
    pub fn same_tag(&self, a: &str, b: &str) -> bool {
        a == b || self.settings.fold_tag_case && a.to_lowercase() == b.to_lowercase()
    }

    /// The account's spelling of a tag, which is made if it is new.
    pub fn tag(&mut self, name: &str, now: Timestamp) -> String {
        let known = self.tags.iter().find(|tag| self.same_tag(&tag.name, name));
        if let Some(tag) = known {
            return tag.name.clone();
        }
        let id = self.next_id();
        self.tags.push(Named {
            id,
            name: name.to_owned(),
            made: now,
        });
        name.to_owned()
    }

    pub fn tag_id(&self, name: &str) -> Option<u64> {
        self.tags
            .iter()
            .find(|tag| tag.name == name)
            .map(|tag| tag.id)
    }

    pub fn tag_of_id(&self, id: u64) -> Option<&str> {
        self.tags
            .iter()
            .find(|tag| tag.id == id)
            .map(|tag| tag.name.as_str())
    }

    /// The tags of a subscriber as Rule shows them.
    pub fn shown_tags(&self, subscriber: &Subscriber) -> Value {
        let tag = |name: &String| json!({"id": self.tag_id(name), "name": name});
        subscriber.tags.iter().map(tag).collect()
    }

    /// A subscriber as Rule shows it.
    pub fn shown(&self, subscriber: &Subscriber) -> Value {
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
            "tags": self.shown_tags(subscriber),
            "suppressed": subscriber.suppressed,
            "syncAtSegments": [],
        })
    }
}
