//! The connector of the simulated CRM.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use shared::check::Finding;
use shared::consumer::{Account, Changes, Connector, Job, Trail, Whom};
use shared::http::{Api, ApiDescription, ApiError, Authorization, Call, Method, Url};
use shared::secrets::{FromSecret, Keys, SecretFault};
use shared::sesamy::Reads;
use tokio::time::Instant;

/// Calls of one sync: as many as Rule's of a reader who changed.
const CALLS: usize = 4;

/// The address of a vendor's account.
#[derive(Debug)]
pub struct Address(Url);

impl FromSecret for Address {
    fn from_secret(json: &Value) -> Result<Self, SecretFault> {
        let url = Keys::of(json)?.url("apiUrl", "https://crm.test")?;
        Ok(Self(url))
    }
}

/// When each user's first sync ended, counted from the start.
#[derive(Debug, Clone)]
pub struct Done {
    start: Instant,
    at: Arc<Mutex<HashMap<String, Duration>>>,
}

impl Done {
    /// Nobody yet.
    pub fn new(start: Instant) -> Self {
        let at = Arc::default();
        Self { start, at }
    }

    /// When the user's first sync ended.
    pub fn of(&self, user: &str) -> Option<Duration> {
        self.at.lock().unwrap().get(user).copied()
    }
}

/// The connector: a few calls, one after the other.
#[derive(Debug, Clone)]
pub struct Crm(pub Done);

impl Connector for Crm {
    const NAME: &'static str = "crm";

    type Credentials = Address;

    fn reads(_: &Address) -> Reads {
        Reads { bills: true }
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let description = ApiDescription {
            name: Self::NAME,
            wall_clock: None,
        };
        let (base, credentials) = (&job.credentials.0, Authorization::InBody);
        let api = Api::new(job.http, job.vendor, description, base, credentials);
        for _ in 0..CALLS {
            api.write(Call::new(Method::POST, "/contacts", &[])).await?;
        }
        while !job.events.pending().is_empty() {
            job.events.mark_delivered();
        }
        let user = job.subscriber.user_id.to_string();
        let mut done = self.0.at.lock().unwrap();
        done.entry(user).or_insert_with(|| self.0.start.elapsed());
        Ok(Changes {
            writes: 1,
            ..Changes::default()
        })
    }

    async fn check(&self, _: Account<'_, Self>) -> Vec<Finding> {
        Vec::new()
    }

    async fn forget(&self, _: Account<'_, Self>, _: Whom<'_>, _: &Trail) -> Result<(), ApiError> {
        Ok(())
    }
}
