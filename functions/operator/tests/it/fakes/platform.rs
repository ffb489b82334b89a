//! What a resync needs from outside, in memory: table, ticks, connectors' queues, Sesamy,
//! and Lambda, which delivers ticks to the function. Time is tokio's, so tests control it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use operator::connectors::Connectors;
use operator::dead_letters::{ConnectorQueues, Receipt, ReceivedDeadLetter, Unavailable};
use operator::deadline::Deadline;
use operator::resync::{
    Platform, ResyncReport, Resyncs, Run, RunState, Tick, UsersError, WriteError,
};
use shared::identity::{UserId, VendorId};
use shared::message::Message;
use shared::sesamy::{PAGE_USERS, UsersPage};
use shared::sqs::{Depth, MAX_BATCH, OutgoingMessage, SqsError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::queues::DEDUPLICATION;

const LATENCY: Duration = Duration::from_millis(10);

/// The queue of ticks, as in the template.
const VISIBILITY: Duration = Duration::from_secs(90);
const MAX_RECEIVES: u32 = 50;

/// The delay of a connector's queue, as in the template.
const DELAY: Duration = Duration::from_secs(5);

/// The vendor of most tests.
pub const VENDOR: &str = "nordposten";

/// Where the function crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// The number of the call, from 0.
    pub call: usize,
    /// Whether the call still takes effect.
    pub done: bool,
}

struct TickMessage {
    id: String,
    body: String,
    visible_at: Instant,
    receives: u32,
}

#[derive(Default)]
struct ConnectorQueueState {
    /// With the time from which each is visible.
    messages: Vec<(Instant, OutgoingMessage)>,
    known: HashMap<(String, String), Instant>,
    /// Messages of live events.
    others: Depth,
    /// Which users were synced when.
    synced: Vec<(Instant, String)>,
    stalled_until: Option<Instant>,
    max_waiting: u64,
    broken: bool,
}

struct FakeState {
    runs: HashMap<VendorId, (String, u64)>,
    ticks: Vec<TickMessage>,
    dead_letter_ticks: usize,
    queues: BTreeMap<String, ConnectorQueueState>,
    users: Vec<String>,
    states_total: bool,
    pages: Vec<Instant>,
    page_errors: Vec<UsersError>,
    secrets: HashSet<String>,
    vendors: Vec<VendorId>,
    crash: Option<Crash>,
    calls: usize,
    ids: u32,
    broken: HashSet<&'static str>,
    counted: Vec<RunState>,
}

/// A clone is the same platform.
#[derive(Clone)]
pub struct FakePlatform {
    state: Arc<Mutex<FakeState>>,
    crashed: Arc<Notify>,
    began: Instant,
    limit: NonZeroU32,
    connectors: Arc<Connectors<FakePlatformQueue>>,
}

#[derive(Clone)]
pub struct FakePlatformQueue {
    name: String,
    state: Arc<Mutex<FakeState>>,
    crashed: Arc<Notify>,
}

impl FakePlatform {
    /// The vendor has secrets for all connectors.
    pub fn new(connectors: &[&str], users: usize, limit: u32) -> Self {
        let secrets = connectors.iter().chain(&["sesamy"]);
        let state = Arc::new(Mutex::new(FakeState {
            runs: HashMap::new(),
            ticks: Vec::new(),
            dead_letter_ticks: 0,
            queues: connectors
                .iter()
                .map(|name| ((*name).to_owned(), ConnectorQueueState::default()))
                .collect(),
            users: (0..users).map(|number| format!("u{number}")).collect(),
            states_total: false,
            pages: Vec::new(),
            page_errors: Vec::new(),
            secrets: secrets.map(|name| format!("{VENDOR}/{name}")).collect(),
            vendors: vec![vendor()],
            crash: None,
            calls: 0,
            ids: 0,
            broken: HashSet::new(),
            counted: Vec::new(),
        }));
        let crashed = Arc::new(Notify::new());
        let text: Vec<_> = connectors
            .iter()
            .map(|name| format!("{name}={name},{name}-dead"))
            .collect();
        let urls = Connectors::parse(&text.join(";")).unwrap();
        let queues = urls.map(|urls| FakePlatformQueue {
            name: urls.queue,
            state: state.clone(),
            crashed: crashed.clone(),
        });
        Self {
            state,
            crashed,
            began: Instant::now(),
            limit: NonZeroU32::new(limit).unwrap(),
            connectors: Arc::new(queues),
        }
    }

    fn lock(&self) -> MutexGuard<'_, FakeState> {
        self.state.lock().unwrap()
    }

    pub fn resyncs(&self) -> Resyncs<'_, FakePlatformQueue, Self> {
        Resyncs {
            connectors: &self.connectors,
            platform: self,
            requests_per_minute: self.limit,
        }
    }

    pub async fn start(&self) -> ResyncReport {
        self.resyncs().start(vendor(), None).await
    }

    pub async fn stop(&self) -> ResyncReport {
        self.resyncs().stop(vendor()).await
    }

    pub async fn resume(&self) -> ResyncReport {
        self.resyncs().resume(vendor()).await
    }

    pub async fn show(&self) -> ResyncReport {
        self.resyncs().show(vendor()).await
    }

    pub async fn reconcile(&self) -> serde_json::Value {
        let deadline = Deadline::after(Duration::from_secs(60));
        serde_json::to_value(self.resyncs().reconcile(deadline).await).unwrap()
    }

    pub fn state_total(&self) {
        self.lock().states_total = true;
    }

    /// One page for each error.
    pub fn fail_next_pages(&self, page_errors: impl IntoIterator<Item = UsersError>) {
        self.lock().page_errors = page_errors.into_iter().collect();
    }

    /// Counts calls from now on.
    pub fn set_crash(&self, crash: Option<Crash>) {
        let mut state = self.lock();
        state.crash = crash;
        state.calls = 0;
    }

    /// Since the last [`Self::set_crash`].
    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    pub fn break_call(&self, name: &'static str, broken: bool) {
        let mut state = self.lock();
        if broken {
            state.broken.insert(name);
        } else {
            state.broken.remove(name);
        }
    }

    pub fn break_queue(&self, connector: &str, broken: bool) {
        self.lock().queues.get_mut(connector).unwrap().broken = broken;
    }

    pub fn set_other_messages(&self, connector: &str, others: Depth) {
        self.lock().queues.get_mut(connector).unwrap().others = others;
    }

    /// Keeps a connector's function from running.
    pub fn stall(&self, connector: &str, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.lock();
        state.queues.get_mut(connector).unwrap().stalled_until = Some(until);
    }

    pub fn remove_secret(&self, path: &str) {
        assert!(self.lock().secrets.remove(path), "{path}");
    }

    pub fn add_vendor(&self, id: &str, secrets: &[&str]) {
        let mut state = self.lock();
        state.vendors.push(VendorId::try_from(id).unwrap());
        state
            .secrets
            .extend(secrets.iter().map(|name| format!("{id}/{name}")));
    }

    pub fn lose_ticks(&self) {
        self.lock().ticks.clear();
    }

    /// Adds each waiting tick again, as another message.
    pub fn duplicate_ticks(&self) {
        let mut state = self.lock();
        let mut copies = Vec::new();
        for tick in &state.ticks {
            copies.push((tick.body.clone(), tick.visible_at));
        }
        for (body, visible_at) in copies {
            state.add_tick(body, visible_at);
        }
    }

    pub fn ticks(&self) -> usize {
        self.lock().ticks.len()
    }

    pub fn dead_letter_ticks(&self) -> usize {
        self.lock().dead_letter_ticks
    }

    /// How the runs ended that were counted.
    pub fn counted(&self) -> Vec<RunState> {
        self.lock().counted.clone()
    }

    pub fn run(&self) -> Run {
        let state = self.lock();
        serde_json::from_str(&state.runs[&vendor()].0).unwrap()
    }

    /// How often each user was synced by a connector.
    pub fn visits(&self, connector: &str) -> BTreeMap<String, u32> {
        self.consume();
        let state = self.lock();
        let queue = &state.queues[connector];
        let mut visits = BTreeMap::new();
        let waiting = queue
            .messages
            .iter()
            .map(|(_, message)| user_of(&message.body));
        for user in queue
            .synced
            .iter()
            .map(|(_, user)| user.clone())
            .chain(waiting)
        {
            *visits.entry(user).or_default() += 1;
        }
        visits
    }

    pub fn assert_each_once(&self) {
        let users: BTreeSet<_> = self.lock().users.iter().cloned().collect();
        for connector in self.connectors.iter() {
            let visits = self.visits(connector.name.as_str());
            let found: BTreeSet<_> = visits.keys().cloned().collect();
            assert_eq!(found, users, "{}", connector.name);
            let twice: Vec<_> = visits.iter().filter(|(_, count)| **count > 1).collect();
            assert!(twice.is_empty(), "{}: {twice:?}", connector.name);
        }
    }

    /// The most requests that Sesamy got in any minute.
    pub fn max_reads_per_minute(&self) -> usize {
        self.consume();
        let state = self.lock();
        let mut reads: Vec<Instant> = state.pages.clone();
        for queue in state.queues.values() {
            for (at, _) in &queue.synced {
                reads.extend([*at; 4]);
            }
        }
        reads.sort();
        let mut first = 0;
        let mut most = 0;
        for (last, at) in reads.iter().enumerate() {
            while *at - reads[first] >= Duration::from_secs(60) {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most
    }

    /// The most messages that waited in a connector's queue.
    pub fn max_waiting(&self) -> u64 {
        let state = self.lock();
        let most = state.queues.values().map(|queue| queue.max_waiting);
        most.max().unwrap_or_default()
    }

    /// Syncs the users whose messages are visible by now.
    fn consume(&self) {
        let now = Instant::now();
        for queue in self.lock().queues.values_mut() {
            let from = queue.stalled_until.filter(|until| *until > now);
            if from.is_some() {
                continue;
            }
            for (visible_at, message) in std::mem::take(&mut queue.messages) {
                if visible_at > now {
                    queue.messages.push((visible_at, message));
                } else {
                    let at = queue
                        .stalled_until
                        .map_or(visible_at, |until| until.max(visible_at));
                    queue.synced.push((at, user_of(&message.body)));
                }
            }
        }
    }

    /// Delivers ticks for a time, or until there is none, which it returns.
    pub async fn run_for(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            let next = self.lock().ticks.iter().map(|tick| tick.visible_at).min();
            match next {
                None => return true,
                Some(at) if at > until => {
                    sleep_until(until).await;
                    return false;
                }
                Some(at) => sleep_until(at.max(Instant::now())).await,
            }
            self.consume();
            self.deliver_tick().await;
        }
    }

    /// Delivers ticks until there is none, for two days at most.
    pub async fn run_to_end(&self) {
        assert!(
            self.run_for(Duration::from_hours(48)).await,
            "it goes on for ever"
        );
    }

    /// Delivers a visible tick. Returns whether the invocation succeeded.
    pub async fn deliver_tick(&self) -> Option<bool> {
        let (id, body) = self.receive()?;
        let tick: Tick = serde_json::from_str(&body).unwrap();
        let done = tokio::select! {
            biased;
            () = self.crashed.notified() => false,
            done = async { self.resyncs().tick(&tick, &id).await.is_ok() } => done,
        };
        if done {
            self.lock().ticks.retain(|tick| tick.id != id);
        }
        Some(done)
    }

    /// Delivers a visible tick to two invocations at the same time.
    pub async fn deliver_tick_twice(&self) {
        self.consume();
        let Some((id, body)) = self.receive() else {
            return;
        };
        let tick: Tick = serde_json::from_str(&body).unwrap();
        let resyncs = self.resyncs();
        let (one, other) = tokio::join!(resyncs.tick(&tick, &id), resyncs.tick(&tick, &id));
        one.unwrap();
        other.unwrap();
        self.lock().ticks.retain(|tick| tick.id != id);
    }

    fn receive(&self) -> Option<(String, String)> {
        let now = Instant::now();
        let mut state = self.lock();
        let dead = state
            .ticks
            .iter()
            .position(|tick| tick.receives >= MAX_RECEIVES);
        if let Some(dead) = dead {
            state.ticks.remove(dead);
            state.dead_letter_ticks += 1;
        }
        let tick = state.ticks.iter_mut().find(|tick| tick.visible_at <= now)?;
        tick.visible_at = now + VISIBILITY;
        tick.receives += 1;
        Some((tick.id.clone(), tick.body.clone()))
    }
}

pub fn vendor() -> VendorId {
    VendorId::try_from(VENDOR).unwrap()
}

fn user_of(body: &str) -> String {
    Message::from_json(body).unwrap().user.user_id.to_string()
}

impl FakeState {
    fn add_tick(&mut self, body: String, visible_at: Instant) {
        self.ids += 1;
        self.ticks.push(TickMessage {
            id: format!("message-{}", self.ids),
            body,
            visible_at,
            receives: 0,
        });
    }
}

/// Never returns from the call in which the function crashes.
async fn call<T>(
    state: &Mutex<FakeState>,
    crashed: &Notify,
    act: impl FnOnce(&mut FakeState) -> T,
) -> T {
    sleep(LATENCY).await;
    let result = {
        let mut state = state.lock().unwrap();
        let call = state.calls;
        state.calls += 1;
        match state.crash {
            Some(crash) if crash.call == call => {
                state.crash = None;
                if crash.done {
                    act(&mut state);
                }
                None
            }
            _ => Some(act(&mut state)),
        }
    };
    match result {
        Some(result) => result,
        None => {
            crashed.notify_one();
            std::future::pending().await
        }
    }
}

fn broken(state: &FakeState, what: &'static str) -> Result<(), Unavailable> {
    if !state.broken.contains(what) {
        return Ok(());
    }
    let reason = "AccessDenied".to_owned();
    Err(Unavailable { what, reason })
}

impl Platform for FakePlatform {
    fn now(&self) -> Timestamp {
        let start: Timestamp = "2026-01-15T03:00:00Z".parse().unwrap();
        start + SignedDuration::try_from(self.began.elapsed()).unwrap()
    }

    fn new_id(&self) -> String {
        let mut state = self.lock();
        state.ids += 1;
        format!("id-{}", state.ids)
    }

    async fn run(&self, vendor: &VendorId) -> Result<Option<(Run, u64)>, Unavailable> {
        call(&self.state, &self.crashed, |state| {
            broken(state, "run")?;
            let item = state.runs.get(vendor);
            Ok(item.map(|(json, version)| (serde_json::from_str(json).unwrap(), *version)))
        })
        .await
    }

    async fn runs(&self) -> Result<Vec<Run>, Unavailable> {
        call(&self.state, &self.crashed, |state| {
            broken(state, "runs")?;
            let runs = state.runs.values();
            Ok(runs
                .map(|(json, _)| serde_json::from_str(json).unwrap())
                .collect())
        })
        .await
    }

    async fn write(&self, run: &Run, over: Option<u64>) -> Result<u64, WriteError> {
        let json = serde_json::to_string(run).unwrap();
        call(&self.state, &self.crashed, |state| {
            broken(state, "write")?;
            let current = state.runs.get(&run.vendor_id).map(|(_, version)| *version);
            if current != over {
                return Err(WriteError::Conflict);
            }
            let version = over.unwrap_or_default() + 1;
            state.runs.insert(run.vendor_id.clone(), (json, version));
            // DynamoDB does so if an answer is lost and the client tries again.
            if state.broken.contains("answer") {
                return Err(WriteError::Conflict);
            }
            Ok(version)
        })
        .await
    }

    async fn send(&self, tick: &Tick, after: Duration) -> Result<(), Unavailable> {
        assert!(
            after <= Duration::from_secs(900),
            "SQS takes no longer delay"
        );
        let body = serde_json::to_string(tick).unwrap();
        call(&self.state, &self.crashed, |state| {
            broken(state, "send")?;
            state.add_tick(body, Instant::now() + after);
            Ok(())
        })
        .await
    }

    async fn users(&self, _: &VendorId, offset: usize) -> Result<UsersPage, UsersError> {
        call(&self.state, &self.crashed, |state| {
            state.pages.push(Instant::now());
            if !state.page_errors.is_empty() {
                return Err(state.page_errors.remove(0));
            }
            let ids = state.users.iter().skip(offset).take(PAGE_USERS);
            let ids = ids.map(|id| UserId::try_from(id.as_str()).ok()).collect();
            let total = state.states_total.then_some(state.users.len());
            Ok(UsersPage::of(ids, total))
        })
        .await
    }

    async fn has_secret(&self, path: &str) -> Result<bool, Unavailable> {
        call(&self.state, &self.crashed, |state| {
            broken(state, "has_secret")?;
            Ok(state.secrets.contains(path))
        })
        .await
    }

    fn count(&self, ended: RunState) {
        self.lock().counted.push(ended);
    }

    async fn vendors(&self) -> Result<Vec<VendorId>, Unavailable> {
        call(&self.state, &self.crashed, |state| {
            broken(state, "vendors")?;
            Ok(state.vendors.clone())
        })
        .await
    }
}

impl ConnectorQueues for FakePlatformQueue {
    async fn queue_depth(&self) -> Result<Depth, Unavailable> {
        call(&self.state, &self.crashed, |state| {
            broken(state, "queue_depth")?;
            let now = Instant::now();
            let queue = &state.queues[&self.name];
            let delayed = queue.messages.iter().filter(|(at, _)| *at > now).count() as u64;
            let others = queue.others;
            Ok(Depth {
                visible: others.visible + queue.messages.len() as u64 - delayed,
                delayed: others.delayed + delayed,
                in_flight: others.in_flight,
            })
        })
        .await
    }

    async fn send(&self, messages: &[OutgoingMessage]) -> Vec<Result<(), SqsError>> {
        assert!(messages.len() <= MAX_BATCH);
        call(&self.state, &self.crashed, |state| {
            let now = Instant::now();
            let queue = state.queues.get_mut(&self.name).unwrap();
            if queue.broken {
                return vec![Err(SqsError::new("ServiceUnavailable")); messages.len()];
            }
            for message in messages {
                let id = (message.group.clone(), message.deduplication_id.clone());
                let known = queue.known.get(&id);
                if known.is_some_and(|sent| now < *sent + DEDUPLICATION) {
                    continue;
                }
                queue.known.insert(id, now);
                queue.messages.push((now + DELAY, message.clone()));
            }
            let waiting = queue.messages.len() as u64;
            queue.max_waiting = queue.max_waiting.max(waiting);
            vec![Ok(()); messages.len()]
        })
        .await
    }

    async fn dead_letter_depth(&self) -> Result<Depth, Unavailable> {
        unreachable!("a resync uses no dead-letter queue")
    }

    async fn receive(&self, _: Duration) -> Result<Vec<ReceivedDeadLetter>, Unavailable> {
        unreachable!("a resync uses no dead-letter queue")
    }

    async fn make_visible(&self, _: &[Receipt]) {
        unreachable!("a resync uses no dead-letter queue")
    }

    async fn delete(&self, _: &[Receipt]) -> Vec<Result<(), SqsError>> {
        unreachable!("a resync uses no dead-letter queue")
    }
}
