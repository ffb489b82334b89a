//! The data of a HubSpot account.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::definitions::{self, Definition};

/// Opt-outs, which belong to the address and not to the contact.
pub(crate) const OPT_OUT_PREFIX: &str = "hs_email_optout";

/// The first id that an account gives to a contact.
const FIRST_ID: u64 = 101;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Contact {
    /// 0 for a contact that the account does not have yet.
    pub id: u64,
    /// The primary address, in lower case.
    pub email: String,
    pub secondary_emails: Vec<String>,
    /// All properties but the address and what HubSpot computes. A cleared one is empty
    /// or absent.
    pub properties: BTreeMap<String, String>,
    /// The names of the properties that say what the address has opted out of.
    pub opt_outs: BTreeSet<String>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

impl Contact {
    pub fn new(email: &str) -> Self {
        Self {
            email: email.to_ascii_lowercase(),
            ..Self::default()
        }
    }

    /// Storing the contact defines the property.
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn names(self, first: &str, last: &str) -> Self {
        self.property("firstname", first).property("lastname", last)
    }

    /// The values of `sesamy_tags`.
    pub fn tags(self, tags: &[&str]) -> Self {
        if tags.is_empty() {
            return self;
        }
        self.property(definitions::TAGS, &tags.join(";"))
    }

    pub fn secondary_email(mut self, email: &str) -> Self {
        self.secondary_emails.push(email.to_ascii_lowercase());
        self
    }

    /// Opts the address out of all mail.
    pub fn opted_out(mut self) -> Self {
        self.opt_outs.insert(OPT_OUT_PREFIX.to_owned());
        self
    }

    /// Opts the address out of one subscription type.
    pub fn opted_out_of(mut self, subscription: u64) -> Self {
        self.opt_outs
            .insert(format!("{OPT_OUT_PREFIX}_{subscription}"));
        self
    }

    /// `None` if the property has no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.properties.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// The values of a multi-select.
    pub fn values(&self, name: &str) -> Vec<String> {
        let values = self.get(name).unwrap_or_default().split(';');
        let values = values.filter(|value| !value.is_empty());
        values.map(str::to_owned).collect()
    }

    pub(crate) fn has_address(&self, email: &str) -> bool {
        let mut addresses = std::iter::once(&self.email).chain(&self.secondary_emails);
        addresses.any(|address| address.eq_ignore_ascii_case(email))
    }
}

/// Choices for behaviour that HubSpot does not document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HubSpotSettings {
    /// Whether a change of a contact's address is a 400, even if the new one is free.
    pub refuse_moves: bool,
    /// Whether the old address stays as a secondary one after a change.
    pub keep_old_address: bool,
    /// Whether a cleared property reads as null. Otherwise as an empty text.
    pub cleared_is_null: bool,
    /// Whether options that differ only in letter case are one option, spelt as the first.
    pub fold_option_case: bool,
    /// Whether reading a batch of definitions is a 404 if none of them exists. Otherwise
    /// those that exist are the results.
    pub unknown_definitions_are_404: bool,
    /// How many writes after a definition do not know the new property yet.
    pub definition_lag: u32,
    /// Of a multi-select.
    pub max_options: usize,
    /// Custom properties with unique values.
    pub max_unique: usize,
    /// Calls in ten seconds.
    pub calls_per_interval: Option<usize>,
    pub calls_per_day: Option<usize>,
}

impl Default for HubSpotSettings {
    fn default() -> Self {
        Self {
            refuse_moves: false,
            keep_old_address: false,
            cleared_is_null: false,
            fold_option_case: false,
            unknown_definitions_are_404: false,
            definition_lag: 0,
            max_options: 5_000,
            max_unique: 10,
            calls_per_interval: None,
            calls_per_day: None,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HubSpotAccountSeed {
    pub name: String,
    /// Required if the account is new.
    #[serde(default)]
    pub token: Option<String>,
    /// By default every scope that a sync needs.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    #[serde(default)]
    pub settings: Option<HubSpotSettings>,
    #[serde(default)]
    pub definitions: Vec<Definition>,
    #[serde(default)]
    pub contacts: Vec<Contact>,
    /// Addresses that were erased for privacy and can never be added again.
    #[serde(default)]
    pub erased: Vec<String>,
}

pub(crate) struct Account {
    pub token: String,
    pub scopes: Vec<String>,
    pub settings: HubSpotSettings,
    /// Labels by name.
    pub groups: BTreeMap<String, String>,
    pub definitions: BTreeMap<String, Definition>,
    pub archived_definitions: BTreeMap<String, Definition>,
    pub contacts: BTreeMap<u64, Contact>,
    /// The ids of merged contacts, and of those that they became part of.
    pub merged: BTreeMap<u64, u64>,
    /// Lower-case addresses.
    pub erased: BTreeSet<String>,
    /// The opt-outs of addresses without a contact.
    pub opt_outs: BTreeMap<String, BTreeSet<String>>,
    /// Writes that do not know the new properties yet.
    pub lagging_writes: u32,
    pub calls: VecDeque<Timestamp>,
    pub next_id: u64,
}

impl Default for Account {
    fn default() -> Self {
        let scopes = [
            "crm.objects.contacts.read",
            "crm.objects.contacts.write",
            "crm.schemas.contacts.read",
            "crm.schemas.contacts.write",
        ];
        Self {
            token: String::new(),
            scopes: scopes.map(str::to_owned).to_vec(),
            settings: HubSpotSettings::default(),
            groups: definitions::default_groups(),
            definitions: definitions::built_in(),
            archived_definitions: BTreeMap::new(),
            contacts: BTreeMap::new(),
            merged: BTreeMap::new(),
            erased: BTreeSet::new(),
            opt_outs: BTreeMap::new(),
            lagging_writes: 0,
            calls: VecDeque::new(),
            next_id: FIRST_ID,
        }
    }
}

impl Account {
    pub fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Stores a contact unchecked, and defines its properties and their options. Replaces
    /// the contact with the same id, or else with the same address. Returns its id.
    pub fn put(&mut self, mut contact: Contact) -> u64 {
        for (name, value) in &contact.properties {
            self.define_for(name, value);
        }
        for name in &contact.opt_outs {
            let definition = Definition::opt_out(name);
            self.definitions.entry(name.clone()).or_insert(definition);
        }
        if contact.id == 0 {
            let known = self.holder_of_primary(&contact.email);
            contact.id = known.unwrap_or_else(|| self.new_id());
        }
        self.next_id = self.next_id.max(contact.id + 1);
        let id = contact.id;
        self.contacts.insert(id, contact);
        id
    }

    fn define_for(&mut self, name: &str, value: &str) {
        let definition = self
            .definitions
            .entry(name.to_owned())
            .or_insert_with(|| Definition::guess(name));
        definition.add_options(value.split(';'));
        let group = definition.group_name.clone();
        self.groups.entry(group.clone()).or_insert(group);
    }

    fn holder_of_primary(&self, email: &str) -> Option<u64> {
        let mut contacts = self.contacts.values();
        contacts.find(|c| c.email == email).map(|c| c.id)
    }

    /// The contact that has an address as its primary or a secondary one.
    pub fn holder(&self, email: &str) -> Option<&Contact> {
        let email = email.trim();
        self.contacts.values().find(|c| c.has_address(email))
    }

    /// The contact of an id, which may be that of a contact that was merged into it.
    pub fn contact(&self, id: u64) -> Option<&Contact> {
        let id = self.merged.get(&id).unwrap_or(&id);
        self.contacts.get(id)
    }

    /// Deletes a contact for good or into the recycle bin: both read as unknown.
    pub fn remove(&mut self, id: u64) -> Option<Contact> {
        self.contacts.remove(&id)
    }

    /// Deletes a contact and its address for privacy.
    pub fn erase(&mut self, email: &str) {
        self.erased.insert(email.to_ascii_lowercase());
        if let Some(id) = self.holder(email).map(|contact| contact.id) {
            self.remove(id);
        }
    }

    /// Makes one contact part of another, as a person would in HubSpot.
    pub fn merge(&mut self, into: u64, from: u64) {
        let Some(loser) = self.remove(from) else {
            return;
        };
        if let Some(winner) = self.contacts.get_mut(&into) {
            winner.secondary_emails.push(loser.email);
            winner.secondary_emails.extend(loser.secondary_emails);
            for (name, value) in loser.properties {
                winner.properties.entry(name).or_insert(value);
            }
            self.merged.insert(from, into);
        }
    }

    /// Gives a contact a new primary address, with the opt-outs of that address.
    pub fn change_address(&mut self, id: u64, email: &str) {
        let new = self.opt_outs.remove(email).unwrap_or_default();
        let keeps = self.settings.keep_old_address;
        if let Some(contact) = self.contacts.get_mut(&id) {
            let old = std::mem::replace(&mut contact.email, email.to_owned());
            let opt_outs = std::mem::replace(&mut contact.opt_outs, new);
            if keeps && !old.is_empty() {
                contact.secondary_emails.push(old.clone());
            }
            self.opt_outs.insert(old, opt_outs);
        }
    }
}
