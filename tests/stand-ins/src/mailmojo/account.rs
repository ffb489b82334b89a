//! What a Mailmojo account holds.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::shape::is_date;

/// The state of a contact, as a whole or on one list. The API has letters; what
/// they stand for is inferred from the words in its statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Receives newsletters.
    #[default]
    #[serde(rename = "a")]
    Active,
    /// Has unsubscribed.
    #[serde(rename = "u")]
    Unsubscribed,
    /// Cannot be reached.
    #[serde(rename = "b")]
    Bounced,
    /// Was deleted.
    #[serde(rename = "d")]
    Deleted,
}

/// A contact's place on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListAssociation {
    /// The list.
    pub list_id: u64,
    /// The state there.
    #[serde(default)]
    pub status: Status,
    /// When the contact came onto the list.
    #[serde(default)]
    pub added: Timestamp,
    /// When the state changed.
    #[serde(default)]
    pub status_changed: Timestamp,
}

/// A contact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// The address as it was written first.
    pub email: String,
    /// First name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default)]
    pub last_name: Option<String>,
    /// The whole name where it was set as such; it takes precedence.
    #[serde(default)]
    pub name: Option<String>,
    /// Phone.
    #[serde(default)]
    pub phone: Option<String>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Values of account fields by displayed name; a cleared one is not there.
    #[serde(default)]
    pub custom: BTreeMap<String, Value>,
    /// The state as a whole.
    #[serde(default)]
    pub status: Status,
    /// When it was made.
    #[serde(default)]
    pub added: Timestamp,
    /// When the state changed.
    #[serde(default)]
    pub status_changed: Timestamp,
    /// The lists.
    #[serde(default)]
    pub list_associations: Vec<ListAssociation>,
}

impl Contact {
    /// An active contact that is on no list.
    #[must_use]
    pub fn new(email: &str) -> Self {
        Self {
            email: email.to_owned(),
            ..Self::default()
        }
    }

    /// Puts the contact on a list.
    #[must_use]
    pub fn on_list(mut self, list_id: u64, status: Status) -> Self {
        self.list_associations.push(ListAssociation {
            list_id,
            status,
            added: Timestamp::UNIX_EPOCH,
            status_changed: Timestamp::UNIX_EPOCH,
        });
        self
    }

    /// Sets the state as a whole.
    #[must_use]
    pub const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// First and last name.
    #[must_use]
    pub fn names(mut self, first: &str, last: &str) -> Self {
        self.first_name = Some(first.to_owned());
        self.last_name = Some(last.to_owned());
        self
    }

    /// The whole name, as an import sets it.
    #[must_use]
    pub fn whole_name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Phone.
    #[must_use]
    pub fn phone(mut self, phone: &str) -> Self {
        self.phone = Some(phone.to_owned());
        self
    }

    /// Adds tags.
    #[must_use]
    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.tags.extend(tags.iter().map(|&tag| tag.to_owned()));
        self
    }

    /// Sets an account field; it counts as defined, with a type that fits.
    #[must_use]
    pub fn custom(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.custom.insert(name.to_owned(), value.into());
        self
    }

    /// The state on a list, if the contact is or was on it.
    #[must_use]
    pub fn on(&self, list_id: u64) -> Option<Status> {
        self.list_associations
            .iter()
            .find(|association| association.list_id == list_id)
            .map(|association| association.status)
    }

    /// Whether the whole name says more than first and last name, which are
    /// empty: it has two words or more.
    pub(crate) fn is_named_as_a_whole(&self) -> bool {
        let empty = |name: &Option<String>| name.as_ref().is_none_or(|name| name.is_empty());
        let words = self.name.as_deref().unwrap_or_default().split_whitespace();
        empty(&self.first_name) && empty(&self.last_name) && words.count() > 1
    }

    /// What a write answers: the contact's data.
    pub(crate) fn shown_base(&self) -> Value {
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

    /// The whole contact.
    pub(crate) fn shown(&self) -> Value {
        let mut shown = self.shown_base();
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

/// The type of an account field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// A string.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A JSON number.
    Number,
    /// `YYYY-MM-DD`.
    Date,
}

impl FieldKind {
    /// Whether a value fits; `null`, which clears the field, always does.
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

    fn of_value(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            _ => Self::Text,
        }
    }
}

/// Whether what a call sends takes the place of what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Writing {
    /// What is not sent is lost.
    Replace,
    /// What is not sent stays.
    Merge,
}

/// Whether account fields can be listed and made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FieldsAddress {
    /// They can, by a token that has the scope for it.
    #[default]
    Open,
    /// Every call is answered with this status, and a value of an unknown
    /// field is dropped without a word.
    Refused(u16),
}

/// What is not documented and may be either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MailmojoSettings {
    /// How tags are written.
    pub tags: Writing,
    /// How account fields are written, by key.
    pub custom: Writing,
    /// The address of account fields.
    pub fields: FieldsAddress,
    /// Whether a value of an unknown field is dropped without a word, also
    /// where fields can be made; else it is a 400.
    pub drop_unknown_fields: bool,
    /// Whether adding somebody who unsubscribed, without force, is a 400;
    /// else it is a 201 that changes no status.
    pub refuse_unsubscribed: bool,
    /// Whether tags that differ by letter case alone are one tag.
    pub fold_tag_case: bool,
}

impl Default for MailmojoSettings {
    fn default() -> Self {
        Self {
            tags: Writing::Replace,
            custom: Writing::Merge,
            fields: FieldsAddress::Open,
            drop_unknown_fields: false,
            refuse_unsubscribed: true,
            fold_tag_case: false,
        }
    }
}

/// Accounts in a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MailmojoSeed {
    /// The accounts.
    pub accounts: Vec<MailmojoAccountSeed>,
}

/// One account in a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MailmojoAccountSeed {
    /// The name that requests and violations are listed under.
    pub name: String,
    /// Its token; needed when the account is new.
    #[serde(default)]
    pub token: Option<String>,
    /// The scopes of the token; by default all that a sync needs.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Undocumented behaviour.
    #[serde(default)]
    pub settings: Option<MailmojoSettings>,
    /// Lists.
    #[serde(default)]
    pub lists: Vec<ListSeed>,
    /// Account fields that are defined, by displayed name.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldKind>,
    /// Contacts to add or replace.
    #[serde(default)]
    pub contacts: Vec<Contact>,
    /// Addresses that no list takes.
    #[serde(default)]
    pub kept_out: Vec<String>,
}

/// A list in a seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSeed {
    /// Its number.
    pub id: u64,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A defined account field.
pub(crate) struct Definition {
    pub id: u64,
    pub name: String,
    pub kind: FieldKind,
}

/// One account.
pub(crate) struct Account {
    pub token: String,
    pub scopes: Vec<String>,
    pub settings: MailmojoSettings,
    pub lists: BTreeMap<u64, String>,
    pub fields: Vec<Definition>,
    /// Contacts by lower-case address.
    pub contacts: BTreeMap<String, Contact>,
    /// Lower-case addresses that no list takes, such as of somebody who
    /// complained: adding one is a 400, known or not.
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
    pub fn apply(&mut self, seed: MailmojoAccountSeed) {
        if let Some(token) = seed.token {
            self.token = token;
        }
        if let Some(scopes) = seed.scopes {
            self.scopes = scopes;
        }
        if let Some(settings) = seed.settings {
            self.settings = settings;
        }
        for list in seed.lists {
            self.lists.insert(list.id, list.name);
        }
        for (name, kind) in seed.fields {
            self.define(&name, kind);
        }
        for contact in seed.contacts {
            self.put(contact);
        }
        for email in seed.kept_out {
            self.keep_out(&email);
        }
    }

    pub fn reset(&mut self) {
        self.fields.clear();
        self.contacts.clear();
        self.kept_out.clear();
    }

    /// Puts a contact as it is, making the fields it has values of.
    pub fn put(&mut self, contact: Contact) {
        for (name, value) in &contact.custom {
            self.define(name, FieldKind::of_value(value));
        }
        self.contacts
            .insert(contact.email.to_ascii_lowercase(), contact);
    }

    pub fn keep_out(&mut self, email: &str) {
        self.kept_out.insert(email.to_ascii_lowercase());
    }

    pub fn contact(&self, email: &str) -> Option<&Contact> {
        self.contacts.get(&email.trim().to_ascii_lowercase())
    }

    pub fn definition(&self, name: &str) -> Option<&Definition> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Defines a field unless it is defined.
    pub fn define(&mut self, name: &str, kind: FieldKind) -> u64 {
        if let Some(known) = self.definition(name) {
            return known.id;
        }
        let id = self.fields.last().map_or(1, |last| last.id + 1);
        self.fields.push(Definition {
            id,
            name: name.to_owned(),
            kind,
        });
        id
    }

    /// The types of all fields by name.
    pub fn definitions(&self) -> BTreeMap<String, FieldKind> {
        let typed = |field: &Definition| (field.name.clone(), field.kind);
        self.fields.iter().map(typed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_must_fit_their_type() {
        use FieldKind::*;
        for (kind, value, fits) in [
            (Text, json!("x"), true),
            (Text, json!(1), false),
            (Text, json!(true), false),
            (Boolean, json!(false), true),
            (Boolean, json!("false"), false),
            (Boolean, json!(0), false),
            (Number, json!(1.5), true),
            (Number, json!("1"), false),
            (Date, json!("2026-01-31"), true),
            (Date, json!("2026-01-31T10:00:00Z"), false),
            (Date, json!(""), false),
            (Date, json!(null), true),
            (Number, json!(null), true),
        ] {
            assert_eq!(kind.fits(&value), fits, "{kind:?} {value}");
        }
    }
}
