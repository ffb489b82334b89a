//! A test's handles of Rule.

use super::{
    account::{Account, Flow, RuleSettings, Subscriber},
    values::FieldType,
};
use crate::{accounts::AccountHandle, state::SharedState};

#[derive(Clone)]
pub struct Rule(pub(crate) SharedState);

impl Rule {
    /// Adds an account, or gives an existing one a new key.
    pub fn add_account(&self, name: &str, api_key: &str) -> RuleAccount {
        let account = RuleAccount(AccountHandle::new(&self.0, name, |state| &mut state.rule.0));
        account.set_api_key(api_key);
        account
    }

    pub fn account(&self, name: &str) -> Option<RuleAccount> {
        AccountHandle::find(&self.0, name, |state| &mut state.rule.0).map(RuleAccount)
    }
}

#[derive(Clone)]
pub struct RuleAccount(AccountHandle<Account>);

impl RuleAccount {
    pub fn set_api_key(&self, api_key: &str) {
        self.0
            .with_account(|account| api_key.clone_into(&mut account.api_key));
    }

    pub fn set_settings(&self, settings: RuleSettings) {
        self.0.with_account(|account| account.settings = settings);
    }

    /// Defines a field, as the publisher or an earlier sync would.
    pub fn define(&self, key: &str, kind: FieldType) {
        self.0.with_account(|account| account.define(key, kind));
    }

    /// Adds a subscriber, or replaces the one with the same address or id. With the id of
    /// another address, the subscriber moves.
    pub fn put_subscriber(&self, subscriber: Subscriber) {
        self.0.with_account(|account| account.put(subscriber));
    }

    pub fn subscriber(&self, email: &str) -> Option<Subscriber> {
        self.0.with_account(|account| {
            let id = account.by_email(email)?;
            account.subscribers.get(&id).cloned()
        })
    }

    pub fn subscriber_by_id(&self, id: u64) -> Option<Subscriber> {
        self.0
            .with_account(|account| account.subscribers.get(&id).cloned())
    }

    /// Removes a subscriber, as the publisher would.
    pub fn remove_subscriber(&self, email: &str) {
        self.0.with_account(|account| {
            if let Some(id) = account.by_email(email) {
                account.remove(id);
            }
        });
    }

    pub fn subscribers(&self) -> Vec<Subscriber> {
        self.0
            .with_account(|account| account.subscribers.values().cloned().collect())
    }

    /// Oldest first.
    pub fn flows(&self) -> Vec<Flow> {
        self.0.with_account(|account| account.flows.clone())
    }

    pub fn flows_of(&self, email: &str) -> Vec<Flow> {
        let mut flows = self.flows();
        flows.retain(|flow| flow.email.eq_ignore_ascii_case(email));
        flows
    }

    /// How often the flows of a tag started for an address.
    pub fn started(&self, email: &str, tag: &str) -> usize {
        let flows = self.flows_of(email);
        flows.iter().filter(|flow| flow.tag == tag).count()
    }
}
