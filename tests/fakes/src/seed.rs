//! The format of seed files and of the control API's preload.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    accounts::CrmSeed, faults::Fault, hubspot::HubSpotAccountSeed, mailchimp::MailchimpAccountSeed,
    mailmojo::MailmojoAccountSeed, make::MakeAccountSeed, rule::RuleAccountSeed,
    sesamy::SesamySeed,
};

/// The initial content. Every part is optional. Applying a seed twice adds its faults,
/// `afterReads` and `entitlementLags` again and changes nothing else.
///
/// ```
/// let seed = r#"{
///   "sesamy": {"vendors": [{
///     "id": "acme", "clientId": "client", "clientSecret": "secret",
///     "settings": {"envelope": "data", "pageCap": 25, "rateLimit": {"perMinute": 100, "burst": 200}},
///     "users": [{
///       "id": "email|84cc",
///       "profile": {"userId": "email|84cc", "email": "anna@example.se", "firstName": "Anna"},
///       "contracts": [{"id": "c1", "status": "ACTIVE", "isActive": true, "items": []}],
///       "entitlements": [], "bills": []
///     }],
///     "entitlementLags": [{"userId": "email|84cc", "reads": 2}],
///     "afterReads": [{"resource": "contracts", "userId": "email|84cc", "read": 1, "replaceWith": null}]
///   }]},
///   "rule": {"accounts": [{
///     "name": "acme", "apiKey": "rule-key",
///     "settings": {"foldTagCase": false, "absentTagIs404": true, "errorPercentLimit": 49},
///     "fields": {"Custom.Shoe": "text"},
///     "subscribers": [{"email": "anna@example.se", "tags": ["vip"], "fields": {"Custom.Shoe": "38"}}]
///   }]},
///   "mailmojo": {"accounts": [{
///     "name": "acme", "token": "mailmojo-token",
///     "lists": [{"id": 42, "name": "Users"}],
///     "fields": {"Shoe Size": "number"},
///     "contacts": [{
///       "email": "anna@example.se", "first_name": "Anna", "tags": ["vip"], "custom": {"Shoe Size": 38},
///       "list_associations": [{"list_id": 42, "status": "u"}]
///     }]
///   }]},
///   "make": {"accounts": [{
///     "name": "acme", "userId": "user", "apiKey": "key",
///     "lists": [{"id": 77, "title": "Users"}],
///     "customFields": ["EXTRA1"],
///     "subscribers": [{"email": "anna@example.se", "tags": ["vip"], "details": {"city": "Oslo"}, "lists": [77]}]
///   }]},
///   "mailchimp": {"accounts": [{
///     "name": "acme", "apiKey": "key-us1",
///     "audiences": [{
///       "id": "a1b2c3", "name": "Users",
///       "members": [{"email_address": "anna@example.se", "status": "unsubscribed", "tags": ["vip"], "merge_fields": {"SHOE": 38}}]
///     }]
///   }]},
///   "hubspot": {"accounts": [{
///     "name": "acme", "token": "hubspot-token",
///     "contacts": [{"email": "anna@example.se", "properties": {"firstname": "Anna", "sesamy_tags": "vip"}}]
///   }]},
///   "faults": [{
///     "api": "rule", "method": "POST", "path": "/v2/subscribers*", "skip": 1, "times": 2,
///     "effect": "performed", "delayMs": 10,
///     "kind": {"type": "tooManyRequests", "retryAfter": {"stockholm": 600}}
///   }],
///   "latencyMs": 5
/// }"#;
/// let seed: fakes::Seed = serde_json::from_str(seed)?;
/// assert_eq!(seed.rule.accounts.len(), 1);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Seed {
    pub sesamy: SesamySeed,
    pub rule: CrmSeed<RuleAccountSeed>,
    pub mailmojo: CrmSeed<MailmojoAccountSeed>,
    pub make: CrmSeed<MakeAccountSeed>,
    pub mailchimp: CrmSeed<MailchimpAccountSeed>,
    pub hubspot: CrmSeed<HubSpotAccountSeed>,
    pub faults: Vec<Fault>,
    /// Added to the duration of every response.
    pub latency_ms: Option<u64>,
}

impl Seed {
    /// # Errors
    /// If the file cannot be read or has another format.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = std::fs::read(path)?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }
}
