//! What a resync needs from outside, in memory: Step Functions, the connectors' queues and
//! Sesamy. The executions follow the state machine's own definition. Time is tokio's, so
//! tests control it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use operator::command::Command;
use operator::connectors::Connectors;
use operator::dead_letters::{ConnectorQueues, Receipt, ReceivedDeadLetter, Unavailable};
use operator::deadline::Deadline;
use operator::resync::{
    Execution, ExecutionState, Executions, Platform, Progress, Resyncs, Run, StartError, Users,
    UsersError, Vendors, name,
};
use serde_json::{Value, json};
use shared::identity::{UserId, VendorId};
use shared::message::Message;
use shared::request::parse_command;
use shared::sesamy::{PAGE_USERS, UsersPage};
use shared::sqs::{Depth, MAX_BATCH, OutgoingMessage, SqsError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::queues::DEDUPLICATION;

const LATENCY: Duration = Duration::from_millis(10);

/// What Lambda needs to notice that a function died.
const DEATH: Duration = Duration::from_secs(60);

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

/// An execution, its newest data and how often its states were entered.
struct FakeExecution {
    name: String,
    state: ExecutionState,
    data: Value,
    cause: Option<String>,
    ended_at: Option<Timestamp>,
    events: u32,
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
    /// The oldest first.
    executions: Vec<FakeExecution>,
    /// Executions that `executions` does not show yet: AWS's list lags.
    hidden: usize,
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
            executions: Vec::new(),
            hidden: 0,
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

    /// Asks as a person does, and returns the answer's JSON.
    pub async fn ask(&self, event: Value) -> Value {
        let command: Command = parse_command(event).unwrap();
        let Command::Resync(command) = command else {
            unreachable!("not a resync");
        };
        match self.resyncs().execute(command).await {
            Ok(answer) => serde_json::to_value(answer).unwrap(),
            Err(error) => json!({ "error": error }),
        }
    }

    async fn change(&self, operation: &str) -> Value {
        let event = json!({"action": "resync", "vendorId": VENDOR, "do": operation});
        self.ask(event).await
    }

    pub async fn start(&self) -> Value {
        self.change("start").await
    }

    pub async fn stop(&self) -> Value {
        self.change("stop").await
    }

    pub async fn resume(&self) -> Value {
        self.change("resume").await
    }

    pub async fn show(&self) -> Value {
        self.change("show").await
    }

    pub async fn reconcile(&self) -> serde_json::Value {
        let deadline = Deadline::after(Duration::from_secs(60));
        match self.resyncs().reconcile(deadline).await {
            Ok(done) => serde_json::to_value(done).unwrap(),
            Err(error) => json!({ "error": error }),
        }
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

    /// The list lags: it does not show the newest executions.
    pub fn hide_newest(&self, executions: usize) {
        self.lock().hidden = executions;
    }

    /// Name, state and events of each execution, the oldest first.
    pub fn executions_so_far(&self) -> Vec<(String, ExecutionState, u32)> {
        let state = self.lock();
        let executions = state.executions.iter();
        executions
            .map(|one| (one.name.clone(), one.state, one.events))
            .collect()
    }

    /// The run of [`VENDOR`] as its newest execution has it.
    pub fn run(&self) -> Run {
        let state = self.lock();
        let mut executions = state.executions.iter().rev();
        let data = &executions
            .find(|one| one.name.starts_with(VENDOR))
            .unwrap()
            .data;
        serde_json::from_value(data["run"].clone()).unwrap()
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

    /// Lets time pass. Returns whether no execution is left running.
    pub async fn run_for(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until && self.is_running() {
            sleep(Duration::from_secs(1).min(until - Instant::now())).await;
            self.consume();
        }
        !self.is_running()
    }

    /// Lets time pass until no execution is running, for two days at most.
    pub async fn run_to_end(&self) {
        assert!(
            self.run_for(Duration::from_hours(48)).await,
            "it goes on for ever"
        );
    }

    fn is_running(&self) -> bool {
        let state = self.lock();
        let mut executions = state.executions.iter();
        executions.any(|one| one.state == ExecutionState::Running)
    }

    fn launch(&self, name: String, input: Value) -> Result<Execution, StartError> {
        let execution = {
            let mut state = self.lock();
            if state.executions.iter().any(|one| one.name == name) {
                return Err(StartError::Exists);
            }
            state.executions.push(FakeExecution {
                name,
                state: ExecutionState::Running,
                data: input.clone(),
                cause: None,
                ended_at: None,
                events: 2,
            });
            shown(state.executions.last().unwrap())
        };
        let (platform, name) = (self.clone(), execution.name.clone());
        tokio::spawn(async move { platform.execute(name, input).await });
        Ok(execution)
    }

    /// Walks through the states of the definition.
    async fn execute(self, name: String, mut data: Value) {
        let definition = include_str!("../../../resync.asl.json");
        let definition: Value = serde_json::from_str(definition).unwrap();
        let mut at = definition["StartAt"].as_str().unwrap().to_owned();
        loop {
            let state = &definition["States"][&at];
            self.with(&name, |one| one.data = data.clone());
            let (result, next) = match state["Type"].as_str().unwrap() {
                "Task" => self.task(&name, state, &data).await,
                "Choice" => {
                    self.with(&name, |one| one.events += 2);
                    (data.clone(), choose(state, &data))
                }
                "Wait" => {
                    self.with(&name, |one| one.events += 2);
                    let seconds = data[path(&state["SecondsPath"])].as_u64().unwrap();
                    sleep(Duration::from_secs(seconds)).await;
                    (data.clone(), state["Next"].as_str())
                }
                "Succeed" => return self.end(&name, ExecutionState::Succeeded, None),
                "Fail" => {
                    let cause = data[path(&state["CausePath"])].as_str().unwrap();
                    return self.end(&name, ExecutionState::Failed, Some(cause));
                }
                other => unreachable!("{other}"),
            };
            if !self.with(&name, |one| one.state == ExecutionState::Running) {
                return;
            }
            data = result;
            match next {
                Some(next) => at = next.to_owned(),
                None => return self.end(&name, ExecutionState::Succeeded, None),
            }
        }
    }

    async fn task<'d>(
        &self,
        name: &str,
        state: &'d Value,
        data: &Value,
    ) -> (Value, Option<&'d str>) {
        let retry = &state["Retry"][0];
        let seconds = |key: &str| retry[key].as_f64().unwrap();
        let (mut interval, mut retries) = (seconds("IntervalSeconds"), 0);
        self.with(name, |one| one.events += 2);
        loop {
            self.with(name, |one| one.events += 3);
            let resource = state["Resource"].as_str().unwrap();
            let result = if resource.ends_with("lambda:invoke") {
                let run = serde_json::from_value(data["run"].clone()).unwrap();
                self.invoke(run, retries).await
            } else {
                assert!(resource.ends_with("states:startExecution"), "{resource}");
                let input = json!({ "run": data["run"] });
                let started = self.launch(data["name"].as_str().unwrap().to_owned(), input);
                Some(json!({ "executionArn": started.unwrap().arn }))
            };
            if let Some(result) = result {
                return (result, state["Next"].as_str());
            }
            assert!(
                u64::from(retries) < retry["MaxAttempts"].as_u64().unwrap(),
                "given up"
            );
            sleep(Duration::from_secs_f64(interval)).await;
            interval = (interval * seconds("BackoffRate")).min(seconds("MaxDelaySeconds"));
            retries += 1;
        }
    }

    /// Invokes the function; `None` if it fails or dies.
    async fn invoke(&self, run: Run, retries: u32) -> Option<Value> {
        let resyncs = self.resyncs();
        let answer = tokio::select! {
            biased;
            () = self.crashed.notified() => {
                sleep(DEATH).await;
                return None;
            }
            answer = resyncs.step(run, retries) => answer.ok()?,
        };
        Some(serde_json::to_value(answer).unwrap())
    }

    fn end(&self, name: &str, state: ExecutionState, cause: Option<&str>) {
        let now = self.now();
        self.with(name, |one| {
            if one.state == ExecutionState::Running {
                one.state = state;
                one.cause = cause.map(str::to_owned);
                one.ended_at = Some(now);
            }
        });
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut FakeExecution) -> T) -> T {
        let mut state = self.lock();
        let mut executions = state.executions.iter_mut();
        act(executions.find(|one| one.name == name).unwrap())
    }
}

/// The field that a JSONPath names.
fn path(path: &Value) -> &str {
    path.as_str().unwrap().strip_prefix("$.").unwrap()
}

fn choose<'d>(state: &'d Value, data: &Value) -> Option<&'d str> {
    let choices = state["Choices"].as_array().unwrap().iter();
    let chosen = choices
        .filter(|choice| data[path(&choice["Variable"])] == choice["StringEquals"])
        .find_map(|choice| choice["Next"].as_str());
    chosen.or(state["Default"].as_str())
}

fn shown(execution: &FakeExecution) -> Execution {
    Execution {
        arn: format!(
            "arn:aws:states:eu-north-1:1:execution:resync:{}",
            execution.name
        ),
        name: execution.name.clone(),
        state: execution.state,
        ended_at: execution.ended_at,
    }
}

pub fn vendor() -> VendorId {
    VendorId::try_from(VENDOR).unwrap()
}

fn user_of(body: &str) -> String {
    Message::from_json(body).unwrap().user.user_id.to_string()
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
}

impl Executions for FakePlatform {
    async fn start(&self, run: &Run) -> Result<Execution, StartError> {
        let input = json!({ "run": run });
        let broken = call(&self.state, &self.crashed, |state| broken(state, "start"));
        broken.await?;
        self.launch(name(&run.vendor_id, run.execution), input)
    }

    async fn executions(
        &self,
        mut enough: impl FnMut(&Execution) -> bool + Send,
    ) -> Result<Vec<Execution>, Unavailable> {
        call(&self.state, &self.crashed, |state| {
            broken(state, "executions")?;
            let mut found = Vec::new();
            for execution in state.executions.iter().rev().skip(state.hidden) {
                let execution = shown(execution);
                let done = enough(&execution);
                found.push(execution);
                if done {
                    break;
                }
            }
            Ok(found)
        })
        .await
    }

    async fn progress(&self, execution: &Execution) -> Result<Option<Progress>, Unavailable> {
        call(&self.state, &self.crashed, |state| {
            broken(state, "progress")?;
            let mut all = state.executions.iter();
            let found = all.find(|one| one.name == execution.name);
            Ok(found.map(|one| Progress {
                run: serde_json::from_value(one.data["run"].clone()).unwrap(),
                cause: one.cause.clone(),
            }))
        })
        .await
    }

    async fn stop(&self, execution: &Execution) -> Result<(), Unavailable> {
        call(&self.state, &self.crashed, |state| broken(state, "stop")).await?;
        self.end(&execution.name, ExecutionState::Aborted, None);
        Ok(())
    }
}

impl Users for FakePlatform {
    async fn users(&self, _: &VendorId, offset: usize) -> Result<UsersPage, UsersError> {
        call(&self.state, &self.crashed, |state| {
            state.pages.push(Instant::now());
            if !state.page_errors.is_empty() {
                return Err(state.page_errors.remove(0));
            }
            let ids = state.users.iter().skip(offset).take(PAGE_USERS);
            let ids = ids.map(|id| UserId::try_from(id.as_str()).ok()).collect();
            let total = state.states_total.then_some(state.users.len());
            Ok(UsersPage::from_ids(ids, total))
        })
        .await
    }
}

impl Vendors for FakePlatform {
    async fn has_secret(&self, path: &str) -> Result<bool, Unavailable> {
        call(&self.state, &self.crashed, |state| {
            broken(state, "has_secret")?;
            Ok(state.secrets.contains(path))
        })
        .await
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
