//! The data of Sesamy: vendors with their users, tokens and settings.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    model::User,
    rate::{RateLimit, TokenBucket},
};
use crate::{accounts::replace, request::ApiRequest};

/// How responses are wrapped. Sesamy's pages document one form, its API description
/// another, and its own plugin reads all three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Envelope {
    /// `[…]`
    #[default]
    Bare,
    /// `{"data": […], "pagination": {…}}`, single objects as `{"data": {…}, "meta": {…}}`.
    Data,
    /// `{"contracts": […]}`, single objects bare.
    Named,
}

/// Which parameters of a list request the API ignores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ListFault {
    #[default]
    None,
    IgnoresOffset,
    /// Every page has the maximum length.
    IgnoresLimit,
    /// Every page contains the whole list.
    IgnoresPaging,
    /// Every list contains the items of all users.
    IgnoresUser,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VendorSettings {
    pub envelope: Envelope,
    pub list_fault: ListFault,
    /// The maximum length of a page, even if `limit` is larger.
    pub page_cap: usize,
    /// The length of a page without `limit`.
    pub default_page: usize,
    pub rate_limit: Option<RateLimit>,
    /// The lifetime of a token.
    pub token_seconds: u64,
}

impl Default for VendorSettings {
    fn default() -> Self {
        Self {
            envelope: Envelope::Bare,
            list_fault: ListFault::None,
            // Neither number is documented.
            page_cap: 100,
            default_page: 25,
            rate_limit: Some(RateLimit::default()),
            token_seconds: 86_400,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resource {
    User,
    Contracts,
    Entitlements,
    Bills,
}

/// A change of a user right after a read, to simulate a race.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AfterRead {
    pub resource: Resource,
    pub user_id: String,
    /// The number of the read, from 1. Each page is a read.
    #[serde(default = "first")]
    pub read: u32,
    /// `None` deletes the user.
    #[serde(default)]
    pub replace_with: Option<User>,
}

/// A list of entitlements that stays as it is while the user's other data change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntitlementLag {
    pub user_id: String,
    /// The number of reads that it lasts. Each page is a read.
    pub reads: u32,
}

/// The entitlements that a lagging list shows.
pub(crate) struct StaleEntitlements {
    pub list: Value,
    pub reads: u32,
}

const fn first() -> u32 {
    1
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenGrant {
    pub at: Timestamp,
    pub audience: Option<String>,
    pub scope: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SesamySeed {
    pub vendors: Vec<VendorSeed>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VendorSeed {
    pub id: String,
    /// Required for a new vendor, like the secret.
    #[serde(default)]
    pub client_id: Option<String>,
    #[serde(default)]
    pub client_secret: Option<String>,
    #[serde(default)]
    pub settings: Option<VendorSettings>,
    /// They begin before the users of this seed are added.
    #[serde(default)]
    pub entitlement_lags: Vec<EntitlementLag>,
    #[serde(default)]
    pub users: Vec<User>,
    #[serde(default)]
    pub after_reads: Vec<AfterRead>,
}

#[derive(Default)]
pub(crate) struct VendorState {
    pub client_id: String,
    pub client_secret: String,
    pub settings: VendorSettings,
    pub users: BTreeMap<String, User>,
    pub after_reads: Vec<AfterRead>,
    /// By user id.
    pub stale_entitlements: BTreeMap<String, StaleEntitlements>,
    pub grants: Vec<TokenGrant>,
    pub bucket: TokenBucket,
}

impl VendorState {
    pub fn put(&mut self, user: User) {
        self.users.insert(user.id.clone(), user);
    }

    pub fn remove(&mut self, user_id: &str) -> Option<User> {
        self.stale_entitlements.remove(user_id);
        self.users.remove(user_id)
    }

    pub fn lag_entitlements(&mut self, lag: EntitlementLag) {
        let EntitlementLag { user_id, reads } = lag;
        if reads == 0 {
            self.stale_entitlements.remove(&user_id);
            return;
        }
        let list = self.users.get(&user_id).map_or_else(
            || json!([]),
            |user| self.shown(user, Resource::Entitlements).clone(),
        );
        let stale = StaleEntitlements { list, reads };
        self.stale_entitlements.insert(user_id, stale);
    }

    /// What a read of a user shows.
    pub fn shown<'a>(&'a self, user: &'a User, resource: Resource) -> &'a Value {
        match self.stale_entitlements.get(&user.id) {
            Some(stale) if resource == Resource::Entitlements => &stale.list,
            _ => user.resource(resource),
        }
    }

    /// Applies the changes that are due after this read.
    pub fn was_read(&mut self, resource: Resource, user_id: &str) {
        if resource == Resource::Entitlements
            && let Some(stale) = self.stale_entitlements.get_mut(user_id)
        {
            stale.reads -= 1;
            if stale.reads == 0 {
                self.stale_entitlements.remove(user_id);
            }
        }
        let mut due = Vec::new();
        self.after_reads.retain_mut(|change| {
            if change.resource != resource || change.user_id != user_id {
                return true;
            }
            change.read = change.read.saturating_sub(1);
            if change.read == 0 {
                due.push(change.replace_with.take());
            }
            change.read > 0
        });
        for state in due {
            match state {
                None => {
                    self.remove(user_id);
                }
                Some(user) => {
                    self.users.remove(user_id);
                    self.put(user);
                }
            }
        }
    }
}

pub(crate) struct Token {
    pub vendor: String,
    pub expires_at: Timestamp,
}

#[derive(Default)]
pub(crate) struct SesamyState {
    pub vendors: BTreeMap<String, VendorState>,
    pub tokens: HashMap<String, Token>,
    pub tokens_granted: u64,
    pub requests_seen: u64,
}

impl SesamyState {
    pub fn apply(&mut self, seed: SesamySeed) {
        for new in seed.vendors {
            let vendor = self.vendors.entry(new.id).or_default();
            replace(&mut vendor.client_id, new.client_id);
            replace(&mut vendor.client_secret, new.client_secret);
            replace(&mut vendor.settings, new.settings);
            for lag in new.entitlement_lags {
                vendor.lag_entitlements(lag);
            }
            for user in new.users {
                vendor.put(user);
            }
            vendor.after_reads.extend(new.after_reads);
        }
    }

    pub fn reset(&mut self) {
        self.tokens.clear();
        for vendor in self.vendors.values_mut() {
            vendor.users.clear();
            vendor.after_reads.clear();
            vendor.stale_entitlements.clear();
            vendor.grants.clear();
            vendor.bucket = TokenBucket::default();
        }
    }

    pub fn to_json(&self) -> Value {
        let vendors = self.vendors.iter().map(|(id, vendor)| {
            let shown = json!({
                "settings": vendor.settings,
                "users": vendor.users,
                "tokenGrants": vendor.grants,
            });
            (id.clone(), shown)
        });
        Value::Object(vendors.collect())
    }

    pub fn revoke_tokens(&mut self, vendor: &str) {
        self.tokens.retain(|_, token| token.vendor != vendor);
    }

    /// The vendor whose valid token a request carries.
    pub fn authorized(&self, request: &ApiRequest<'_>) -> Option<String> {
        let token = self.tokens.get(request.bearer()?)?;
        (token.expires_at > request.now).then(|| token.vendor.clone())
    }
}
