//! Rule as a test holds it.

use std::collections::BTreeMap;

use super::{
    account::{Account, Flow, RuleAccountSeed, RuleSeed, RuleSettings, Subscriber},
    values::FieldType,
};
use crate::world::Shared;

/// Rule's accounts.
#[derive(Clone)]
pub struct Rule {
    shared: Shared,
}

impl Rule {
    pub(crate) const fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Adds an account, or gives one a new key.
    pub fn add_account(&self, name: &str, api_key: &str) -> RuleAccount {
        self.shared.lock().rule.apply(RuleSeed {
            accounts: vec![RuleAccountSeed {
                name: name.to_owned(),
                api_key: Some(api_key.to_owned()),
                ..RuleAccountSeed::default()
            }],
        });
        RuleAccount {
            shared: self.shared.clone(),
            name: name.to_owned(),
        }
    }

    /// An account that was added before.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<RuleAccount> {
        let known = self.shared.lock().rule.accounts.contains_key(name);
        known.then(|| RuleAccount {
            shared: self.shared.clone(),
            name: name.to_owned(),
        })
    }
}

/// One account.
#[derive(Clone)]
pub struct RuleAccount {
    shared: Shared,
    name: String,
}

impl RuleAccount {
    fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        let mut world = self.shared.lock();
        // Accounts are never removed, so this finds the one the handle was made for.
        change(world.rule.accounts.entry(self.name.clone()).or_default())
    }

    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the account a new key; the old one is refused from now on.
    pub fn set_api_key(&self, api_key: &str) {
        self.change(|account| api_key.clone_into(&mut account.api_key));
    }

    /// Chooses undocumented behaviour.
    pub fn set_settings(&self, settings: RuleSettings) {
        self.change(|account| account.settings = settings);
    }

    /// Defines a field, as the publisher or an earlier run would have.
    pub fn define(&self, key: &str, kind: FieldType) {
        self.change(|account| account.define(key, kind));
    }

    /// The defined fields by key.
    #[must_use]
    pub fn definitions(&self) -> BTreeMap<String, FieldType> {
        self.change(|account| account.definitions())
    }

    /// Adds a subscriber, or replaces the one with the same address.
    pub fn put_subscriber(&self, subscriber: Subscriber) {
        self.change(|account| account.put(subscriber));
    }

    /// The subscriber with this address.
    #[must_use]
    pub fn subscriber(&self, email: &str) -> Option<Subscriber> {
        self.change(|account| {
            let id = account.by_email(email)?;
            account.subscribers.get(&id).cloned()
        })
    }

    /// Every subscriber, in the order they were made.
    #[must_use]
    pub fn subscribers(&self) -> Vec<Subscriber> {
        self.change(|account| account.subscribers.values().cloned().collect())
    }

    /// The names of all tags the account knows.
    #[must_use]
    pub fn tags(&self) -> Vec<String> {
        self.change(|account| account.tags.iter().map(|tag| tag.name.clone()).collect())
    }

    /// The automations that began, oldest first.
    #[must_use]
    pub fn flows(&self) -> Vec<Flow> {
        self.change(|account| account.flows.clone())
    }

    /// The flows that began for an address, oldest first.
    #[must_use]
    pub fn flows_of(&self, email: &str) -> Vec<Flow> {
        let mut flows = self.flows();
        flows.retain(|flow| flow.email.eq_ignore_ascii_case(email));
        flows
    }

    /// How often the flows of a tag began for an address.
    #[must_use]
    pub fn started(&self, email: &str, tag: &str) -> usize {
        let flows = self.flows_of(email);
        flows.iter().filter(|flow| flow.tag == tag).count()
    }

    /// The share of calls that were answered with a 4xx, in percent.
    #[must_use]
    pub fn error_percent(&self) -> u32 {
        self.change(|account| account.errors.percent())
    }
}
