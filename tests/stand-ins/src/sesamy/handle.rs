//! Sesamy as a test holds it.

use serde_json::Value;

use super::{
    model::User,
    rate::RateLimit,
    state::{
        AfterRead, Envelope, ListFault, Resource, SesamySeed, TokenGrant, VendorSeed,
        VendorSettings, VendorState,
    },
};
use crate::world::Shared;

/// Sesamy's vendors.
#[derive(Clone)]
pub struct Sesamy {
    shared: Shared,
}

impl Sesamy {
    pub(crate) const fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// Adds a vendor, or gives one new credentials.
    pub fn add_vendor(&self, id: &str, client_id: &str, client_secret: &str) -> Vendor {
        self.shared.lock().sesamy.apply(SesamySeed {
            vendors: vec![VendorSeed {
                id: id.to_owned(),
                client_id: Some(client_id.to_owned()),
                client_secret: Some(client_secret.to_owned()),
                settings: None,
                users: Vec::new(),
                after_reads: Vec::new(),
            }],
        });
        Vendor {
            shared: self.shared.clone(),
            id: id.to_owned(),
        }
    }

    /// A vendor that was added before.
    #[must_use]
    pub fn vendor(&self, id: &str) -> Option<Vendor> {
        let known = self.shared.lock().sesamy.vendors.contains_key(id);
        known.then(|| Vendor {
            shared: self.shared.clone(),
            id: id.to_owned(),
        })
    }
}

/// One vendor.
#[derive(Clone)]
pub struct Vendor {
    shared: Shared,
    id: String,
}

impl Vendor {
    fn change<T>(&self, change: impl FnOnce(&mut VendorState) -> T) -> T {
        let mut world = self.shared.lock();
        // Vendors are never removed, so this finds the one the handle was made for.
        change(world.sesamy.vendors.entry(self.id.clone()).or_default())
    }

    /// The vendor's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Adds a user or replaces the one with the same id.
    pub fn put_user(&self, user: User) {
        self.change(|vendor| vendor.users.insert(user.id.clone(), user));
    }

    /// Adds a user from raw JSON, for values no builder would make. The form
    /// is that of a seed file: `{"id", "profile", "contracts", "entitlements", "bills"}`.
    ///
    /// # Errors
    /// When the outer form is another one. What is inside is not looked at.
    pub fn put_user_json(&self, user: Value) -> Result<(), serde_json::Error> {
        self.put_user(serde_json::from_value(user)?);
        Ok(())
    }

    /// Takes a user away: reading the profile is a 404 from now on.
    pub fn remove_user(&self, id: &str) {
        self.change(|vendor| vendor.users.remove(id));
    }

    /// A user as it stands now.
    #[must_use]
    pub fn user(&self, id: &str) -> Option<User> {
        self.change(|vendor| vendor.users.get(id).cloned())
    }

    /// Right after the `read`-th read (from 1) of this resource of this user,
    /// the user's state becomes another, or the user is gone.
    pub fn after_read(&self, resource: Resource, user_id: &str, read: u32, then: Option<User>) {
        self.change(|vendor| {
            vendor.after_reads.push(AfterRead {
                resource,
                user_id: user_id.to_owned(),
                read: read.max(1),
                replace_with: then,
            });
        });
    }

    /// Gives the vendor a new secret. Tokens handed out before still hold.
    pub fn set_client_secret(&self, client_secret: &str) {
        self.change(|vendor| client_secret.clone_into(&mut vendor.client_secret));
    }

    /// Makes every token handed out so far worthless.
    pub fn revoke_tokens(&self) {
        self.shared.lock().sesamy.revoke_tokens(&self.id);
    }

    /// The tokens handed out, with the audience asked for.
    #[must_use]
    pub fn token_grants(&self) -> Vec<TokenGrant> {
        self.change(|vendor| vendor.grants.clone())
    }

    /// How long the next tokens live.
    pub fn set_token_seconds(&self, seconds: u64) {
        self.change(|vendor| vendor.settings.token_seconds = seconds);
    }

    /// What it does not honour of a list's parameters.
    pub fn set_list_fault(&self, list_fault: ListFault) {
        self.change(|vendor| vendor.settings.list_fault = list_fault);
    }

    /// How lists are wrapped.
    pub fn set_envelope(&self, envelope: Envelope) {
        self.change(|vendor| vendor.settings.envelope = envelope);
    }

    /// The longest page, whatever `limit` asks for.
    pub fn set_page_cap(&self, items: usize) {
        self.change(|vendor| vendor.settings.page_cap = items);
    }

    /// The rate limit, or none.
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.change(|vendor| {
            vendor.settings.rate_limit = limit;
            vendor.bucket.refill();
        });
    }

    /// All settings at once.
    pub fn set_settings(&self, settings: VendorSettings) {
        self.change(|vendor| vendor.settings = settings);
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> VendorSettings {
        self.change(|vendor| vendor.settings)
    }
}
