//! The data of a Mailmojo account.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::validation::is_date;

/// The status of a contact, as a whole or on one list. The meaning of the
/// one-character codes is inferred from the words in the API's statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    #[default]
    #[serde(rename = "a")]
    Active,
    #[serde(rename = "u")]
    Unsubscribed,
    #[serde(rename = "b")]
    Bounced,
    #[serde(rename = "d")]
    Deleted,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListAssociation {
    pub list_id: u64,
    #[serde(default)]
    pub status: Status,
    #[serde(default)]
    pub added: Timestamp,
    #[serde(default)]
    pub status_changed: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// In the spelling of the write that set it.
    pub email: String,
    #[serde(default)]
    pub first_name: Option<String>,
    #[serde(default)]
    pub last_name: Option<String>,
    /// A whole name takes precedence over first and last name.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    /// Values of account fields by displayed name. A cleared field is absent.
    #[serde(default)]
    pub custom: BTreeMap<String, Value>,
    #[serde(default)]
    pub status: Status,
    #[serde(default)]
    pub added: Timestamp,
    #[serde(default)]
    pub status_changed: Timestamp,
    #[serde(default)]
    pub list_associations: Vec<ListAssociation>,
}

impl Contact {
    pub fn new(email: &str) -> Self {
        Self {
            email: email.to_owned(),
            ..Self::default()
        }
    }

    pub fn on_list(mut self, list_id: u64, status: Status) -> Self {
        self.list_associations.push(ListAssociation {
            list_id,
            status,
            added: Timestamp::UNIX_EPOCH,
            status_changed: Timestamp::UNIX_EPOCH,
        });
        self
    }

    pub const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    pub fn names(mut self, first: &str, last: &str) -> Self {
        self.first_name = Some(first.to_owned());
        self.last_name = Some(last.to_owned());
        self
    }

    pub fn whole_name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    pub fn phone(mut self, phone: &str) -> Self {
        self.phone = Some(phone.to_owned());
        self
    }

    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.tags.extend(tags.iter().map(|&tag| tag.to_owned()));
        self
    }

    /// Sets an account field. Storing the contact defines the field with a matching type.
    pub fn custom(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.custom.insert(name.to_owned(), value.into());
        self
    }

    /// The status on a list.
    pub fn on(&self, list_id: u64) -> Option<Status> {
        self.list_associations
            .iter()
            .find(|association| association.list_id == list_id)
            .map(|association| association.status)
    }

    /// Whether first and last name are empty and the whole name has two words or more.
    pub(crate) fn has_only_a_whole_name(&self) -> bool {
        let empty = |name: &Option<String>| name.as_ref().is_none_or(|name| name.is_empty());
        let words = self.name.as_deref().unwrap_or_default().split_whitespace();
        empty(&self.first_name) && empty(&self.last_name) && words.count() > 1
    }

    pub(crate) fn base_json(&self) -> Value {
        let both = [self.first_name.as_deref(), self.last_name.as_deref()];
        let joined = both.into_iter().flatten().collect::<Vec<_>>().join(" ");
        json!({
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "name": self.name.clone().unwrap_or(joined),
            "phone": self.phone,
            "tags": self.tags,
            "custom": self.custom,
        })
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut shown = self.base_json();
        let associations: Vec<_> = self
            .list_associations
            .iter()
            .map(|association| {
                json!({
                    "email": self.email,
                    "list_id": association.list_id,
                    "added": association.added.to_string(),
                    "status": association.status,
                    "status_changed": association.status_changed.to_string(),
                })
            })
            .collect();
        if let Value::Object(shown) = &mut shown {
            shown.insert("added".into(), self.added.to_string().into());
            shown.insert("status".into(), json!(self.status));
            let changed = self.status_changed.to_string();
            shown.insert("status_changed".into(), changed.into());
            shown.insert("list_associations".into(), associations.into());
        }
        shown
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    Text,
    Boolean,
    Number,
    /// `YYYY-MM-DD`.
    Date,
}

impl FieldKind {
    /// Whether a field of this type accepts a value. `null` clears any field.
    pub(crate) fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null)
            | (Self::Text, Value::String(_))
            | (Self::Boolean, Value::Bool(_))
            | (Self::Number, Value::Number(_)) => true,
            (Self::Date, Value::String(text)) => is_date(text),
            _ => false,
        }
    }

    fn for_value(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            _ => Self::Text,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WriteMode {
    /// A write drops every value that it does not name.
    Replace,
    Merge,
}

/// Whether account fields can be listed and defined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FieldsEndpoint {
    /// With the scope for it.
    #[default]
    Open,
    /// Every call gets this status, and values of unknown fields are dropped
    /// without an error.
    Refused(u16),
}

/// Choices for behaviour that Mailmojo does not document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MailmojoSettings {
    pub tags: WriteMode,
    /// For account fields, by key.
    pub custom: WriteMode,
    pub fields: FieldsEndpoint,
    /// Whether a value of an unknown field is dropped without an error even if fields can
    /// be defined. Otherwise it is a 400.
    pub drop_unknown_fields: bool,
    /// Whether adding an unsubscribed contact to a list without force is a 400. Otherwise
    /// it is a 201 that changes no status.
    pub refuse_unsubscribed: bool,
    /// Whether a change of a contact's address is a 400, even if the new one is free.
    pub refuse_moves: bool,
    /// Whether tags that differ only in letter case are one tag.
    pub fold_tag_case: bool,
}

impl Default for MailmojoSettings {
    fn default() -> Self {
        Self {
            tags: WriteMode::Replace,
            custom: WriteMode::Merge,
            fields: FieldsEndpoint::Open,
            drop_unknown_fields: false,
            refuse_unsubscribed: true,
            refuse_moves: false,
            fold_tag_case: false,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MailmojoAccountSeed {
    pub name: String,
    /// Required if the account is new.
    #[serde(default)]
    pub token: Option<String>,
    /// By default every scope that a sync needs.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    #[serde(default)]
    pub settings: Option<MailmojoSettings>,
    #[serde(default)]
    pub lists: Vec<ListSeed>,
    /// The defined account fields by displayed name.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldKind>,
    #[serde(default)]
    pub contacts: Vec<Contact>,
    /// Addresses that every list rejects.
    #[serde(default)]
    pub kept_out: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSeed {
    pub id: u64,
    #[serde(default)]
    pub name: String,
}

pub(crate) struct FieldDefinition {
    pub id: u64,
    pub name: String,
    pub kind: FieldKind,
}

pub(crate) struct Account {
    pub token: String,
    pub scopes: Vec<String>,
    pub settings: MailmojoSettings,
    pub lists: BTreeMap<u64, String>,
    pub fields: Vec<FieldDefinition>,
    /// By lower-case address.
    pub contacts: BTreeMap<String, Contact>,
    /// Lower-case addresses that every list rejects with a 400, for example after a
    /// complaint. They need not have a contact.
    pub kept_out: BTreeSet<String>,
}

impl Default for Account {
    fn default() -> Self {
        let scopes = ["contacts", "subscribe", "lists:read", "account_settings"];
        Self {
            token: String::new(),
            scopes: scopes.map(str::to_owned).to_vec(),
            settings: MailmojoSettings::default(),
            lists: BTreeMap::new(),
            fields: Vec::new(),
            contacts: BTreeMap::new(),
            kept_out: BTreeSet::new(),
        }
    }
}

impl Account {
    /// Stores a contact unchecked, and defines its fields.
    pub fn put(&mut self, contact: Contact) {
        for (name, value) in &contact.custom {
            self.define(name, FieldKind::for_value(value));
        }
        self.contacts
            .insert(contact.email.to_ascii_lowercase(), contact);
    }

    pub fn keep_out(&mut self, email: &str) {
        self.kept_out.insert(email.to_ascii_lowercase());
    }

    pub fn is_kept_out(&self, email: &str) -> bool {
        self.kept_out.contains(&email.to_ascii_lowercase())
    }

    pub fn remove(&mut self, email: &str) -> Option<Contact> {
        self.contacts.remove(&email.trim().to_ascii_lowercase())
    }

    pub fn contact(&self, email: &str) -> Option<&Contact> {
        self.contacts.get(&email.trim().to_ascii_lowercase())
    }

    pub fn definition(&self, name: &str) -> Option<&FieldDefinition> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub fn define(&mut self, name: &str, kind: FieldKind) -> u64 {
        if let Some(known) = self.definition(name) {
            return known.id;
        }
        let id = self.fields.last().map_or(1, |last| last.id + 1);
        self.fields.push(FieldDefinition {
            id,
            name: name.to_owned(),
            kind,
        });
        id
    }

    pub fn definitions(&self) -> BTreeMap<String, FieldKind> {
        let fields = self.fields.iter();
        fields
            .map(|field| (field.name.clone(), field.kind))
            .collect()
    }
}
