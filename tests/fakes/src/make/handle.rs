//! A test's handles of Make.as.

use super::account::{Account, MakeSettings, Product, Subscriber, Subscription};
use crate::{accounts::AccountHandle, state::SharedState};

#[derive(Clone)]
pub struct Make(pub(crate) SharedState);

impl Make {
    /// Adds a credential set, or gives an existing one new credentials.
    pub fn add_account(&self, name: &str, user_id: &str, api_key: &str) -> MakeAccount {
        let account = MakeAccount(AccountHandle::new(&self.0, name, |state| &mut state.make.0));
        account
            .0
            .with_account(|account| user_id.clone_into(&mut account.user_id));
        account.set_api_key(api_key);
        account
    }

    pub fn account(&self, name: &str) -> Option<MakeAccount> {
        AccountHandle::find(&self.0, name, |state| &mut state.make.0).map(MakeAccount)
    }
}

#[derive(Clone)]
pub struct MakeAccount(AccountHandle<Account>);

impl MakeAccount {
    pub fn name(&self) -> &str {
        self.0.name()
    }

    pub fn set_api_key(&self, api_key: &str) {
        self.0
            .with_account(|account| api_key.clone_into(&mut account.api_key));
    }

    pub fn set_settings(&self, settings: MakeSettings) {
        self.0.with_account(|account| account.settings = settings);
    }

    pub fn add_list(&self, id: u64, title: &str) {
        self.0
            .with_account(|account| account.lists.insert(id, title.to_owned()));
    }

    /// Defines a custom field by its upper-case key.
    pub fn define(&self, key: &str) {
        self.0.with_account(|account| account.define(key));
    }

    /// Adds a subscriber, or replaces the one with the same address or id. With the id of
    /// another address, the subscriber moves.
    pub fn put_subscriber(&self, subscriber: Subscriber) {
        self.0.with_account(|account| account.put(subscriber));
    }

    pub fn subscriber(&self, email: &str) -> Option<Subscriber> {
        self.0
            .with_account(|account| account.by_email(email).cloned())
    }

    pub fn subscriber_by_id(&self, id: u64) -> Option<Subscriber> {
        self.0.with_account(|account| account.by_id(id).cloned())
    }

    /// Removes a subscriber, as the publisher would.
    pub fn remove_subscriber(&self, email: &str) {
        self.0.with_account(|account| account.remove(email));
    }

    pub fn subscribers(&self) -> Vec<Subscriber> {
        self.0
            .with_account(|account| account.subscribers.values().cloned().collect())
    }

    pub fn products(&self) -> Vec<Product> {
        self.0
            .with_account(|account| account.products.values().cloned().collect())
    }

    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.0
            .with_account(|account| account.subscriptions.values().cloned().collect())
    }

    pub fn subscriptions_of(&self, email: &str) -> Vec<Subscription> {
        let mut all = self.subscriptions();
        all.retain(|subscription| subscription.email.eq_ignore_ascii_case(email));
        all
    }
}
