//! Starts the fakes and gives tests access to them.

use std::{io, net::Ipv4Addr, thread::JoinHandle, time::Duration};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::{
    api::{Api, Urls},
    faults::{ActiveFault, Fault},
    hubspot::HubSpot,
    mailchimp::Mailchimp,
    mailmojo::Mailmojo,
    make::Make,
    other::{Call, Reply},
    request_log::{DEFAULT_KEPT, RecordedRequest},
    rule::Rule,
    seed::Seed,
    server,
    sesamy::Sesamy,
    state::{FakesState, SharedState},
    violations::{Violation, ViolationKind},
};

#[must_use]
#[derive(Clone, Debug, Default)]
pub struct Builder {
    port: u16,
    seed: Option<Seed>,
    requests_kept: Option<usize>,
}

impl Builder {
    /// By default the server listens on a free port.
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The initial content, which the control API's reset restores.
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = Some(seed);
        self
    }

    pub const fn requests_kept(mut self, count: usize) -> Self {
        self.requests_kept = Some(count);
        self
    }

    pub async fn start(self) -> io::Result<Fakes> {
        self.start_now()
    }

    /// Like [`Self::start`], for callers that are not async.
    pub fn start_now(self) -> io::Result<Fakes> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let mut state = FakesState::new(self.requests_kept.unwrap_or(DEFAULT_KEPT));
        if let Some(seed) = self.seed.clone() {
            state.apply(seed);
        }
        let urls = Urls::new(format!("http://{address}"));
        let shared = SharedState::new(state, urls, self.seed);
        let (stop, stopped) = oneshot::channel();
        // On a separate thread the server keeps running while a test blocks or pauses its
        // clock.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let server_state = shared.clone();
        let thread = std::thread::Builder::new()
            .name(format!("fakes-{}", address.port()))
            .spawn(move || {
                runtime.block_on(async {
                    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                        return;
                    };
                    tokio::select! {
                        _ = server::serve(listener, server_state) => {}
                        _ = stopped => {}
                    }
                });
                // Dropping the runtime closes every open connection.
            })?;
        Ok(Fakes {
            state: shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// The running fakes. Dropping them stops the server.
pub struct Fakes {
    state: SharedState,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Fakes {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails only if the server has already ended.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // Fails only if the server panicked. Then there is nothing to stop.
            let _ = thread.join();
        }
    }
}

impl Fakes {
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn base(&self) -> &str {
        &self.state.urls.base
    }

    pub fn urls(&self) -> &Urls {
        &self.state.urls
    }

    pub fn sesamy(&self) -> Sesamy {
        Sesamy(self.state.clone())
    }

    pub fn rule(&self) -> Rule {
        Rule(self.state.clone())
    }

    pub fn mailmojo(&self) -> Mailmojo {
        Mailmojo(self.state.clone())
    }

    pub fn make(&self) -> Make {
        Make(self.state.clone())
    }

    pub fn mailchimp(&self) -> Mailchimp {
        Mailchimp(self.state.clone())
    }

    pub fn hubspot(&self) -> HubSpot {
        HubSpot(self.state.clone())
    }

    /// Serves an account of a CRM whose fake the test brings along, under the path of
    /// [`Api::Other`]. The account's name is its bearer token.
    pub fn serve(&self, account: &str, answer: impl FnMut(&Call) -> Reply + Send + 'static) {
        self.state.lock().other.add(account, answer);
    }

    /// The state of all APIs, without credentials.
    pub fn state(&self) -> Value {
        self.state.lock().to_json()
    }

    /// Adds a fault and returns its id.
    pub fn fault(&self, fault: Fault) -> u64 {
        self.state.lock().faults.add(fault)
    }

    pub fn remove_fault(&self, id: u64) -> bool {
        self.state.lock().faults.remove(id)
    }

    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    pub fn faults(&self) -> Vec<ActiveFault> {
        self.state.lock().faults.list()
    }

    /// Seeds the random numbers of faults with a probability.
    pub fn seed_faults(&self, seed: u64) {
        self.state.lock().faults.seed(seed);
    }

    /// Delays every response.
    pub fn set_latency(&self, latency: Duration) {
        self.state.lock().latency = latency;
    }

    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.lock().requests.list()
    }

    pub fn requests_to(&self, api: Api) -> Vec<RecordedRequest> {
        let mut requests = self.requests();
        requests.retain(|request| request.api == api);
        requests
    }

    /// The number of all requests, including those no longer kept.
    pub fn request_count(&self) -> u64 {
        self.state.lock().requests.received()
    }

    pub fn clear_requests(&self) {
        self.state.lock().requests.clear();
    }

    pub fn violations(&self) -> Vec<Violation> {
        self.state.lock().violations.list()
    }

    pub fn violation_kinds(&self) -> Vec<ViolationKind> {
        self.violations().into_iter().map(|v| v.kind).collect()
    }

    pub fn clear_violations(&self) {
        self.state.lock().violations.clear();
    }

    /// Deletes everything except the accounts with their credentials, lists and settings.
    /// Handles stay valid.
    pub fn reset(&self) {
        self.state.lock().reset();
    }
}
