//! Calls to the APIs of Sesamy and the CRMs: bounded, https only, with typed errors.

mod api;
mod calls;
mod error;
mod pause;
mod retry_after;
mod withheld;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use thiserror::Error;

pub use api::{Api, ApiDescription, Authorization, Call, Reply};
pub use calls::{API, API_CALLS, API_LATENCY, STATUS};
pub use error::{ApiError, Fault};
pub use reqwest::{Method, Url};
pub use withheld::Withheld;

use crate::telemetry::Metrics;
use crate::tls::{self, TlsError};
use calls::Calls;
use pause::Pauses;
use withheld::Journal;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest wait for a whole call, the answer's body included.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Short, because a frozen function wakes
/// to connections that the other side has long closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Largest answer read, in bytes. The largest allowed user in one page (2,000
/// contracts of about 1 KiB) fits several times.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// The HTTP client could not be made.
#[derive(Debug, Error)]
pub enum HttpSetupError {
    /// There is no usable TLS set-up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client refuses its settings.
    #[error("the HTTP client could not be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// The one HTTP client of a function instance, with what its APIs asked to be left alone.
#[derive(Debug)]
pub struct Http {
    client: Client,
    pauses: Arc<Pauses>,
    calls: Arc<Calls>,
    /// Where writes go that are not to be sent. `None` where they are sent.
    journal: Option<Journal>,
}

impl Http {
    /// Makes the client. Once per function instance, which keeps its connections.
    ///
    /// Redirects are not followed: none of the APIs redirects a valid call, and
    /// credentials must not go where an answer points.
    ///
    /// # Errors
    /// [`HttpSetupError`] where there is no usable TLS set-up.
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
            pauses: Arc::default(),
            calls: Arc::default(),
            journal: None,
        })
    }

    /// The metrics of the calls made since they were last taken: [`API_CALLS`]
    /// and [`API_LATENCY`].
    pub fn metrics(&self) -> Vec<Metrics> {
        self.calls.take()
    }

    /// The same client, with the same connections, pauses and metrics, but for
    /// what it does with writes: it sends none and notes them instead.
    #[must_use]
    pub fn read_only(&self) -> Self {
        Self {
            client: self.client.clone(),
            pauses: self.pauses.clone(),
            calls: self.calls.clone(),
            journal: Some(Journal::default()),
        }
    }

    /// Whether writes are withheld.
    pub fn is_read_only(&self) -> bool {
        self.journal.is_some()
    }

    /// The writes withheld so far, in order.
    pub fn withheld(&self) -> Vec<Withheld> {
        self.journal
            .as_ref()
            .map(Journal::writes)
            .unwrap_or_default()
    }
}
