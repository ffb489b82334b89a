//! Whether a vendor is set up: secrets, Sesamy, the CRM. By reading alone.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::connector::{Account, Connector};
use super::handler::{Consumer, bounded};
use super::queue::Queue;
use crate::check::{Code, Finding, Verdict};
use crate::identity::VendorId;
use crate::secrets::{FromSecret, Loaded, SecretError};
use crate::sesamy::{self, Reads, SesamyCredentials};

/// What was found of a vendor's accounts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    action: &'static str,
    connector: &'static str,
    vendor_id: VendorId,
    /// `ok` where no finding is a problem, else `problem`.
    pub outcome: Verdict,
    /// Everything that was looked at, in order.
    pub findings: Vec<Finding>,
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    /// Looks at everything that syncs of the vendor need, until `end`.
    pub async fn check(self: Arc<Self>, vendor: VendorId, end: Instant) -> Check {
        // Sesamy and the CRM are looked at side by side, each bounded in time,
        // so that a slow one hides nothing about the other.
        let crm = tokio::spawn({
            let (consumer, vendor) = (self.clone(), vendor.clone());
            async move { consumer.check_connector(&vendor).await }
        });
        let sesamy = tokio::spawn({
            let (consumer, vendor) = (self, vendor.clone());
            async move { consumer.check_sesamy(&vendor).await }
        });
        let (crm, sesamy) = tokio::join!(bounded(crm, end), bounded(sesamy, end));
        let lost = |what: &str| {
            let say = "it took longer than the invocation has";
            vec![Finding::new(what, Code::ApiUnreachable, say).with_remedy("ask again")]
        };
        let mut findings = crm.unwrap_or_else(|_| lost(C::NAME));
        findings.extend(sesamy.unwrap_or_else(|_| lost("Sesamy")));
        let problem = findings.iter().any(|f| f.result == Verdict::Problem);
        Check {
            action: "check",
            connector: C::NAME,
            vendor_id: vendor,
            outcome: if problem {
                Verdict::Problem
            } else {
                Verdict::Ok
            },
            findings,
        }
    }

    async fn check_connector(&self, vendor: &VendorId) -> Vec<Finding> {
        let path = format!("{vendor}/{}", C::NAME);
        let (finding, secret) = self.check_secret::<C::Credentials>(&path).await;
        let mut findings = vec![finding];
        if let Some(credentials) = secret.as_ref().and_then(|secret| secret.value.as_ref()) {
            let http = self.http.read_only();
            let account = Account {
                http: &http,
                vendor,
                credentials,
            };
            findings.extend(self.connector.check(account).await);
        }
        findings
    }

    async fn check_sesamy(&self, vendor: &VendorId) -> Vec<Finding> {
        let path = format!("{vendor}/sesamy");
        let (finding, secret) = self.check_secret::<SesamyCredentials>(&path).await;
        let mut findings = vec![finding];
        if let Some(credentials) = secret.as_ref().and_then(|secret| secret.value.as_ref()) {
            // What a connector reads depends on its own secret.
            let path = format!("{vendor}/{}", C::NAME);
            let connector = self.secrets.get::<C::Credentials>(&path).await.ok();
            let reads = connector
                .and_then(|secret| secret.value.as_ref().map(C::reads))
                .unwrap_or(Reads { bills: true });
            let http = self.http.read_only();
            findings.extend(sesamy::check(&http, vendor, credentials, reads).await);
        }
        findings
    }

    /// Reads a secret anew: whoever asks may just have mended it.
    async fn check_secret<T: FromSecret>(&self, path: &str) -> (Finding, Option<Arc<Loaded<T>>>) {
        let what = format!("secret {}", self.secrets.name(path));
        match self.secrets.get_within::<T>(path, Duration::ZERO).await {
            Ok(secret) if secret.value.is_some() => (Finding::works(what), Some(secret)),
            Ok(_) => {
                let finding = Finding::new(what, Code::SecretMissing, "there is no such secret")
                    .with_remedy("store it as the README describes");
                (finding, None)
            }
            Err(SecretError::Malformed { fault, .. }) => {
                let finding = Finding::new(what, Code::SecretMalformed, fault.to_string())
                    .with_remedy("store it as the README describes");
                (finding, None)
            }
            Err(SecretError::Unavailable { reason, .. }) => {
                let finding = Finding::new(what, Code::SecretUnreadable, reason).with_remedy(
                    "check that the function's role may read the secret, and ask again",
                );
                (finding, None)
            }
        }
    }
}
