//! Calls to the APIs of Sesamy and the CRMs: bounded, https only, with typed errors.

mod breaker;
mod budget;
mod call;
mod client;
mod dry_run;
mod error;
mod error_body;
mod metrics;
mod names;
mod rate_limit;
mod retry_after;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use thiserror::Error;

pub use call::{ApiCall, Authorization, without_nulls};
pub use client::{ApiClient, ApiDescription, ApiResponse, FailedCall, FailedWrite, Limits};
pub use dry_run::DryRunCall;
pub use error::{ApiError, ApiErrorKind};
pub use http::response::Parts;
pub use names::Names;
pub use reqwest::{Method, Request, Url};
pub use transport::{RawResponse, ResponseFuture, Transport};

use crate::identity::VendorId;
use crate::telemetry::Metrics;
use crate::tls::{self, TlsError};
use budget::MemoryBudget;
use dry_run::DryRun;
use metrics::CallMetrics;
use rate_limit::Backoffs;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// For a whole call, including the response body.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long idle connections are kept, to AWS too. Short, because a function
/// that was frozen wakes up with connections that the other side has closed,
/// and a call on such a connection may fail only when it times out.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug, Error)]
pub enum HttpSetupError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the HTTP client could not be created: {0}")]
    Client(#[from] reqwest::Error),
}

/// The one HTTP client of a function instance, with the state that its calls
/// share: connections, backoffs, metrics and the memory budget.
#[derive(Debug)]
pub struct Http {
    client: Client,
    transport: Option<Arc<dyn Transport>>,
    backoffs: Arc<Backoffs>,
    metrics: Arc<CallMetrics>,
    budget: Arc<MemoryBudget>,
    /// Records writes instead of sending them.
    dry_run: Option<DryRun>,
}

impl Http {
    /// Call this once per function instance: the client owns the connections.
    ///
    /// Redirects are not followed: no API redirects a valid call, and a
    /// response must not decide where credentials are sent.
    pub fn new() -> Result<Self, HttpSetupError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::config()?)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("sesamy-crm-sync/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            transport: None,
            backoffs: Arc::default(),
            metrics: Arc::default(),
            budget: Arc::default(),
            dry_run: None,
        })
    }

    /// Replaces the network, for example with a simulation on a virtual clock.
    #[must_use]
    pub fn with_transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    async fn send(&self, request: Request) -> Result<RawResponse, ApiErrorKind> {
        let Some(transport) = &self.transport else {
            return transport::read(self.client.execute(request).await).await;
        };
        let response = tokio::time::timeout(CALL_TIMEOUT, transport.send(request)).await;
        response.unwrap_or(Err(ApiErrorKind::Timeout))
    }

    /// The metrics of the calls since this was last called.
    pub fn metrics(&self) -> Vec<Metrics> {
        self.metrics.take()
    }

    /// How long this API must not be called for this vendor.
    pub fn backoff(&self, vendor: &VendorId, api: &'static str) -> Option<Duration> {
        self.backoffs.remaining(vendor, api)
    }

    /// Whether this function instance recently paused calls to this API for
    /// this vendor.
    pub fn was_paused(&self, vendor: &VendorId, api: &'static str) -> bool {
        self.backoffs.was_paused(vendor, api)
    }

    /// Call this before a sync that will call this API for this vendor. The
    /// error says how long the sync must wait.
    pub fn admit_sync(&self, vendor: &VendorId, api: &'static str) -> Result<(), Duration> {
        self.backoffs.admit_sync(vendor, api)
    }

    /// The same client, sharing all state, except that it records writes
    /// instead of sending them.
    #[must_use]
    pub fn read_only(&self) -> Self {
        Self {
            client: self.client.clone(),
            transport: self.transport.clone(),
            backoffs: self.backoffs.clone(),
            metrics: self.metrics.clone(),
            budget: self.budget.clone(),
            dry_run: Some(DryRun::default()),
        }
    }

    /// Sets whether several users are synced at the same time. If so, no user may
    /// take all of the memory for responses. Initially false.
    pub fn share_memory(&self, is_shared: bool) {
        self.budget.share(is_shared);
    }

    pub fn is_read_only(&self) -> bool {
        self.dry_run.is_some()
    }

    /// The writes that a read-only client recorded, in order.
    pub fn dry_run_calls(&self) -> Vec<DryRunCall> {
        self.dry_run.as_ref().map(DryRun::calls).unwrap_or_default()
    }
}
