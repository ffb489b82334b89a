//! A test's handles of Sesamy.

use serde_json::Value;

use super::{
    model::User,
    rate::RateLimit,
    state::{AfterRead, EntitlementLag, Envelope, ListFault, Resource, TokenGrant, VendorState},
};
use crate::{accounts::AccountHandle, state::SharedState};

#[derive(Clone)]
pub struct Sesamy(pub(crate) SharedState);

impl Sesamy {
    /// Adds a vendor, or gives an existing one new credentials.
    pub fn add_vendor(&self, id: &str, client_id: &str, client_secret: &str) -> Vendor {
        let vendor = AccountHandle::new(&self.0, id, |state| &mut state.sesamy.vendors);
        vendor.with_account(|vendor| {
            client_id.clone_into(&mut vendor.client_id);
            client_secret.clone_into(&mut vendor.client_secret);
        });
        Vendor(vendor)
    }

    pub fn vendor(&self, id: &str) -> Option<Vendor> {
        AccountHandle::find(&self.0, id, |state| &mut state.sesamy.vendors).map(Vendor)
    }
}

#[derive(Clone)]
pub struct Vendor(AccountHandle<VendorState>);

impl Vendor {
    pub fn id(&self) -> &str {
        self.0.name()
    }

    /// Adds a user, or replaces the one with the same id.
    pub fn put_user(&self, user: User) {
        self.0.with_account(|vendor| vendor.put(user));
    }

    /// Adds a user in the format of a seed file, for values that no builder creates. The
    /// profile and the lists may have any content.
    pub fn put_user_json(&self, user: Value) -> Result<(), serde_json::Error> {
        self.put_user(serde_json::from_value(user)?);
        Ok(())
    }

    pub fn remove_user(&self, id: &str) {
        self.0.with_account(|vendor| vendor.remove(id));
    }

    pub fn users(&self) -> Vec<User> {
        self.0
            .with_account(|vendor| vendor.users.values().cloned().collect())
    }

    /// Keeps the list of a user's entitlements as it is now for this many reads, each page
    /// being one, whatever [`Self::put_user`] changes. A new user's list stays empty.
    pub fn lag_entitlements(&self, user_id: &str, reads: u32) {
        self.0.with_account(|vendor| {
            vendor.lag_entitlements(EntitlementLag {
                user_id: user_id.to_owned(),
                reads,
            });
        });
    }

    pub fn user(&self, id: &str) -> Option<User> {
        self.0.with_account(|vendor| vendor.users.get(id).cloned())
    }

    /// Replaces the user right after the `read`-th next read (from 1) of this resource;
    /// `None` deletes the user.
    pub fn after_read(&self, resource: Resource, user_id: &str, read: u32, new: Option<User>) {
        self.0.with_account(|vendor| {
            vendor.after_reads.push(AfterRead {
                resource,
                user_id: user_id.to_owned(),
                read: read.max(1),
                replace_with: new,
            });
        });
    }

    /// Tokens that are already granted stay valid.
    pub fn set_client_secret(&self, client_secret: &str) {
        self.0
            .with_account(|vendor| client_secret.clone_into(&mut vendor.client_secret));
    }

    pub fn revoke_tokens(&self) {
        self.0.state().lock().sesamy.revoke_tokens(self.id());
    }

    pub fn token_grants(&self) -> Vec<TokenGrant> {
        self.0.with_account(|vendor| vendor.grants.clone())
    }

    pub fn set_token_seconds(&self, seconds: u64) {
        self.0
            .with_account(|vendor| vendor.settings.token_seconds = seconds);
    }

    pub fn set_list_fault(&self, list_fault: ListFault) {
        self.0
            .with_account(|vendor| vendor.settings.list_fault = list_fault);
    }

    pub fn set_envelope(&self, envelope: Envelope) {
        self.0
            .with_account(|vendor| vendor.settings.envelope = envelope);
    }

    pub fn set_page_cap(&self, items: usize) {
        self.0
            .with_account(|vendor| vendor.settings.page_cap = items);
    }

    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.0.with_account(|vendor| {
            vendor.settings.rate_limit = limit;
            vendor.bucket = Default::default();
        });
    }
}
