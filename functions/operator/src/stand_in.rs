//! A connector's queues in memory, as SQS keeps FIFO queues: groups are locked
//! while a letter of theirs is in flight, letters come back when their time
//! ends, and a deduplication id is known for five minutes. Time is tokio's, so
//! that tests move it. It can fail in parts, and die at any step.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::letters::{
    DeadLetters, Depth, ErrorKind, Failed, Letter, MOST_AT_ONCE, Outgoing, Receipt, Unavailable,
    Why,
};

/// How long a FIFO queue knows a deduplication id (documented).
pub const DEDUPLICATION: Duration = Duration::from_secs(300);

/// How long a call takes, unless told otherwise.
const LATENCY: Duration = Duration::from_millis(10);

/// How long a receive waits for letters.
const WAIT: Duration = Duration::from_secs(1);

/// In what order letters of several groups come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// A receive is filled with one group before it begins the next, as SQS does.
    #[default]
    ByGroup,
    /// The oldest letter first, as some emulators do.
    ByAge,
}

/// At which step the function dies, and how much of the step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// The number of the call, from 0.
    pub call: usize,
    /// How many entries of a batch are done; of a call without entries, all or nothing.
    pub entries: usize,
}

#[derive(Debug)]
struct Dead {
    number: u32,
    letter: Letter,
    visible_at: Instant,
    receives: u32,
}

#[derive(Debug, Default)]
struct State {
    dead: Vec<Dead>,
    queue: Vec<Outgoing>,
    known: HashMap<(String, String), Instant>,
    depth: Depth,
    next_id: u32,
    order: Order,
    death: Option<Death>,
    calls: usize,
    refuse_bodies: HashSet<String>,
    keep_bodies: HashSet<String>,
    broken: Option<&'static str>,
    most_receives: u32,
    latency: Option<Duration>,
}

/// The stand-in. A clone is the same queues.
#[derive(Clone, Default)]
pub struct StandIn {
    state: Arc<Mutex<State>>,
    died: Arc<Notify>,
}

impl StandIn {
    pub fn new(order: Order) -> Self {
        let stand_in = Self::default();
        stand_in.state.lock().unwrap().order = order;
        stand_in
    }

    /// A message dies: a letter of a new id. `None` for the kind is SQS's own redrive.
    pub fn bury(&self, group: &str, body: &str, kind: Option<&str>) -> String {
        let mut state = self.state.lock().unwrap();
        state.next_id += 1;
        let id = format!("letter-{}", state.next_id);
        let died_at = Some("2026-01-15T09:30:00Z".parse().unwrap());
        let letter = Letter {
            id: id.clone(),
            receipt: Receipt(String::new()),
            group: group.to_owned(),
            body: body.to_owned(),
            trace: Some(format!("Root=1-{id}")),
            sent_at: None,
            why: Why {
                kind: ErrorKind::of_attribute(kind),
                status: kind.map(|_| "422".to_owned()),
                message: kind.map(|_| "mend it".to_owned()),
                died_at: kind.and(died_at),
            },
        };
        let number = state.next_id;
        state.dead.push(Dead {
            number,
            letter,
            visible_at: Instant::now(),
            receives: 0,
        });
        id
    }

    /// The connector takes all that is in its queue.
    pub fn consume(&self) -> Vec<Outgoing> {
        std::mem::take(&mut self.state.lock().unwrap().queue)
    }

    /// What is in the connector's queue.
    pub fn queued(&self) -> Vec<Outgoing> {
        self.state.lock().unwrap().queue.clone()
    }

    /// The bodies of all letters that are left, in the queue's order.
    pub fn left(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.dead.iter().map(|d| d.letter.body.clone()).collect()
    }

    /// How many letters are in flight.
    pub fn in_flight(&self) -> usize {
        let state = self.state.lock().unwrap();
        let now = Instant::now();
        state.dead.iter().filter(|d| d.visible_at > now).count()
    }

    /// How often the most received letter was received.
    pub fn most_receives(&self) -> u32 {
        self.state.lock().unwrap().most_receives
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.state.lock().unwrap().calls
    }

    /// The next death; calls are counted from now.
    pub fn die(&self, death: Option<Death>) {
        let mut state = self.state.lock().unwrap();
        state.death = death;
        state.calls = 0;
    }

    /// The queue takes no message of this body.
    pub fn refuse(&self, body: &str) {
        let mut state = self.state.lock().unwrap();
        state.refuse_bodies.insert(body.to_owned());
    }

    /// No letter of this body can be deleted.
    pub fn keep(&self, body: &str) {
        let mut state = self.state.lock().unwrap();
        state.keep_bodies.insert(body.to_owned());
    }

    /// All is well again.
    pub fn mend(&self) {
        let mut state = self.state.lock().unwrap();
        state.refuse_bodies.clear();
        state.keep_bodies.clear();
        state.broken = None;
    }

    /// Calls of this name fail.
    pub fn break_call(&self, name: &'static str) {
        self.state.lock().unwrap().broken = Some(name);
    }

    /// What the queue says of itself.
    pub fn set_queue_depth(&self, depth: Depth) {
        self.state.lock().unwrap().depth = depth;
    }

    /// Every call takes so long from now on.
    pub fn slow(&self, latency: Duration) {
        self.state.lock().unwrap().latency = Some(latency);
    }

    /// Ends when the function has died.
    pub async fn died(&self) {
        self.died.notified().await;
    }

    /// A call of so many entries: how many of them are done. Never returns from
    /// the call in which the function dies.
    async fn call<T>(&self, act: impl FnOnce(&mut State, usize) -> T) -> T {
        let latency = self.state.lock().unwrap().latency;
        tokio::time::sleep(latency.unwrap_or(LATENCY)).await;
        let result = {
            let mut state = self.state.lock().unwrap();
            let call = state.calls;
            state.calls += 1;
            match state.death {
                Some(death) if death.call == call => {
                    act(&mut state, death.entries);
                    None
                }
                _ => Some(act(&mut state, usize::MAX)),
            }
        };
        match result {
            Some(result) => result,
            None => {
                self.died.notify_one();
                std::future::pending().await
            }
        }
    }

    fn broken(&self, name: &'static str) -> Option<String> {
        let state = self.state.lock().unwrap();
        (state.broken == Some(name)).then(|| "AccessDenied".to_owned())
    }

    fn unavailable(&self, what: &'static str) -> Result<(), Unavailable> {
        match self.broken(what) {
            Some(reason) => Err(Unavailable { what, reason }),
            None => Ok(()),
        }
    }
}

impl State {
    /// Where the letter of this receipt is, unless it was received anew since.
    fn place(&self, receipt: &Receipt) -> Option<usize> {
        let number: u32 = receipt.0.split_once('/')?.0.parse().ok()?;
        let place = self.dead.binary_search_by_key(&number, |d| d.number).ok()?;
        (self.dead[place].letter.receipt == *receipt).then_some(place)
    }

    fn receive(&mut self, hide: Duration) -> Vec<Letter> {
        let now = Instant::now();
        let mut found: Vec<usize> = {
            let group = |index: &usize| self.dead[*index].letter.group.as_str();
            let in_flight = self.dead.iter().filter(|dead| dead.visible_at > now);
            let locked: HashSet<&str> = in_flight.map(|d| d.letter.group.as_str()).collect();
            let all = 0..self.dead.len();
            let mut found: Vec<usize> = all.filter(|i| !locked.contains(group(i))).collect();
            if self.order == Order::ByGroup {
                let mut first = HashMap::new();
                for index in &found {
                    first.entry(group(index)).or_insert(*index);
                }
                found.sort_by_key(|index| (first[group(index)], *index));
            }
            found
        };
        found.truncate(MOST_AT_ONCE);
        let mut letters = Vec::new();
        for index in found {
            let dead = &mut self.dead[index];
            dead.visible_at = now + hide;
            dead.receives += 1;
            dead.letter.receipt = Receipt(format!("{}/{}", dead.number, dead.receives));
            self.most_receives = self.most_receives.max(dead.receives);
            letters.push(dead.letter.clone());
        }
        letters
    }
}

impl DeadLetters for StandIn {
    async fn queue_depth(&self) -> Result<Depth, Unavailable> {
        self.unavailable("queue_depth")?;
        Ok(self.call(|state, _| state.depth).await)
    }

    async fn dead_depth(&self) -> Result<Depth, Unavailable> {
        self.unavailable("dead_depth")?;
        let depth = self.call(|state, _| {
            let now = Instant::now();
            let in_flight = state.dead.iter().filter(|d| d.visible_at > now).count();
            Depth {
                visible: (state.dead.len() - in_flight) as u64,
                delayed: 0,
                in_flight: in_flight as u64,
            }
        });
        Ok(depth.await)
    }

    async fn receive(&self, hide: Duration) -> Result<Vec<Letter>, Unavailable> {
        self.unavailable("receive")?;
        // An answer that never arrives has hidden its letters all the same.
        let letters = self.call(|state, _| state.receive(hide)).await;
        if letters.is_empty() {
            tokio::time::sleep(WAIT).await;
        }
        Ok(letters)
    }

    async fn put_back(&self, receipts: &[Receipt]) {
        for chunk in receipts.chunks(MOST_AT_ONCE) {
            self.call(|state, entries| {
                for receipt in chunk.iter().take(entries) {
                    if let Some(place) = state.place(receipt) {
                        state.dead[place].visible_at = Instant::now();
                    }
                }
            })
            .await;
        }
    }

    async fn send(&self, messages: &[Outgoing]) -> Vec<Failed> {
        assert!(messages.len() <= MOST_AT_ONCE);
        if let Some(reason) = self.broken("send") {
            return (0..messages.len())
                .map(|index| Failed {
                    index,
                    reason: reason.clone(),
                })
                .collect();
        }
        self.call(|state, entries| {
            let now = Instant::now();
            let mut failed = Vec::new();
            for (index, message) in messages.iter().enumerate().take(entries) {
                if state.refuse_bodies.contains(&message.body) {
                    let reason = "InternalError".to_owned();
                    failed.push(Failed { index, reason });
                    continue;
                }
                let id = (message.group.clone(), message.deduplication_id.clone());
                let known = state.known.get(&id);
                if known.is_some_and(|sent| now < *sent + DEDUPLICATION) {
                    continue;
                }
                state.known.insert(id, now);
                state.queue.push(message.clone());
            }
            failed
        })
        .await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Failed> {
        assert!(receipts.len() <= MOST_AT_ONCE);
        self.call(|state, entries| {
            let mut failed = Vec::new();
            for (index, receipt) in receipts.iter().enumerate().take(entries) {
                let place = state.place(receipt);
                let kept = |place: &usize| {
                    let body = &state.dead[*place].letter.body;
                    state.keep_bodies.contains(body)
                };
                match place.filter(|place| !kept(place)) {
                    Some(place) => {
                        state.dead.remove(place);
                    }
                    None => failed.push(Failed {
                        index,
                        reason: "ReceiptHandleIsInvalid".to_owned(),
                    }),
                }
            }
            failed
        })
        .await
    }
}
