//! The connector of the simulated CRM.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use shared::check::CheckItem;
use shared::connector::{Account, Changes, Connector, ForgetJob, Job};
use shared::http::{ApiCall, ApiError, Authorization, Method, Url};
use shared::secrets::{FromSecret, Keys, SecretFault};
use tokio::time::Instant;

/// As many calls as Rule's connector makes for a changed user.
const CALLS: usize = 4;

/// The address of the API, as a vendor's secret gives it.
#[derive(Debug)]
pub struct Address(Url);

impl FromSecret for Address {
    fn from_secret(json: &Value) -> Result<Self, SecretFault> {
        let url = Keys::new(json)?.url("apiUrl", "https://crm.test")?;
        Ok(Self(url))
    }
}

/// When each user's first sync ended, as the time since the start.
#[derive(Debug, Clone)]
pub struct FirstSyncs {
    start: Instant,
    ends: Arc<Mutex<HashMap<String, Duration>>>,
}

impl FirstSyncs {
    pub fn new(start: Instant) -> Self {
        let ends = Arc::default();
        Self { start, ends }
    }

    pub fn end_of(&self, user: &str) -> Option<Duration> {
        self.ends.lock().unwrap().get(user).copied()
    }
}

#[derive(Debug, Clone)]
pub struct Crm(pub FirstSyncs);

impl Connector for Crm {
    const NAME: &'static str = "crm";

    type Credentials = Address;

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let Address(base) = job.account.credentials;
        let api = job.account.api(base, Authorization::InBody);
        for _ in 0..CALLS {
            api.write(ApiCall::new(Method::POST, "/contacts", &[]))
                .await?;
        }
        while !job.events.pending().is_empty() {
            job.events.mark_delivered();
        }
        let user = job.desired.user_id.to_string();
        let mut ends = self.0.ends.lock().unwrap();
        ends.entry(user).or_insert_with(|| self.0.start.elapsed());
        Ok(Changes {
            writes: 1,
            ..Changes::default()
        })
    }

    async fn check(&self, _: Account<'_, Self>) -> Vec<CheckItem> {
        Vec::new()
    }

    async fn forget(&self, _: ForgetJob<'_, Self>) -> Result<(), ApiError> {
        Ok(())
    }
}
