//! What a Make.as account holds, as one credential set sees it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A subscriber.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscriber {
    /// Given by the account; 0 in a preload means "give one".
    #[serde(default)]
    pub id: u64,
    /// The address as it was written first.
    pub email: String,
    /// `firstname`, `lastname`, `company`, `phone` and so on, as far as given.
    #[serde(default)]
    pub details: BTreeMap<String, String>,
    /// Values of custom fields by their upper-case key.
    #[serde(default)]
    pub extras: BTreeMap<String, Value>,
    /// Tag names.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The lists the subscriber is on.
    #[serde(default)]
    pub lists: Vec<u64>,
    /// The id in another system.
    #[serde(default)]
    pub external_id: Option<String>,
    /// `active`, `unsubscribed` or `bounce`, for e-mail.
    #[serde(default = "active")]
    pub email_status: String,
    /// The same for mobile.
    #[serde(default = "active")]
    pub phone_status: String,
    /// When it was made.
    #[serde(default)]
    pub date_created: Timestamp,
    /// When it changed last.
    #[serde(default)]
    pub date_updated: Timestamp,
}

fn active() -> String {
    "active".to_owned()
}

impl Subscriber {
    /// An active subscriber that is on no list.
    #[must_use]
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

    /// Sets one of the standard fields.
    #[must_use]
    pub fn detail(mut self, key: &str, value: &str) -> Self {
        self.details.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets a custom field, which counts as defined.
    #[must_use]
    pub fn extra(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extras.insert(key.to_owned(), value.into());
        self
    }

    /// Adds tags.
    #[must_use]
    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.tags.extend(tags.iter().map(|&tag| tag.to_owned()));
        self
    }

    /// Puts the subscriber on a list.
    #[must_use]
    pub fn on_list(mut self, list_id: u64) -> Self {
        self.lists.push(list_id);
        self
    }

    /// Unsubscribed from e-mail.
    #[must_use]
    pub fn unsubscribed(self) -> Self {
        self.email_status("unsubscribed")
    }

    /// Sets the e-mail status.
    #[must_use]
    pub fn email_status(mut self, status: &str) -> Self {
        status.clone_into(&mut self.email_status);
        self
    }
}

/// A product of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// The id the sender gave it.
    pub external_id: String,
    /// The name.
    pub name: String,
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// The id the sender gave it.
    pub external_id: String,
    /// Whose it is.
    pub email: String,
    /// The product.
    pub product_external_id: String,
    /// `YYYY-MM-DD`.
    #[serde(default)]
    pub start_date: Option<String>,
    /// `YYYY-MM-DD`.
    #[serde(default)]
    pub end_date: Option<String>,
    /// The name.
    pub name: String,
    /// `active` or `cancelled`.
    pub status: String,
}

/// How tags stand in answers; clients have seen each of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TagForm {
    /// `["vip"]`
    #[default]
    Names,
    /// `["12"]`, to be looked up in the list of tags.
    Ids,
    /// `[{"id": 12, "title": "vip"}]`
    Objects,
}

/// What is not documented and may be either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MakeSettings {
    /// How tags stand in answers.
    pub tag_form: TagForm,
    /// Whether tags that differ by letter case alone are one tag.
    pub fold_tag_case: bool,
    /// Whether a subscription to a product that is not in the catalogue is
    /// refused. Assumed not: only active products are sent there, while ended
    /// subscriptions are sent too.
    pub refuse_unknown_products: bool,
    /// Whether a 404 has no body at all.
    pub bare_not_found: bool,
    /// Whether a list that is named for a subscriber who unsubscribed or
    /// bounced leaves the status; else it makes them active again, which is
    /// the worse case. The status that a call without one gives is documented
    /// nowhere.
    pub lists_keep_status: bool,
    /// Whether a subscription that is sent again without a date loses the one
    /// it had; else it keeps it.
    pub omitted_dates_clear: bool,
}

/// Credential sets in a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MakeSeed {
    /// The credential sets.
    pub accounts: Vec<MakeAccountSeed>,
}

/// One credential set in a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MakeAccountSeed {
    /// The name that requests and violations are listed under.
    pub name: String,
    /// Its user id; needed when the set is new.
    #[serde(default)]
    pub user_id: Option<String>,
    /// The key that goes with it.
    #[serde(default)]
    pub api_key: Option<String>,
    /// Undocumented behaviour.
    #[serde(default)]
    pub settings: Option<MakeSettings>,
    /// Lists.
    #[serde(default)]
    pub lists: Vec<ListSeed>,
    /// Keys of custom fields, in capitals.
    #[serde(default)]
    pub custom_fields: Vec<String>,
    /// Subscribers to add or replace.
    #[serde(default)]
    pub subscribers: Vec<Subscriber>,
    /// Products to add or replace.
    #[serde(default)]
    pub products: Vec<Product>,
    /// Subscriptions to add or replace.
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
}

/// A list in a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSeed {
    /// Its number.
    pub id: u64,
    /// Its title.
    #[serde(default)]
    pub title: String,
}

/// What one credential set opens.
#[derive(Default)]
pub(crate) struct Account {
    pub user_id: String,
    pub api_key: String,
    pub settings: MakeSettings,
    pub lists: BTreeMap<u64, String>,
    pub custom_fields: Vec<String>,
    /// Tag names; a tag's id is its place, counted from 1.
    pub tags: Vec<String>,
    /// Subscribers by lower-case address.
    pub subscribers: BTreeMap<String, Subscriber>,
    pub products: BTreeMap<String, Product>,
    pub subscriptions: BTreeMap<String, Subscription>,
    last_id: u64,
}

impl Account {
    pub fn apply(&mut self, seed: MakeAccountSeed) {
        if let Some(id) = seed.user_id {
            self.user_id = id;
        }
        if let Some(key) = seed.api_key {
            self.api_key = key;
        }
        if let Some(settings) = seed.settings {
            self.settings = settings;
        }
        for list in seed.lists {
            self.lists.insert(list.id, list.title);
        }
        for key in seed.custom_fields {
            self.define(&key);
        }
        for subscriber in seed.subscribers {
            self.put(subscriber);
        }
        for product in seed.products {
            self.products.insert(product.external_id.clone(), product);
        }
        for subscription in seed.subscriptions {
            let id = subscription.external_id.clone();
            self.subscriptions.insert(id, subscription);
        }
    }

    pub fn reset(&mut self) {
        *self = Self {
            user_id: std::mem::take(&mut self.user_id),
            api_key: std::mem::take(&mut self.api_key),
            settings: self.settings,
            lists: std::mem::take(&mut self.lists),
            ..Self::default()
        };
    }

    pub fn define(&mut self, key: &str) {
        if !self.custom_fields.iter().any(|known| known == key) {
            self.custom_fields.push(key.to_owned());
        }
    }

    /// Puts a subscriber as it is, making what it refers to.
    pub fn put(&mut self, mut subscriber: Subscriber) {
        let address = subscriber.email.to_ascii_lowercase();
        if subscriber.id == 0 {
            let known = self.subscribers.get(&address).map(|known| known.id);
            subscriber.id = known.unwrap_or(self.last_id + 1);
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

    pub fn by_email(&self, email: &str) -> Option<&Subscriber> {
        self.subscribers.get(&email.trim().to_ascii_lowercase())
    }

    pub fn by_id(&self, id: &str) -> Option<&Subscriber> {
        let id: u64 = id.parse().ok()?;
        self.subscribers.values().find(|known| known.id == id)
    }

    pub fn same_tag(&self, a: &str, b: &str) -> bool {
        a == b || self.settings.fold_tag_case && a.to_lowercase() == b.to_lowercase()
    }

    /// The account's spelling of a tag, which is made if it is new. That tags
    /// need not be made first is inferred from clients that never do.
    pub fn tag(&mut self, name: String) -> String {
        let known = self.tags.iter().find(|known| self.same_tag(known, &name));
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
            .map_or(0, |place| place + 1)
    }

    /// A subscriber as Make.as shows it: flat, everything there.
    pub fn shown(&self, subscriber: &Subscriber) -> Value {
        let mut shown = Map::new();
        shown.insert("id".into(), subscriber.id.into());
        shown.insert("email".into(), subscriber.email.clone().into());
        for key in super::subscribers::DETAILS {
            let value = subscriber.details.get(key).cloned();
            shown.insert(key.into(), value.into());
        }
        for key in &self.custom_fields {
            let value = subscriber.extras.get(key).cloned();
            shown.insert(key.clone(), value.into());
        }
        let tags = subscriber
            .tags
            .iter()
            .map(|name| match self.settings.tag_form {
                TagForm::Names => json!(name),
                TagForm::Ids => json!(self.tag_id(name).to_string()),
                TagForm::Objects => json!({"id": self.tag_id(name), "title": name}),
            });
        shown.insert("tags".into(), tags.collect());
        shown.insert("lists".into(), subscriber.lists.clone().into());
        shown.insert("external_id".into(), subscriber.external_id.clone().into());
        shown.insert(
            "email_status".into(),
            subscriber.email_status.clone().into(),
        );
        shown.insert(
            "phone_status".into(),
            subscriber.phone_status.clone().into(),
        );
        let moments = [
            ("date_created", subscriber.date_created),
            ("date_updated", subscriber.date_updated),
        ];
        for (key, moment) in moments {
            shown.insert(key.into(), moment.to_string().into());
        }
        Value::Object(shown)
    }
}
