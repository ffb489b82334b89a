//! A read-only check of a vendor's setup: secrets, Sesamy, the CRM.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::check::{CheckCode, CheckItem, CheckStatus};
use crate::connector::{Account, Connector};
use crate::identity::VendorId;
use crate::secrets::{FromSecret, Loaded, SecretError};
use crate::sesamy::{self, Reads, SesamyCredentials};
use crate::sync::{Syncer, bounded};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    action: &'static str,
    connector: &'static str,
    vendor_id: VendorId,
    /// `problem` if any finding is one, else `ok`.
    pub outcome: CheckStatus,
    pub findings: Vec<CheckItem>,
}

pub(super) async fn run<C: Connector>(
    syncer: Arc<Syncer<C>>,
    vendor: VendorId,
    end: Instant,
) -> Check {
    // In parallel, each with its own time limit, so that a slow API does not
    // hide the results of the others.
    let crm = tokio::spawn({
        let (syncer, vendor) = (syncer.clone(), vendor.clone());
        async move { check_connector(&syncer, &vendor).await }
    });
    let memory = tokio::spawn({
        let syncer = syncer.clone();
        async move { syncer.memory.check().await }
    });
    let sesamy = tokio::spawn({
        let vendor = vendor.clone();
        async move { check_sesamy(&syncer, &vendor).await }
    });
    let (crm, sesamy, memory) = tokio::join!(
        bounded(crm, end),
        bounded(sesamy, end),
        bounded(memory, end)
    );
    let too_slow = |what: &str| {
        let say = "it did not finish before the invocation's deadline";
        vec![CheckItem::new(what, CheckCode::ApiUnreachable, say).with_remedy("try again")]
    };
    let mut findings = crm.unwrap_or_else(|_| too_slow(C::NAME));
    findings.extend(sesamy.unwrap_or_else(|_| too_slow("Sesamy")));
    findings.extend(memory.unwrap_or_else(|_| too_slow("user table and schedules")));
    let has_problem = findings.iter().any(|f| f.result == CheckStatus::Problem);
    Check {
        action: "check",
        connector: C::NAME,
        vendor_id: vendor,
        outcome: if has_problem {
            CheckStatus::Problem
        } else {
            CheckStatus::Ok
        },
        findings,
    }
}

async fn check_connector<C: Connector>(syncer: &Syncer<C>, vendor: &VendorId) -> Vec<CheckItem> {
    let path = Syncer::<C>::connector_path(vendor);
    let (item, secret) = check_secret::<C, C::Credentials>(syncer, &path).await;
    let mut findings = vec![item];
    if let Some(secret) = &secret
        && let Some(credentials) = &secret.value
    {
        let account = Account {
            http: &syncer.http.read_only(),
            vendor,
            credentials,
            id: secret.fingerprint(),
        };
        findings.extend(syncer.connector.check(account).await);
    }
    findings
}

async fn check_sesamy<C: Connector>(syncer: &Syncer<C>, vendor: &VendorId) -> Vec<CheckItem> {
    let path = Syncer::<C>::sesamy_path(vendor);
    let (item, secret) = check_secret::<C, SesamyCredentials>(syncer, &path).await;
    let mut findings = vec![item];
    if let Some(credentials) = secret.as_ref().and_then(|secret| secret.value.as_ref()) {
        // Which lists a connector reads depends on its own secret.
        let path = Syncer::<C>::connector_path(vendor);
        let connector = syncer.secrets.get::<C::Credentials>(&path).await.ok();
        let reads = connector
            .and_then(|secret| secret.value.as_ref().map(C::reads))
            .unwrap_or(Reads { bills: true });
        let http = syncer.http.read_only();
        findings.extend(sesamy::check(&http, vendor, credentials, reads).await);
    }
    findings
}

/// Reads the secret without the cache: it may have been fixed just now.
async fn check_secret<C: Connector, T: FromSecret>(
    syncer: &Syncer<C>,
    path: &str,
) -> (CheckItem, Option<Arc<Loaded<T>>>) {
    const STORE: &str = "store it as the README describes";
    let what = format!("secret {}", syncer.secrets.name(path));
    let (code, say, remedy) = match syncer.secrets.get_within::<T>(path, Duration::ZERO).await {
        Ok(secret) if secret.value.is_some() => {
            // Whether its credentials are accepted is another finding.
            let item = CheckItem::new(what, CheckCode::Works, "is stored and well-formed");
            return (item, Some(secret));
        }
        Ok(_) => {
            let say = "there is no such secret".to_owned();
            (CheckCode::SecretMissing, say, STORE)
        }
        Err(SecretError::Malformed { fault, .. }) => {
            (CheckCode::SecretMalformed, fault.to_string(), STORE)
        }
        Err(SecretError::Unavailable { reason, .. }) => (
            CheckCode::SecretUnreadable,
            reason,
            "check that the function's role may read the secret, then try again",
        ),
    };
    (CheckItem::new(what, code, say).with_remedy(remedy), None)
}
