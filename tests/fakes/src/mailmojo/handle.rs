//! A test's handles of Mailmojo.

use std::collections::BTreeMap;

use super::account::{Account, Contact, FieldKind, MailmojoSettings};
use crate::{accounts::AccountHandle, state::SharedState};

#[derive(Clone)]
pub struct Mailmojo(pub(crate) SharedState);

impl Mailmojo {
    /// Adds an account, or gives an existing one a new token.
    pub fn add_account(&self, name: &str, token: &str) -> MailmojoAccount {
        let account = MailmojoAccount(AccountHandle::new(&self.0, name, |state| {
            &mut state.mailmojo.0
        }));
        account.set_token(token);
        account
    }

    pub fn account(&self, name: &str) -> Option<MailmojoAccount> {
        AccountHandle::find(&self.0, name, |state| &mut state.mailmojo.0).map(MailmojoAccount)
    }
}

#[derive(Clone)]
pub struct MailmojoAccount(AccountHandle<Account>);

impl MailmojoAccount {
    pub fn set_token(&self, token: &str) {
        self.0
            .with_account(|account| token.clone_into(&mut account.token));
    }

    pub fn set_scopes(&self, scopes: &[&str]) {
        self.0.with_account(|account| {
            account.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        });
    }

    pub fn set_settings(&self, settings: MailmojoSettings) {
        self.0.with_account(|account| account.settings = settings);
    }

    pub fn add_list(&self, id: u64, name: &str) {
        self.0
            .with_account(|account| account.lists.insert(id, name.to_owned()));
    }

    /// Defines an account field, as the publisher or an earlier sync would.
    pub fn define(&self, name: &str, kind: FieldKind) {
        self.0.with_account(|account| account.define(name, kind));
    }

    pub fn definitions(&self) -> BTreeMap<String, FieldKind> {
        self.0.with_account(|account| account.definitions())
    }

    /// Adds a contact, or replaces the one with the same address.
    pub fn put_contact(&self, contact: Contact) {
        self.0.with_account(|account| account.put(contact));
    }

    /// Keeps an address out of every list.
    pub fn keep_out(&self, email: &str) {
        self.0.with_account(|account| account.keep_out(email));
    }

    pub fn contact(&self, email: &str) -> Option<Contact> {
        self.0
            .with_account(|account| account.contact(email).cloned())
    }

    /// Removes a contact, as the publisher would.
    pub fn remove_contact(&self, email: &str) {
        self.0.with_account(|account| account.remove(email));
    }

    pub fn contacts(&self) -> Vec<Contact> {
        self.0
            .with_account(|account| account.contacts.values().cloned().collect())
    }
}
