//! The running stand-ins, as a test holds them.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::{
    api::{Api, Urls},
    faults::{ActiveFault, Fault},
    mailmojo::Mailmojo,
    make::Make,
    requests::{DEFAULT_KEPT, RecordedRequest},
    rule::Rule,
    seed::Seed,
    server,
    sesamy::Sesamy,
    violations::{Harm, Violation},
    world::{Shared, World},
};

/// How stand-ins are started.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    port: u16,
    seed: Option<Seed>,
    requests_kept: Option<usize>,
}

impl Builder {
    /// Listen on this port instead of a free one.
    #[must_use]
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Begin with this content. The control API's reset comes back to it.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Keep so many recorded requests instead of 10,000.
    #[must_use]
    pub const fn requests_kept(mut self, count: usize) -> Self {
        self.requests_kept = Some(count);
        self
    }

    /// Binds the port and starts the server.
    ///
    /// # Errors
    /// When the port is taken or no thread can be started.
    pub async fn start(self) -> io::Result<StandIns> {
        self.start_now()
    }

    /// The same outside of async code; nothing in it waits.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn start_now(self) -> io::Result<StandIns> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let mut world = World::new(self.requests_kept.unwrap_or(DEFAULT_KEPT));
        if let Some(seed) = self.seed.clone() {
            world.apply(seed);
        }
        let urls = Urls::of(format!("http://{address}"));
        let shared = Shared::new(world, urls, self.seed);
        let (stop, stopped) = oneshot::channel();
        // A thread of its own, so that a test may block or pause its clock
        // without stopping the server it talks to.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let serving = shared.clone();
        let thread = std::thread::Builder::new()
            .name(format!("stand-ins-{}", address.port()))
            .spawn(move || {
                runtime.block_on(async {
                    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                        return;
                    };
                    tokio::select! {
                        _ = server::serve(listener, serving) => {}
                        _ = stopped => {}
                    }
                });
                // Dropping the runtime ends every open connection.
            })?;
        Ok(StandIns {
            shared,
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// Running stand-ins. Dropping them stops the server.
pub struct StandIns {
    shared: Shared,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for StandIns {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails only when the server is gone already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panicked server has nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl StandIns {
    /// Starts empty stand-ins on a free port of the loopback address.
    ///
    /// # Errors
    /// When no port can be bound or no thread started.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts with options.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The server's address, `http://127.0.0.1:port`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.shared.urls.base
    }

    /// Every address that goes into a client's configuration.
    #[must_use]
    pub fn urls(&self) -> &Urls {
        &self.shared.urls
    }

    /// The bound address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sesamy.
    #[must_use]
    pub fn sesamy(&self) -> Sesamy {
        Sesamy::new(self.shared.clone())
    }

    /// Rule.
    #[must_use]
    pub fn rule(&self) -> Rule {
        Rule::new(self.shared.clone())
    }

    /// Mailmojo.
    #[must_use]
    pub fn mailmojo(&self) -> Mailmojo {
        Mailmojo::new(self.shared.clone())
    }

    /// Make.as.
    #[must_use]
    pub fn make(&self) -> Make {
        Make::new(self.shared.clone())
    }

    /// Adds what a seed holds; what is there already is overwritten by name.
    pub fn preload(&self, seed: Seed) {
        self.shared.lock().apply(seed);
    }

    /// The state of all APIs as the control API shows it, without credentials.
    #[must_use]
    pub fn state(&self) -> Value {
        crate::control::state(&self.shared.lock())
    }

    /// Adds a fault and gives its number.
    pub fn fault(&self, fault: Fault) -> u64 {
        self.shared.lock().faults.add(fault)
    }

    /// Takes a fault off; false where there is none with this number.
    pub fn remove_fault(&self, id: u64) -> bool {
        self.shared.lock().faults.remove(id)
    }

    /// Takes every fault off.
    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// The faults in force, with how often each has struck.
    #[must_use]
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.shared.lock().faults.list()
    }

    /// Starts the dice of faults with a probability anew.
    pub fn seed_faults(&self, seed: u64) {
        self.shared.lock().faults.seed(seed);
    }

    /// Every answer takes so much longer.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.lock().latency = latency;
    }

    /// The requests received, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().requests.list()
    }

    /// The requests to one API, oldest first.
    #[must_use]
    pub fn requests_to(&self, api: Api) -> Vec<RecordedRequest> {
        let mut requests = self.requests();
        requests.retain(|request| request.api == api);
        requests
    }

    /// How many requests were received, also those no longer kept.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.shared.lock().requests.received()
    }

    /// Forgets the recorded requests.
    pub fn clear_requests(&self) {
        self.shared.lock().requests.clear();
    }

    /// The mistakes a real API would have carried out without a word.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.lock().violations.list()
    }

    /// The kinds of the violations, in order: short enough to compare.
    #[must_use]
    pub fn harms(&self) -> Vec<Harm> {
        self.violations().into_iter().map(|v| v.harm).collect()
    }

    /// Forgets the violations.
    pub fn clear_violations(&self) {
        self.shared.lock().violations.clear();
    }

    /// Empties everything but the accounts with their credentials, lists and
    /// settings, so that handles made before stay good.
    pub fn reset(&self) {
        self.shared.lock().reset();
    }
}

impl Seed {
    /// Reads a seed file.
    ///
    /// # Errors
    /// When the file cannot be read or is no seed.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = std::fs::read(path)?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }
}
