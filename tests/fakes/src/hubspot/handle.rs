//! A test's handles of HubSpot.

use super::{
    account::{Account, Contact, HubSpotSettings},
    definitions::Definition,
};
use crate::{accounts::AccountHandle, state::SharedState};

#[derive(Clone)]
pub struct HubSpot(pub(crate) SharedState);

impl HubSpot {
    /// Adds an account, or gives an existing one a new token.
    pub fn add_account(&self, name: &str, token: &str) -> HubSpotAccount {
        let account = HubSpotAccount(AccountHandle::new(&self.0, name, |state| {
            &mut state.hubspot.0
        }));
        account.set_token(token);
        account
    }

    pub fn account(&self, name: &str) -> Option<HubSpotAccount> {
        AccountHandle::find(&self.0, name, |state| &mut state.hubspot.0).map(HubSpotAccount)
    }
}

#[derive(Clone)]
pub struct HubSpotAccount(AccountHandle<Account>);

impl HubSpotAccount {
    pub fn set_token(&self, token: &str) {
        self.0
            .with_account(|account| token.clone_into(&mut account.token));
    }

    pub fn set_scopes(&self, scopes: &[&str]) {
        self.0.with_account(|account| {
            account.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        });
    }

    pub fn set_settings(&self, settings: HubSpotSettings) {
        self.0.with_account(|account| account.settings = settings);
    }

    /// Defines a property, as the publisher or an earlier sync would.
    pub fn define(&self, definition: Definition) {
        self.0.with_account(|account| {
            let name = definition.name.clone();
            account.definitions.insert(name, definition);
        });
    }

    pub fn definition(&self, name: &str) -> Option<Definition> {
        self.0
            .with_account(|account| account.definitions.get(name).cloned())
    }

    /// Every property that HubSpot does not define itself.
    pub fn definitions(&self) -> Vec<Definition> {
        self.0.with_account(|account| {
            let definitions = account.definitions.values();
            definitions.filter(|d| !d.built_in).cloned().collect()
        })
    }

    /// Archives a property, as the publisher would.
    pub fn archive_definition(&self, name: &str) {
        self.0.with_account(|account| {
            if let Some(definition) = account.definitions.remove(name) {
                account
                    .archived_definitions
                    .insert(name.to_owned(), definition);
            }
        });
    }

    /// Adds a contact, or replaces the one with the same id or address. Returns its id.
    pub fn put_contact(&self, contact: Contact) -> u64 {
        self.0.with_account(|account| account.put(contact))
    }

    /// By primary or secondary address.
    pub fn contact(&self, email: &str) -> Option<Contact> {
        self.0
            .with_account(|account| account.holder(email).cloned())
    }

    pub fn contacts(&self) -> Vec<Contact> {
        self.0
            .with_account(|account| account.contacts.values().cloned().collect())
    }

    /// Deletes a contact, as the publisher would.
    pub fn remove_contact(&self, id: u64) {
        self.0.with_account(|account| account.remove(id));
    }

    /// Deletes the contact of an address for privacy.
    pub fn erase(&self, email: &str) {
        self.0.with_account(|account| account.erase(email));
    }

    /// Merges one contact into another, as the publisher would.
    pub fn merge(&self, into: u64, from: u64) {
        self.0.with_account(|account| account.merge(into, from));
    }
}
