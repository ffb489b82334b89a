//! Calls to the APIs of Sesamy and the CRMs: bounded, https only, with typed errors.

mod api;
mod breaker;
mod calls;
mod error;
mod memory;
mod pause;
mod retry_after;
mod told;
mod wire;
mod withheld;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use thiserror::Error;

pub use api::{Api, ApiDescription, Authorization, Call, Refused, Reply};
pub use calls::{API, API_CALLS, API_LATENCY, STATUS};
pub use error::{ApiError, Fault};
pub use reqwest::{Method, Request, Url};
pub use wire::{Answer, Carried, Wire};
pub use withheld::Withheld;

use crate::identity::VendorId;
use crate::telemetry::Metrics;
use crate::tls::{self, TlsError};
use calls::Calls;
use memory::Memory;
use pause::Pauses;
use withheld::Journal;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest wait for a whole call, the answer's body included.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept, to AWS too. Short, because a frozen
/// function wakes to connections that the other side has long closed, and to
/// find that out takes a call's whole time where nothing answers at all.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

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
    /// What carries the requests in place of the client.
    wire: Option<Arc<dyn Wire>>,
    pauses: Arc<Pauses>,
    calls: Arc<Calls>,
    memory: Arc<Memory>,
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
            wire: None,
            pauses: Arc::default(),
            calls: Arc::default(),
            memory: Arc::default(),
            journal: None,
        })
    }

    /// The same client with its requests carried by something else than the
    /// network, such as a simulation on a virtual clock.
    #[must_use]
    pub fn carried_by(mut self, wire: impl Wire) -> Self {
        self.wire = Some(Arc::new(wire));
        self
    }

    /// Sends a request and reads its answer to the end.
    async fn exchange(&self, request: Request) -> Result<Answer, Fault> {
        let Some(wire) = &self.wire else {
            return wire::read(self.client.execute(request).await).await;
        };
        let carried = tokio::time::timeout(CALL_TIMEOUT, wire.carry(request)).await;
        carried.unwrap_or(Err(Fault::Timeout))
    }

    /// The metrics of the calls made since they were last taken: [`API_CALLS`]
    /// and [`API_LATENCY`].
    pub fn metrics(&self) -> Vec<Metrics> {
        self.calls.take()
    }

    /// How long the API of this name is still left alone by this vendor.
    pub fn left(&self, vendor: &VendorId, api: &'static str) -> Option<Duration> {
        self.pauses.left(vendor, api)
    }

    /// Whether the API of this name was left alone by this vendor not long ago,
    /// as far as this function instance knows.
    pub fn was_left(&self, vendor: &VendorId, api: &'static str) -> bool {
        self.pauses.was_left(vendor, api)
    }

    /// Lets a sync go ahead that will call the API of this name for this
    /// vendor, or says how long the API is still left alone.
    ///
    /// # Errors
    /// How long to wait.
    pub fn enter(&self, vendor: &VendorId, api: &'static str) -> Result<(), Duration> {
        self.pauses.enter(vendor, api)
    }

    /// The same client, with the same connections, pauses and metrics, but for
    /// what it does with writes: it sends none and notes them instead.
    #[must_use]
    pub fn read_only(&self) -> Self {
        Self {
            client: self.client.clone(),
            wire: self.wire.clone(),
            pauses: self.pauses.clone(),
            calls: self.calls.clone(),
            memory: self.memory.clone(),
            journal: Some(Journal::default()),
        }
    }

    /// Says whether more than one reader is worked on from now on: none of them
    /// may then use all of the memory that there is for answers. At first there
    /// is one.
    pub fn share_memory(&self, is_shared: bool) {
        self.memory.share(is_shared);
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
