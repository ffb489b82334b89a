//! What Sesamy holds: vendors, their users, tokens and settings.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    model::User,
    rate::{Bucket, RateLimit},
};
use crate::call::Call;

/// How lists are wrapped. Sesamy's pages document one form, its API
/// description another, and its own plugin reads all three.
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

/// What the API makes of the parameters of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ListFault {
    /// It honours them all.
    #[default]
    None,
    /// Every page is the first.
    IgnoresOffset,
    /// Every page is as long as the longest, whatever `limit` says.
    IgnoresLimit,
    /// Every page has the whole list, whatever `limit` and `offset` say.
    IgnoresPaging,
    /// Everybody's items come, whatever `userId` says.
    IgnoresUser,
}

/// How a vendor's API behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VendorSettings {
    /// How lists are wrapped.
    pub envelope: Envelope,
    /// What it does not honour of a list's parameters.
    pub list_fault: ListFault,
    /// The longest page, whatever `limit` asks for.
    pub page_cap: usize,
    /// The page's length where `limit` is absent.
    pub default_page: usize,
    /// The rate limit; `None` (`null`) for none.
    pub rate_limit: Option<RateLimit>,
    /// How long a token lives.
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

/// The resources of a user that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Resource {
    /// The profile.
    User,
    /// The contracts.
    Contracts,
    /// The entitlements.
    Entitlements,
    /// The bills.
    Bills,
}

/// A change that happens right after a user was read: what a race looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AfterRead {
    /// Which read.
    pub resource: Resource,
    /// Of which user.
    pub user_id: String,
    /// The how many-th read from now, counted from 1; each page is a read.
    #[serde(default = "first")]
    pub read: u32,
    /// The user's new state; `None` deletes the user.
    #[serde(default)]
    pub replace_with: Option<User>,
}

const fn first() -> u32 {
    1
}

/// A token that was handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenGrant {
    /// When.
    pub at: Timestamp,
    /// The audience asked for, if one was.
    pub audience: Option<String>,
    /// The scope asked for, if one was.
    pub scope: Option<String>,
}

/// Vendors in a seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SesamySeed {
    /// The vendors.
    pub vendors: Vec<VendorSeed>,
}

/// One vendor in a seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VendorSeed {
    /// The vendor's id.
    pub id: String,
    /// Its credentials; needed when the vendor is new.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The secret that goes with them.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// How its API behaves.
    #[serde(default)]
    pub settings: Option<VendorSettings>,
    /// Users to add or replace.
    #[serde(default)]
    pub users: Vec<User>,
    /// Changes that happen right after a read.
    #[serde(default)]
    pub after_reads: Vec<AfterRead>,
}

/// One vendor.
#[derive(Default)]
pub(crate) struct VendorState {
    pub client_id: String,
    pub client_secret: String,
    pub settings: VendorSettings,
    pub users: BTreeMap<String, User>,
    pub after_reads: Vec<AfterRead>,
    pub grants: Vec<TokenGrant>,
    pub bucket: Bucket,
}

impl VendorState {
    /// Carries out the changes that were to follow this read.
    pub fn was_read(&mut self, resource: Resource, user_id: &str) {
        let mut due = Vec::new();
        self.after_reads.retain_mut(|hook| {
            if hook.resource != resource || hook.user_id != user_id {
                return true;
            }
            hook.read = hook.read.saturating_sub(1);
            if hook.read == 0 {
                due.push(hook.replace_with.take());
            }
            hook.read > 0
        });
        for state in due {
            self.users.remove(user_id);
            if let Some(user) = state {
                self.users.insert(user.id.clone(), user);
            }
        }
    }
}

/// A token in force.
pub(crate) struct Token {
    pub vendor: String,
    pub expires_at: Timestamp,
}

/// Everything Sesamy holds.
#[derive(Default)]
pub(crate) struct State {
    pub vendors: BTreeMap<String, VendorState>,
    pub tokens: HashMap<String, Token>,
    pub tokens_made: u64,
    pub requests_seen: u64,
}

impl State {
    pub fn apply(&mut self, seed: SesamySeed) {
        for new in seed.vendors {
            let vendor = self.vendors.entry(new.id).or_default();
            if let Some(id) = new.client_id {
                vendor.client_id = id;
            }
            if let Some(secret) = new.client_secret {
                vendor.client_secret = secret;
            }
            if let Some(settings) = new.settings {
                vendor.settings = settings;
            }
            for user in new.users {
                vendor.users.insert(user.id.clone(), user);
            }
            vendor.after_reads.extend(new.after_reads);
        }
    }

    pub fn reset(&mut self) {
        self.tokens.clear();
        for vendor in self.vendors.values_mut() {
            vendor.users.clear();
            vendor.after_reads.clear();
            vendor.grants.clear();
            vendor.bucket.refill();
        }
    }

    /// The state without credentials.
    pub fn shown(&self) -> Value {
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

    /// The vendor whose token a request carries, if the token still holds.
    pub fn account(&self, call: &Call<'_>) -> Option<String> {
        let token = self.tokens.get(call.bearer()?)?;
        (token.expires_at > call.now).then(|| token.vendor.clone())
    }
}
