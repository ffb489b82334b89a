//! The data of a Make.as account that one set of credentials gives access to.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::validation::same_tag;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscriber {
    /// 0 in a preload means a new id.
    #[serde(default)]
    pub id: u64,
    /// In the spelling of the write that set it.
    pub email: String,
    /// The standard text fields: `firstname`, `lastname`, `company` and so on.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
    /// Values of custom fields by their upper-case key.
    #[serde(default)]
    pub extras: BTreeMap<String, Value>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub lists: Vec<u64>,
    /// The id in another system.
    #[serde(default)]
    pub external_id: Option<String>,
    /// `active`, `unsubscribed` or `bounce`.
    #[serde(default = "active")]
    pub email_status: String,
    #[serde(default = "active")]
    pub phone_status: String,
    #[serde(default)]
    pub date_created: Timestamp,
    #[serde(default)]
    pub date_updated: Timestamp,
}

fn active() -> String {
    "active".to_owned()
}

impl Subscriber {
    pub fn new(email: &str) -> Self {
        Self {
            id: 0,
            email: email.to_owned(),
            details: BTreeMap::new(),
            extras: BTreeMap::new(),
            tags: Vec::new(),
            lists: Vec::new(),
            external_id: None,
            email_status: active(),
            phone_status: active(),
            date_created: Timestamp::UNIX_EPOCH,
            date_updated: Timestamp::UNIX_EPOCH,
        }
    }

    pub fn detail(mut self, key: &str, value: &str) -> Self {
        self.details.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets a custom field. Storing the subscriber defines it.
    pub fn extra(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extras.insert(key.to_owned(), value.into());
        self
    }

    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.tags.extend(tags.iter().map(|&tag| tag.to_owned()));
        self
    }

    pub fn on_list(mut self, list_id: u64) -> Self {
        self.lists.push(list_id);
        self
    }

    pub fn unsubscribed(self) -> Self {
        self.email_status("unsubscribed")
    }

    pub fn email_status(mut self, status: &str) -> Self {
        status.clone_into(&mut self.email_status);
        self
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    pub external_id: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    pub external_id: String,
    /// The subscriber's address.
    pub email: String,
    pub product_external_id: String,
    /// `YYYY-MM-DD`, like `end_date`.
    #[serde(default)]
    pub start_date: Option<String>,
    #[serde(default)]
    pub end_date: Option<String>,
    pub name: String,
    /// `active` or `cancelled`.
    pub status: String,
}

/// The form of tags in responses. Clients have seen each of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TagForm {
    /// `["vip"]`
    #[default]
    Names,
    /// `["12"]`, with ids from the list of tags.
    Ids,
    /// `[{"id": 12, "title": "vip"}]`
    Objects,
}

/// Choices for behaviour that Make.as does not document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MakeSettings {
    pub tag_form: TagForm,
    /// Whether tags that differ only in letter case are one tag.
    pub fold_tag_case: bool,
    /// Whether a subscription to an unknown product is rejected. Assumed not: the catalogue
    /// has only active products, but ended subscriptions are also sent.
    pub refuse_unknown_products: bool,
    /// Whether a 404 has no body.
    pub bare_not_found: bool,
    /// Whether naming a list keeps the status of an unsubscribed or bounced subscriber.
    /// Otherwise it activates the subscriber, which is the worse case.
    pub lists_keep_status: bool,
    /// Whether a change of a subscriber's address is a 422, even if the new one is free.
    pub refuse_moves: bool,
    /// Whether sending a subscription again without a date clears the date.
    pub omitted_dates_clear: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MakeAccountSeed {
    pub name: String,
    /// Required for a new credential set, like the key.
    #[serde(default)]
    pub user_id: Option<String>,
    #[serde(default)]
    pub api_key: Option<String>,
    #[serde(default)]
    pub settings: Option<MakeSettings>,
    #[serde(default)]
    pub lists: Vec<ListSeed>,
    /// Upper-case keys.
    #[serde(default)]
    pub custom_fields: Vec<String>,
    #[serde(default)]
    pub subscribers: Vec<Subscriber>,
    #[serde(default)]
    pub products: Vec<Product>,
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSeed {
    pub id: u64,
    #[serde(default)]
    pub title: String,
}

#[derive(Default)]
pub(crate) struct Account {
    pub user_id: String,
    pub api_key: String,
    pub settings: MakeSettings,
    pub lists: BTreeMap<u64, String>,
    pub custom_fields: Vec<String>,
    /// The id of a tag is its position, from 1.
    pub tags: Vec<String>,
    /// By lower-case address.
    pub subscribers: BTreeMap<String, Subscriber>,
    pub products: BTreeMap<String, Product>,
    pub subscriptions: BTreeMap<String, Subscription>,
    pub last_id: u64,
}

impl Account {
    pub fn define(&mut self, key: &str) {
        if !self.custom_fields.iter().any(|known| known == key) {
            self.custom_fields.push(key.to_owned());
        }
    }

    /// Stores a subscriber unchecked, and creates its tags and fields. Replaces the ones with
    /// the same address or id.
    pub fn put(&mut self, mut subscriber: Subscriber) {
        let address = subscriber.email.to_ascii_lowercase();
        let known = self.subscribers.get(&address).map(|known| known.id);
        if subscriber.id == 0 {
            subscriber.id = known.unwrap_or(self.last_id + 1);
        }
        if known != Some(subscriber.id) && subscriber.id <= self.last_id {
            self.leave_address(subscriber.id, &subscriber.email);
        }
        self.last_id = self.last_id.max(subscriber.id);
        for key in subscriber.extras.keys() {
            self.define(key);
        }
        subscriber.tags = std::mem::take(&mut subscriber.tags)
            .into_iter()
            .map(|tag| self.tag(tag))
            .collect();
        self.subscribers.insert(address, subscriber);
    }

    pub fn remove(&mut self, email: &str) {
        self.subscribers.remove(&email.trim().to_ascii_lowercase());
    }

    pub fn by_email(&self, email: &str) -> Option<&Subscriber> {
        self.subscribers.get(&email.trim().to_ascii_lowercase())
    }

    pub fn by_id(&self, id: u64) -> Option<&Subscriber> {
        self.subscribers.values().find(|known| known.id == id)
    }

    /// The account's spelling of a tag. A new tag is created. Assumed, because clients
    /// never define tags.
    pub fn tag(&mut self, name: String) -> String {
        let fold = self.settings.fold_tag_case;
        let known = self.tags.iter().find(|known| same_tag(known, &name, fold));
        if let Some(known) = known {
            return known.clone();
        }
        self.tags.push(name.clone());
        name
    }

    fn tag_id(&self, name: &str) -> usize {
        self.tags
            .iter()
            .position(|known| known == name)
            .map_or(0, |index| index + 1)
    }

    pub fn subscriber_json(&self, subscriber: &Subscriber) -> Value {
        let tag = |name: &String| match self.settings.tag_form {
            TagForm::Names => json!(name),
            TagForm::Ids => json!(self.tag_id(name).to_string()),
            TagForm::Objects => json!({"id": self.tag_id(name), "title": name}),
        };
        let mut shown = Map::new();
        for key in super::subscribers::DETAILS {
            shown.insert(key.into(), json!(subscriber.details.get(key)));
        }
        for key in &self.custom_fields {
            shown.insert(key.clone(), json!(subscriber.extras.get(key)));
        }
        for (key, value) in [
            ("id", json!(subscriber.id)),
            ("email", json!(subscriber.email)),
            ("tags", subscriber.tags.iter().map(tag).collect()),
            ("lists", json!(subscriber.lists)),
            ("external_id", json!(subscriber.external_id)),
            ("email_status", json!(subscriber.email_status)),
            ("phone_status", json!(subscriber.phone_status)),
            ("date_created", json!(subscriber.date_created.to_string())),
            ("date_updated", json!(subscriber.date_updated.to_string())),
        ] {
            shown.insert(key.into(), value);
        }
        Value::Object(shown)
    }
}
