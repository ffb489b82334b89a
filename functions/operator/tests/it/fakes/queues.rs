//! A connector's queues in memory, which behave as SQS's FIFO queues: a group is
//! locked while a message of it is in flight, and a deduplication id is known for
//! five minutes. Time is tokio's, so tests control it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use operator::dead_letters::{
    ConnectorQueues, ErrorKind, Receipt, ReceivedDeadLetter, Unavailable,
};
use shared::sqs::{Depth, MAX_BATCH, OutgoingMessage, SqsError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a FIFO queue knows a deduplication id (documented).
pub const DEDUPLICATION: Duration = Duration::from_secs(300);

const LATENCY: Duration = Duration::from_millis(10);

/// How long an empty receive takes.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReceiveOrder {
    /// Fills a receive with one group before it begins the next, as SQS does.
    #[default]
    ByGroup,
    /// The oldest message first, as some emulators do.
    ByAge,
}

/// Where the function crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchCrash {
    /// The number of the call, from 0.
    pub call: usize,
    /// How many entries of the batch are still done; of a call without entries,
    /// all or nothing.
    pub entries: usize,
}

#[derive(Debug)]
struct StoredDeadLetter {
    number: u32,
    message: ReceivedDeadLetter,
    visible_at: Instant,
    receives: u32,
}

#[derive(Debug, Default)]
struct QueuesState {
    dead_letters: Vec<StoredDeadLetter>,
    queue: Vec<OutgoingMessage>,
    sent_at: HashMap<(String, String), Instant>,
    depth: Depth,
    next_id: u32,
    order: ReceiveOrder,
    crash: Option<BatchCrash>,
    calls: usize,
    unsendable: HashSet<String>,
    undeletable: HashSet<String>,
    broken: Option<&'static str>,
    max_receives: u32,
    latency: Option<Duration>,
}

/// A clone is the same queues.
#[derive(Clone, Default)]
pub struct FakeQueues {
    state: Arc<Mutex<QueuesState>>,
    crashed: Arc<Notify>,
}

impl FakeQueues {
    pub fn new(order: ReceiveOrder) -> Self {
        let queues = Self::default();
        queues.lock().order = order;
        queues
    }

    fn lock(&self) -> MutexGuard<'_, QueuesState> {
        self.state.lock().unwrap()
    }

    /// Without a kind, as SQS moves a message itself. Returns its id.
    pub fn add_dead_letter(&self, group: &str, body: &str, kind: Option<&str>) -> String {
        let mut state = self.lock();
        state.next_id += 1;
        let number = state.next_id;
        let id = format!("message-{number}");
        let message = ReceivedDeadLetter {
            id: id.clone(),
            receipt: Receipt(String::new()),
            group: group.to_owned(),
            body: body.to_owned(),
            trace: Some(format!("Root=1-{id}")),
            sent_at: None,
            error_kind: ErrorKind::of_attribute(kind),
            error_status: kind.map(|_| "422".to_owned()),
            error_message: kind.map(|_| "fix it".to_owned()),
            died_at: kind.map(|_| "2026-01-15T09:30:00Z".parse().unwrap()),
        };
        state.dead_letters.push(StoredDeadLetter {
            number,
            message,
            visible_at: Instant::now(),
            receives: 0,
        });
        id
    }

    /// Takes all messages from the connector's queue.
    pub fn consume(&self) -> Vec<OutgoingMessage> {
        std::mem::take(&mut self.lock().queue)
    }

    /// The messages in the connector's queue.
    pub fn queued(&self) -> Vec<OutgoingMessage> {
        self.lock().queue.clone()
    }

    pub fn dead_letter_bodies(&self) -> Vec<String> {
        let state = self.lock();
        let bodies = state.dead_letters.iter().map(|one| &one.message.body);
        bodies.cloned().collect()
    }

    pub fn in_flight(&self) -> usize {
        self.lock().in_flight().count()
    }

    /// How often the most received message was received.
    pub fn max_receives(&self) -> u32 {
        self.lock().max_receives
    }

    pub fn calls(&self) -> usize {
        self.lock().calls
    }

    /// Counts calls from now on.
    pub fn set_crash(&self, crash: Option<BatchCrash>) {
        let mut state = self.lock();
        state.crash = crash;
        state.calls = 0;
    }

    pub fn refuse_to_send(&self, body: &str) {
        self.lock().unsendable.insert(body.to_owned());
    }

    pub fn refuse_to_delete(&self, body: &str) {
        self.lock().undeletable.insert(body.to_owned());
    }

    /// Makes calls of this name fail.
    pub fn break_call(&self, name: &'static str) {
        self.lock().broken = Some(name);
    }

    pub fn repair(&self) {
        let mut state = self.lock();
        state.unsendable.clear();
        state.undeletable.clear();
        state.broken = None;
    }

    pub fn set_queue_depth(&self, depth: Depth) {
        self.lock().depth = depth;
    }

    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = Some(latency);
    }

    pub async fn crashed(&self) {
        self.crashed.notified().await;
    }

    /// Does a call, of which `act` gets how many entries to do. Never returns from
    /// the call in which the function crashes.
    async fn call<T>(&self, act: impl FnOnce(&mut QueuesState, usize) -> T) -> T {
        let latency = self.lock().latency;
        tokio::time::sleep(latency.unwrap_or(LATENCY)).await;
        let result = {
            let mut state = self.lock();
            let call = state.calls;
            state.calls += 1;
            match state.crash {
                Some(crash) if crash.call == call => {
                    act(&mut state, crash.entries);
                    None
                }
                _ => Some(act(&mut state, usize::MAX)),
            }
        };
        match result {
            Some(result) => result,
            None => {
                self.crashed.notify_one();
                std::future::pending().await
            }
        }
    }

    fn check(&self, name: &'static str) -> Result<(), Unavailable> {
        if self.lock().broken != Some(name) {
            return Ok(());
        }
        Err(Unavailable {
            what: name,
            reason: "AccessDenied".to_owned(),
        })
    }
}

impl QueuesState {
    fn in_flight(&self) -> impl Iterator<Item = &StoredDeadLetter> {
        let now = Instant::now();
        self.dead_letters
            .iter()
            .filter(move |one| one.visible_at > now)
    }

    /// The index of the message, unless it was received again since.
    fn index_of(&self, receipt: &Receipt) -> Option<usize> {
        let messages = &self.dead_letters;
        let number: u32 = receipt.0.split_once('/')?.0.parse().ok()?;
        let index = messages.binary_search_by_key(&number, |one| one.number);
        index
            .ok()
            .filter(|index| messages[*index].message.receipt == *receipt)
    }

    fn receive(&mut self, visibility_timeout: Duration) -> Vec<ReceivedDeadLetter> {
        let now = Instant::now();
        let group = |index: &usize| self.dead_letters[*index].message.group.as_str();
        let locked: HashSet<&str> = self.in_flight().map(|one| &*one.message.group).collect();
        let all = 0..self.dead_letters.len();
        let mut found: Vec<usize> = all.filter(|i| !locked.contains(group(i))).collect();
        if self.order == ReceiveOrder::ByGroup {
            let mut first = HashMap::new();
            for index in &found {
                first.entry(group(index)).or_insert(*index);
            }
            found.sort_by_key(|index| (first[group(index)], *index));
        }
        found.truncate(MAX_BATCH);
        let mut messages = Vec::new();
        for index in found {
            let stored = &mut self.dead_letters[index];
            stored.visible_at = now + visibility_timeout;
            stored.receives += 1;
            stored.message.receipt = Receipt(format!("{}/{}", stored.number, stored.receives));
            self.max_receives = self.max_receives.max(stored.receives);
            messages.push(stored.message.clone());
        }
        messages
    }

    fn send(&mut self, message: &OutgoingMessage) -> Result<(), SqsError> {
        if self.unsendable.contains(&message.body) {
            return Err(SqsError::new("InternalError"));
        }
        let now = Instant::now();
        let id = (message.group.clone(), message.deduplication_id.clone());
        let sent_at = self.sent_at.get(&id);
        if sent_at.is_none_or(|sent_at| now >= *sent_at + DEDUPLICATION) {
            self.sent_at.insert(id, now);
            self.queue.push(message.clone());
        }
        Ok(())
    }

    fn delete(&mut self, receipt: &Receipt) -> Result<(), SqsError> {
        let index = self.index_of(receipt).filter(|index| {
            let body = &self.dead_letters[*index].message.body;
            !self.undeletable.contains(body)
        });
        let index = index.ok_or_else(|| SqsError::new("ReceiptHandleIsInvalid"))?;
        self.dead_letters.remove(index);
        Ok(())
    }
}

impl ConnectorQueues for FakeQueues {
    async fn queue_depth(&self) -> Result<Depth, Unavailable> {
        self.check("queue_depth")?;
        Ok(self.call(|state, _| state.depth).await)
    }

    async fn dead_letter_depth(&self) -> Result<Depth, Unavailable> {
        self.check("dead_letter_depth")?;
        let depth = self.call(|state, _| {
            let in_flight = state.in_flight().count();
            Depth {
                visible: (state.dead_letters.len() - in_flight) as u64,
                delayed: 0,
                in_flight: in_flight as u64,
            }
        });
        Ok(depth.await)
    }

    async fn receive(
        &self,
        visibility_timeout: Duration,
    ) -> Result<Vec<ReceivedDeadLetter>, Unavailable> {
        self.check("receive")?;
        // The messages are in flight even if the answer never arrives.
        let messages = self
            .call(|state, _| state.receive(visibility_timeout))
            .await;
        if messages.is_empty() {
            tokio::time::sleep(RECEIVE_WAIT).await;
        }
        Ok(messages)
    }

    async fn make_visible(&self, receipts: &[Receipt]) {
        for batch in receipts.chunks(MAX_BATCH) {
            self.call(|state, entries| {
                for receipt in batch.iter().take(entries) {
                    if let Some(index) = state.index_of(receipt) {
                        state.dead_letters[index].visible_at = Instant::now();
                    }
                }
            })
            .await;
        }
    }

    async fn send(&self, messages: &[OutgoingMessage]) -> Vec<Result<(), SqsError>> {
        assert!(messages.len() <= MAX_BATCH);
        if let Err(error) = self.check("send") {
            return vec![Err(SqsError::new(error.reason)); messages.len()];
        }
        self.call(|state, entries| {
            let messages = messages.iter().take(entries);
            messages.map(|message| state.send(message)).collect()
        })
        .await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), SqsError>> {
        assert!(receipts.len() <= MAX_BATCH);
        self.call(|state, entries| {
            let receipts = receipts.iter().take(entries);
            receipts.map(|receipt| state.delete(receipt)).collect()
        })
        .await
    }
}
