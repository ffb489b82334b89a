//! Mailmojo as a test holds it.

use std::collections::BTreeMap;

use super::account::{
    Account, Contact, FieldKind, MailmojoAccountSeed, MailmojoSeed, MailmojoSettings,
};
use crate::world::Shared;

/// Mailmojo's accounts.
#[derive(Clone)]
pub struct Mailmojo {
    shared: Shared,
}

impl Mailmojo {
    pub(crate) const fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Adds an account, or gives one a new token.
    pub fn add_account(&self, name: &str, token: &str) -> MailmojoAccount {
        self.shared.lock().mailmojo.apply(MailmojoSeed {
            accounts: vec![MailmojoAccountSeed {
                name: name.to_owned(),
                token: Some(token.to_owned()),
                ..MailmojoAccountSeed::default()
            }],
        });
        MailmojoAccount {
            shared: self.shared.clone(),
            name: name.to_owned(),
        }
    }

    /// An account that was added before.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<MailmojoAccount> {
        let known = self.shared.lock().mailmojo.accounts.contains_key(name);
        known.then(|| MailmojoAccount {
            shared: self.shared.clone(),
            name: name.to_owned(),
        })
    }
}

/// One account.
#[derive(Clone)]
pub struct MailmojoAccount {
    shared: Shared,
    name: String,
}

impl MailmojoAccount {
    fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        let mut world = self.shared.lock();
        let accounts = &mut world.mailmojo.accounts;
        // Accounts are never removed, so this finds the one the handle was made for.
        change(accounts.entry(self.name.clone()).or_default())
    }

    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the account a new token; the old one is refused from now on.
    pub fn set_token(&self, token: &str) {
        self.change(|account| token.clone_into(&mut account.token));
    }

    /// Chooses the token's scopes.
    pub fn set_scopes(&self, scopes: &[&str]) {
        self.change(|account| {
            account.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        });
    }

    /// Chooses undocumented behaviour.
    pub fn set_settings(&self, settings: MailmojoSettings) {
        self.change(|account| account.settings = settings);
    }

    /// Adds a list.
    pub fn add_list(&self, id: u64, name: &str) {
        self.change(|account| account.lists.insert(id, name.to_owned()));
    }

    /// Defines an account field, as the publisher or an earlier run would have.
    pub fn define(&self, name: &str, kind: FieldKind) {
        self.change(|account| account.define(name, kind));
    }

    /// The defined account fields by displayed name.
    #[must_use]
    pub fn definitions(&self) -> BTreeMap<String, FieldKind> {
        self.change(|account| account.definitions())
    }

    /// Adds a contact, or replaces the one with the same address.
    pub fn put_contact(&self, contact: Contact) {
        self.change(|account| account.put(contact));
    }

    /// Keeps an address out of every list.
    pub fn keep_out(&self, email: &str) {
        self.change(|account| account.keep_out(email));
    }

    /// The contact with this address.
    #[must_use]
    pub fn contact(&self, email: &str) -> Option<Contact> {
        self.change(|account| account.contact(email).cloned())
    }

    /// Every contact, by address.
    #[must_use]
    pub fn contacts(&self) -> Vec<Contact> {
        self.change(|account| account.contacts.values().cloned().collect())
    }
}
