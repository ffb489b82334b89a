//! A test's handles of Mailchimp.

use super::{
    account::{Account, Audience, MailchimpSettings, Member, key},
    merge_fields::MergeField,
};
use crate::{accounts::AccountHandle, state::SharedState};

#[derive(Clone)]
pub struct Mailchimp(pub(crate) SharedState);

impl Mailchimp {
    /// Adds an account, or gives an existing one a new key.
    pub fn add_account(&self, name: &str, api_key: &str) -> MailchimpAccount {
        let account = MailchimpAccount(AccountHandle::new(&self.0, name, |state| {
            &mut state.mailchimp.0
        }));
        account.set_api_key(api_key);
        account
    }

    pub fn account(&self, name: &str) -> Option<MailchimpAccount> {
        AccountHandle::find(&self.0, name, |state| &mut state.mailchimp.0).map(MailchimpAccount)
    }
}

#[derive(Clone)]
pub struct MailchimpAccount(AccountHandle<Account>);

impl MailchimpAccount {
    pub fn name(&self) -> &str {
        self.0.name()
    }

    pub fn set_api_key(&self, api_key: &str) {
        self.0
            .with_account(|account| api_key.clone_into(&mut account.api_key));
    }

    pub fn set_settings(&self, settings: MailchimpSettings) {
        self.0.with_account(|account| account.settings = settings);
    }

    /// Adds an audience with the merge fields of a new one.
    pub fn add_audience(&self, id: &str, name: &str) -> AudienceHandle {
        self.0.with_account(|account| {
            let audience = Audience::new(id, name);
            account.audiences.entry(id.to_owned()).or_insert(audience);
        });
        AudienceHandle {
            account: self.clone(),
            id: id.to_owned(),
        }
    }

    pub fn audience(&self, id: &str) -> Option<AudienceHandle> {
        let exists = self
            .0
            .with_account(|account| account.audiences.contains_key(id));
        exists.then(|| AudienceHandle {
            account: self.clone(),
            id: id.to_owned(),
        })
    }

    pub fn remove_audience(&self, id: &str) {
        self.0.with_account(|account| account.audiences.remove(id));
    }
}

#[derive(Clone)]
pub struct AudienceHandle {
    account: MailchimpAccount,
    id: String,
}

impl AudienceHandle {
    pub fn account(&self) -> &MailchimpAccount {
        &self.account
    }

    fn with<T: Default>(&self, access: impl FnOnce(&mut Audience) -> T) -> T {
        self.account.0.with_account(|account| {
            let audience = account.audiences.get_mut(&self.id);
            audience.map(access).unwrap_or_default()
        })
    }

    /// Adds a merge field, or replaces the one with the same tag.
    pub fn define(&self, field: MergeField) {
        self.with(|audience| {
            audience.merge_fields.retain(|known| known.tag != field.tag);
            audience.merge_fields.push(field);
        });
    }

    pub fn merge_fields(&self) -> Vec<MergeField> {
        self.with(|audience| audience.merge_fields.clone())
    }

    /// Adds a member, or replaces the one with the same address or contact id.
    pub fn put_member(&self, member: Member) {
        self.account
            .0
            .with_account(|account| account.put(&self.id, member));
    }

    pub fn member(&self, email: &str) -> Option<Member> {
        self.with(|audience| audience.members.get(&key(email)).cloned())
    }

    pub fn members(&self) -> Vec<Member> {
        self.with(|audience| audience.members.values().cloned().collect())
    }

    /// Removes a member, as if it had never been there.
    pub fn remove_member(&self, email: &str) {
        self.with(|audience| audience.members.remove(&key(email)));
    }

    /// Deletes a member for ever: its address can never come back.
    pub fn forget_address(&self, email: &str) {
        self.with(|audience| {
            audience.members.remove(&key(email));
            audience.forgotten.insert(key(email))
        });
    }
}
