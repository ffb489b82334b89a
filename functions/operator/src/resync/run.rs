//! A resync of all users of a vendor, as it is kept between two steps.
//!
//! # The chain
//! A run goes on by a chain of ticks, each sent by the one before. SQS gives a
//! tick until a function has ended with it, so a chain breaks only where a tick
//! becomes a dead letter. What must not happen is that it splits in two, and SQS
//! may deliver a message twice, and a tick that died may have sent the next one.
//! So the first message that comes for a step claims it, under SQS's id of the
//! message, and the step belongs to that message alone:
//!
//! | a tick of the step | is |
//! | --- | --- |
//! | after the last one done | claimed by its message |
//! | claimed by the same message, not done | done again: its function died |
//! | claimed by the same message, done | followed by the next tick once more: its function died before it was sure of having sent that |
//! | anything else, or of another chain | dropped |
//!
//! What a step sends is decided and kept when it is claimed. A step that is done
//! again sends the same, which the queues know and swallow (for five minutes).
//!
//! Whoever resumes a run gives it a new chain, so that all ticks of the old one
//! are dropped.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::identity::{UserId, VendorId};

use super::pace::{Allowance, Pace};
use super::place::Place;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It goes on by itself.
    Running,
    /// A person stopped it. It can be resumed.
    Stopped,
    /// Every user was sent to every connector's queue.
    Finished,
    /// It cannot go on until a person has mended something. It can be resumed.
    Failed,
}

impl State {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Tells it from other runs of the vendor.
    pub id: String,
    /// Whose users.
    pub vendor_id: VendorId,
    /// By which connectors.
    pub connectors: Vec<String>,
    /// How it stands.
    pub state: State,
    /// Why it failed.
    pub reason: Option<String>,
    /// Why nothing was added at the last step.
    pub waiting: Option<String>,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it last did anything.
    pub updated_at: Timestamp,
    /// When it was finished, stopped, or failed.
    pub ended_at: Option<Timestamp>,
    /// Users sent to all connectors' queues.
    pub visited: u64,
    /// Which ticks are its own.
    pub chain: String,
    /// Which of them is next.
    pub turn: Turn,
    /// In how many seconds the next tick comes.
    pub next_in: u64,
    /// What it may ask of Sesamy.
    pub allowance: Allowance,
    /// Where in the list of users it is.
    pub place: Place,
    /// Users read and not sent yet, in the list's order.
    pub in_hand: Vec<UserId>,
    /// So many of them are being sent.
    pub sending: usize,
}

/// The last step that was claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// Its number.
    pub step: u64,
    /// By which message. None before the first step of a chain.
    pub by: Option<String>,
    /// Whether it is done.
    pub done: bool,
}

/// That it is a step's turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tick {
    /// Whose run.
    pub vendor_id: VendorId,
    /// Of which chain.
    pub chain: String,
    /// Which step.
    pub step: u64,
}

/// What is to be done with a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Its step is to be claimed and done.
    Claim,
    /// Its step is to be done again.
    Again,
    /// The next tick is to be sent again.
    Next,
    /// Nothing.
    Nothing,
}

impl Run {
    /// A run that has not begun.
    pub fn new(
        id: String,
        vendor_id: VendorId,
        connectors: Vec<String>,
        pace: Pace,
        now: Timestamp,
    ) -> Self {
        Self {
            chain: id.clone(),
            id,
            vendor_id,
            connectors,
            state: State::Running,
            reason: None,
            waiting: None,
            started_at: now,
            updated_at: now,
            ended_at: None,
            visited: 0,
            turn: Turn {
                step: 0,
                by: None,
                done: true,
            },
            next_in: 0,
            allowance: Allowance::first(pace, now),
            place: Place::default(),
            in_hand: Vec::new(),
            sending: 0,
        }
    }

    /// What is to be done with a tick that came in this message.
    pub fn due(&self, tick: &Tick, message: &str) -> Due {
        if tick.chain != self.chain {
            return Due::Nothing;
        }
        let mine = self.turn.by.as_deref() == Some(message);
        let running = self.state == State::Running;
        match (tick.step, self.turn.done) {
            (step, true) if running && step == self.turn.step + 1 => Due::Claim,
            // Also of a run that was stopped meanwhile: some of it may be sent.
            (step, false) if mine && step == self.turn.step => Due::Again,
            (step, true) if running && mine && step == self.turn.step => Due::Next,
            _ => Due::Nothing,
        }
    }

    /// The tick that follows the last step.
    pub fn next_tick(&self) -> Tick {
        Tick {
            vendor_id: self.vendor_id.clone(),
            chain: self.chain.clone(),
            step: self.turn.step + 1,
        }
    }

    /// The step is claimed by this message.
    pub fn claim(&mut self, message: &str) {
        self.turn = Turn {
            step: self.turn.step + 1,
            by: Some(message.to_owned()),
            done: false,
        };
    }

    /// The step is done: what was being sent is in the queues.
    pub fn settle(&mut self, now: Timestamp) {
        self.turn.done = true;
        self.updated_at = now;
        self.visited += self.sending as u64;
        self.in_hand.drain(..self.sending.min(self.in_hand.len()));
        self.sending = 0;
        let all_sent = self.in_hand.is_empty() && self.place.is_end();
        if all_sent && self.state != State::Failed {
            self.end(State::Finished, now);
        }
    }

    /// It goes no further.
    pub fn end(&mut self, state: State, now: Timestamp) {
        self.state = state;
        self.updated_at = now;
        self.ended_at = Some(now);
    }

    /// It goes on by this chain and no other. What was being sent is sent again.
    pub fn resume(&mut self, chain: String, now: Timestamp) {
        self.chain = chain;
        self.turn.by = None;
        self.turn.done = true;
        self.state = State::Running;
        self.reason = None;
        self.waiting = None;
        self.updated_at = now;
        self.ended_at = None;
    }
}
