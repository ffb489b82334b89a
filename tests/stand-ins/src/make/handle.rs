//! Make.as as a test holds it.

use super::account::{
    Account, MakeAccountSeed, MakeSeed, MakeSettings, Product, Subscriber, Subscription,
};
use crate::world::Shared;

/// Make.as's credential sets.
#[derive(Clone)]
pub struct Make {
    shared: Shared,
}

impl Make {
    pub(crate) const fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Adds a credential set, or gives one new credentials.
    pub fn add_account(&self, name: &str, user_id: &str, api_key: &str) -> MakeAccount {
        self.shared.lock().make.apply(MakeSeed {
            accounts: vec![MakeAccountSeed {
                name: name.to_owned(),
                user_id: Some(user_id.to_owned()),
                api_key: Some(api_key.to_owned()),
                ..MakeAccountSeed::default()
            }],
        });
        MakeAccount {
            shared: self.shared.clone(),
            name: name.to_owned(),
        }
    }

    /// A credential set that was added before.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<MakeAccount> {
        let known = self.shared.lock().make.accounts.contains_key(name);
        known.then(|| MakeAccount {
            shared: self.shared.clone(),
            name: name.to_owned(),
        })
    }
}

/// What one credential set opens.
#[derive(Clone)]
pub struct MakeAccount {
    shared: Shared,
    name: String,
}

impl MakeAccount {
    fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        let mut world = self.shared.lock();
        // Accounts are never removed, so this finds the one the handle was made for.
        change(world.make.accounts.entry(self.name.clone()).or_default())
    }

    /// The credential set's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the set a new key; the old one is refused from now on.
    pub fn set_api_key(&self, api_key: &str) {
        self.change(|account| api_key.clone_into(&mut account.api_key));
    }

    /// Chooses undocumented behaviour.
    pub fn set_settings(&self, settings: MakeSettings) {
        self.change(|account| account.settings = settings);
    }

    /// Adds a list.
    pub fn add_list(&self, id: u64, title: &str) {
        self.change(|account| account.lists.insert(id, title.to_owned()));
    }

    /// Defines a custom field by its upper-case key.
    pub fn define(&self, key: &str) {
        self.change(|account| account.define(key));
    }

    /// Adds a subscriber, or replaces the one with the same address.
    pub fn put_subscriber(&self, subscriber: Subscriber) {
        self.change(|account| account.put(subscriber));
    }

    /// The subscriber with this address.
    #[must_use]
    pub fn subscriber(&self, email: &str) -> Option<Subscriber> {
        self.change(|account| account.by_email(email).cloned())
    }

    /// Every subscriber, by address.
    #[must_use]
    pub fn subscribers(&self) -> Vec<Subscriber> {
        self.change(|account| account.subscribers.values().cloned().collect())
    }

    /// The names of all tags the account knows.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        self.change(|account| account.tags.clone())
    }

    /// Every product, by external id.
    #[must_use]
    pub fn products(&self) -> Vec<Product> {
        self.change(|account| account.products.values().cloned().collect())
    }

    /// Every subscription, by external id.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.change(|account| account.subscriptions.values().cloned().collect())
    }

    /// The subscriptions of one subscriber, by external id.
    #[must_use]
    pub fn subscriptions_of(&self, email: &str) -> Vec<Subscription> {
        let mut all = self.subscriptions();
        all.retain(|subscription| subscription.email.eq_ignore_ascii_case(email));
        all
    }
}
