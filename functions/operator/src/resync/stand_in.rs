//! The surroundings of a resync in memory: table, ticks, connectors' queues,
//! Sesamy, and the Lambda service that hands ticks to the function. Time is
//! tokio's, so that tests move it. The function can die at any call, before or
//! after what the call does.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::identity::{UserId, VendorId};
use shared::message::Message;
use shared::sesamy::{PAGE_USERS, UsersPage};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::platform::{Platform, Unread, WriteError};
use super::run::{Run, State as RunState, Tick};
use super::{Report, Resyncs};
use crate::connectors::Connectors;
use crate::letters::{DeadLetters, Depth, Failed, Letter, Outgoing, Receipt, Unavailable};
use crate::operator::Deadline;
use crate::stand_in::DEDUPLICATION;

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(10);

/// The queue of ticks, as in the template.
const VISIBILITY: Duration = Duration::from_secs(90);
const MOST_RECEIVES: u32 = 50;

/// The delay of a connector's queue, as in the template.
const DELAY: Duration = Duration::from_secs(5);

/// The vendor of most tests.
pub const VENDOR: &str = "nordposten";

/// At which call the function dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// The number of the call, from 0.
    pub call: usize,
    /// Whether the call is still done; else it is not.
    pub done: bool,
}

struct TickMessage {
    id: String,
    body: String,
    visible_at: Instant,
    receives: u32,
}

#[derive(Default)]
struct Queue {
    /// What waits, and since when it can be received.
    messages: Vec<(Instant, Outgoing)>,
    known: HashMap<(String, String), Instant>,
    /// What else is in it: live events.
    others: Depth,
    /// Which readers were synced and when.
    synced: Vec<(Instant, String)>,
    /// No consumer runs before.
    stalled_until: Option<Instant>,
    most_waiting: u64,
    broken: bool,
}

struct State {
    runs: HashMap<VendorId, (String, u64)>,
    ticks: Vec<TickMessage>,
    dead_ticks: usize,
    queues: BTreeMap<String, Queue>,
    users: Vec<String>,
    tells_total: bool,
    pages: Vec<Instant>,
    unread: Vec<Unread>,
    secrets: HashSet<String>,
    vendors: Vec<VendorId>,
    death: Option<Death>,
    calls: usize,
    ids: u32,
    broken: HashSet<&'static str>,
    counted: Vec<RunState>,
}

/// The stand-in. A clone is the same world.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    died: Arc<Notify>,
    began: Instant,
    limit: NonZeroU32,
    connectors: Arc<Connectors<QueueOf>>,
}

/// A connector's queue in a world.
#[derive(Clone)]
pub struct QueueOf {
    name: String,
    state: Arc<Mutex<State>>,
    died: Arc<Notify>,
}

impl World {
    /// A stack of these connectors, for all of which the vendor has secrets.
    pub fn new(connectors: &[&str], users: usize, limit: u32) -> Self {
        let secrets = connectors.iter().chain(&["sesamy"]);
        let state = Arc::new(Mutex::new(State {
            runs: HashMap::new(),
            ticks: Vec::new(),
            dead_ticks: 0,
            queues: connectors
                .iter()
                .map(|name| ((*name).to_owned(), Queue::default()))
                .collect(),
            users: (0..users).map(|number| format!("u{number}")).collect(),
            tells_total: false,
            pages: Vec::new(),
            unread: Vec::new(),
            secrets: secrets.map(|name| format!("{VENDOR}/{name}")).collect(),
            vendors: vec![vendor()],
            death: None,
            calls: 0,
            ids: 0,
            broken: HashSet::new(),
            counted: Vec::new(),
        }));
        let died = Arc::new(Notify::new());
        let text: Vec<_> = connectors
            .iter()
            .map(|name| format!("{name}={name},{name}-dead"))
            .collect();
        let urls = Connectors::read(&text.join(";")).unwrap();
        let queues = urls.map(|urls| QueueOf {
            name: urls.queue,
            state: state.clone(),
            died: died.clone(),
        });
        Self {
            state,
            died,
            began: Instant::now(),
            limit: NonZeroU32::new(limit).unwrap(),
            connectors: Arc::new(queues),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The function.
    pub fn resyncs(&self) -> Resyncs<'_, QueueOf, Self> {
        Resyncs {
            connectors: &self.connectors,
            platform: self,
            requests_per_minute: self.limit,
        }
    }

    pub async fn start(&self) -> Report {
        self.resyncs().start(vendor(), None).await
    }

    pub async fn stop(&self) -> Report {
        self.resyncs().stop(vendor()).await
    }

    pub async fn resume(&self) -> Report {
        self.resyncs().resume(vendor()).await
    }

    pub async fn show(&self) -> Report {
        self.resyncs().show(vendor()).await
    }

    pub async fn reconcile(&self) -> serde_json::Value {
        let deadline = Deadline::after(Duration::from_secs(60));
        serde_json::to_value(self.resyncs().reconcile(deadline).await).unwrap()
    }

    /// Sesamy tells how many users there are.
    pub fn tell_total(&self) {
        self.lock().tells_total = true;
    }

    /// The next pages are not given.
    pub fn withhold(&self, unread: impl IntoIterator<Item = Unread>) {
        self.lock().unread = unread.into_iter().collect();
    }

    /// The function dies at this call, counted from now.
    pub fn die(&self, death: Option<Death>) {
        let mut state = self.lock();
        state.death = death;
        state.calls = 0;
    }

    /// How many calls were made since then.
    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    /// Calls of this name fail from now on, or work again.
    pub fn break_call(&self, name: &'static str, broken: bool) {
        let mut state = self.lock();
        if broken {
            state.broken.insert(name);
        } else {
            state.broken.remove(name);
        }
    }

    /// A connector's queue takes nothing from now on, or works again.
    pub fn break_queue(&self, connector: &str, broken: bool) {
        self.lock().queues.get_mut(connector).unwrap().broken = broken;
    }

    /// What else is in a connector's queue.
    pub fn set_others(&self, connector: &str, others: Depth) {
        self.lock().queues.get_mut(connector).unwrap().others = others;
    }

    /// A connector's function does nothing for so long.
    pub fn stall(&self, connector: &str, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.lock();
        state.queues.get_mut(connector).unwrap().stalled_until = Some(until);
    }

    pub fn without_secret(&self, path: &str) {
        assert!(self.lock().secrets.remove(path), "{path}");
    }

    pub fn add_vendor(&self, id: &str, secrets: &[&str]) {
        let mut state = self.lock();
        state.vendors.push(VendorId::try_from(id).unwrap());
        state
            .secrets
            .extend(secrets.iter().map(|name| format!("{id}/{name}")));
    }

    /// All ticks are lost.
    pub fn lose_ticks(&self) {
        self.lock().ticks.clear();
    }

    /// Every tick that waits is there a second time, as another message.
    pub fn double_ticks(&self) {
        let mut state = self.lock();
        let mut copies = Vec::new();
        for tick in &state.ticks {
            copies.push((tick.body.clone(), tick.visible_at));
        }
        for (body, visible_at) in copies {
            state.add_tick(body, visible_at);
        }
    }

    /// How many ticks wait.
    pub fn ticks(&self) -> usize {
        self.lock().ticks.len()
    }

    pub fn dead_ticks(&self) -> usize {
        self.lock().dead_ticks
    }

    /// The runs that were counted, by how they ended.
    pub fn counted(&self) -> Vec<RunState> {
        self.lock().counted.clone()
    }

    /// The vendor's run as the table has it.
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

    /// Asserts that every connector got every user, and exactly once.
    pub fn assert_each_once(&self) {
        let users: BTreeSet<_> = self.lock().users.iter().cloned().collect();
        for connector in self.connectors.iter() {
            let visits = self.visits(&connector.name);
            let found: BTreeSet<_> = visits.keys().cloned().collect();
            assert_eq!(found, users, "{}", connector.name);
            let twice: Vec<_> = visits.iter().filter(|(_, count)| **count > 1).collect();
            assert!(twice.is_empty(), "{}: {twice:?}", connector.name);
        }
    }

    /// The most requests that Sesamy got in any minute.
    pub fn busiest_minute(&self) -> usize {
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
    pub fn most_waiting(&self) -> u64 {
        let state = self.lock();
        let most = state.queues.values().map(|queue| queue.most_waiting);
        most.max().unwrap_or_default()
    }

    /// The connectors' functions sync what they can receive by now.
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

    /// Hands out ticks for so long, or until there is none. Gives whether there is none.
    pub async fn pass(&self, time: Duration) -> bool {
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
            self.hand_out().await;
        }
    }

    /// Hands ticks out until there is none, for two days at most.
    pub async fn pass_all(&self) {
        assert!(
            self.pass(Duration::from_hours(48)).await,
            "it goes on for ever"
        );
    }

    /// One tick that can be received, to one invocation. Gives whether it was done with it.
    pub async fn hand_out(&self) -> Option<bool> {
        let (id, body) = self.receive()?;
        let tick: Tick = serde_json::from_str(&body).unwrap();
        let done = tokio::select! {
            biased;
            () = self.died.notified() => false,
            done = async { self.resyncs().tick(&tick, &id).await.is_ok() } => done,
        };
        if done {
            self.lock().ticks.retain(|tick| tick.id != id);
        }
        Some(done)
    }

    /// One tick that can be received, to two invocations at the same time.
    pub async fn hand_out_twice(&self) {
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
            .position(|tick| tick.receives >= MOST_RECEIVES);
        if let Some(dead) = dead {
            state.ticks.remove(dead);
            state.dead_ticks += 1;
        }
        let tick = state.ticks.iter_mut().find(|tick| tick.visible_at <= now)?;
        tick.visible_at = now + VISIBILITY;
        tick.receives += 1;
        Some((tick.id.clone(), tick.body.clone()))
    }
}

/// The vendor of most tests.
pub fn vendor() -> VendorId {
    VendorId::try_from(VENDOR).unwrap()
}

fn user_of(body: &str) -> String {
    Message::from_json(body).unwrap().reader.user_id.to_string()
}

impl State {
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

/// A call of the function. Never returns from the one in which it dies.
async fn call<T>(state: &Mutex<State>, died: &Notify, act: impl FnOnce(&mut State) -> T) -> T {
    sleep(LATENCY).await;
    let result = {
        let mut state = state.lock().unwrap();
        let call = state.calls;
        state.calls += 1;
        match state.death {
            Some(death) if death.call == call => {
                state.death = None;
                if death.done {
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
            died.notify_one();
            std::future::pending().await
        }
    }
}

fn broken(state: &State, what: &'static str) -> Result<(), Unavailable> {
    if !state.broken.contains(what) {
        return Ok(());
    }
    let reason = "AccessDenied".to_owned();
    Err(Unavailable { what, reason })
}

impl Platform for World {
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
        call(&self.state, &self.died, |state| {
            broken(state, "run")?;
            let item = state.runs.get(vendor);
            Ok(item.map(|(json, version)| (serde_json::from_str(json).unwrap(), *version)))
        })
        .await
    }

    async fn runs(&self) -> Result<Vec<Run>, Unavailable> {
        call(&self.state, &self.died, |state| {
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
        call(&self.state, &self.died, |state| {
            broken(state, "write")?;
            let current = state.runs.get(&run.vendor_id).map(|(_, version)| *version);
            if current != over {
                return Err(WriteError::Conflict);
            }
            let version = over.unwrap_or_default() + 1;
            state.runs.insert(run.vendor_id.clone(), (json, version));
            // What the real one does when an answer gets lost and its client tries again.
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
        call(&self.state, &self.died, |state| {
            broken(state, "send")?;
            state.add_tick(body, Instant::now() + after);
            Ok(())
        })
        .await
    }

    async fn users(&self, _: &VendorId, offset: usize) -> Result<UsersPage, Unread> {
        call(&self.state, &self.died, |state| {
            state.pages.push(Instant::now());
            if !state.unread.is_empty() {
                return Err(state.unread.remove(0));
            }
            let ids = state.users.iter().skip(offset).take(PAGE_USERS);
            let ids = ids.map(|id| UserId::try_from(id.as_str()).ok()).collect();
            let total = state.tells_total.then_some(state.users.len());
            Ok(UsersPage::of(ids, total))
        })
        .await
    }

    async fn has_secret(&self, path: &str) -> Result<bool, Unavailable> {
        call(&self.state, &self.died, |state| {
            broken(state, "has_secret")?;
            Ok(state.secrets.contains(path))
        })
        .await
    }

    fn count(&self, ended: RunState) {
        self.lock().counted.push(ended);
    }

    async fn vendors(&self) -> Result<Vec<VendorId>, Unavailable> {
        call(&self.state, &self.died, |state| {
            broken(state, "vendors")?;
            Ok(state.vendors.clone())
        })
        .await
    }
}

impl DeadLetters for QueueOf {
    async fn queue_depth(&self) -> Result<Depth, Unavailable> {
        call(&self.state, &self.died, |state| {
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

    async fn send(&self, messages: &[Outgoing]) -> Vec<Failed> {
        assert!(messages.len() <= 10, "SQS takes ten at once");
        call(&self.state, &self.died, |state| {
            let now = Instant::now();
            let queue = state.queues.get_mut(&self.name).unwrap();
            if queue.broken {
                let reason = "ServiceUnavailable".to_owned();
                return vec![Failed { index: 0, reason }];
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
            queue.most_waiting = queue.most_waiting.max(waiting);
            Vec::new()
        })
        .await
    }

    async fn dead_depth(&self) -> Result<Depth, Unavailable> {
        unreachable!("a resync has nothing to do with dead letters")
    }

    async fn receive(&self, _: Duration) -> Result<Vec<Letter>, Unavailable> {
        unreachable!("a resync has nothing to do with dead letters")
    }

    async fn put_back(&self, _: &[Receipt]) {
        unreachable!("a resync has nothing to do with dead letters")
    }

    async fn delete(&self, _: &[Receipt]) -> Vec<Failed> {
        unreachable!("a resync has nothing to do with dead letters")
    }
}
