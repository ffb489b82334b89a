//! The state of a run between two steps.
//!
//! # The chain
//! Each step sends the tick of the next. SQS redelivers a tick until its function has
//! succeeded, so the chain ends only where a tick goes to the dead-letter queue. But SQS
//! may deliver a tick twice, or a function may crash after it sent the next one, and the
//! chain must not split. So the first message for a step claims it under its SQS message
//! id, and only that message may do the step:
//!
//! | a tick of the step | is |
//! | --- | --- |
//! | after the last one done | claimed by its message |
//! | claimed by the same message, not done | repeated: its function crashed |
//! | claimed by the same message, done | followed by the next tick again, which its function may not have sent |
//! | anything else, or of another chain | dropped |
//!
//! The claim stores what the step sends. A repeated step sends the same, which the
//! queues drop as duplicates for five minutes.
//!
//! Resuming a run starts a new chain, so all ticks of the old one are dropped.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::identity::{UserId, VendorId};

use super::cursor::Cursor;
use super::pace::{Allowance, Pace};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Running,
    /// By a command.
    Stopped,
    /// Every user is in every connector's queue.
    Finished,
    /// A person must fix the cause before it can be resumed.
    Failed,
}

impl RunState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub id: String,
    pub vendor_id: VendorId,
    pub connectors: Vec<String>,
    pub state: RunState,
    pub reason: Option<String>,
    /// Why the last step added nothing.
    pub waiting: Option<String>,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Users sent to every connector's queue.
    pub visited: u64,
    /// Ticks of other chains are dropped.
    pub chain: String,
    #[serde(rename = "turn")]
    pub last_step: ClaimedStep,
    /// Seconds until the next tick.
    pub next_in: u64,
    pub allowance: Allowance,
    #[serde(rename = "place")]
    pub cursor: Cursor,
    /// Users read but not sent yet, in the order of the list.
    pub in_hand: Vec<UserId>,
    /// How many of those in hand the claimed step sends.
    pub sending: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedStep {
    pub step: u64,
    /// The id of the message; none before the first step of a chain.
    pub by: Option<String>,
    pub done: bool,
}

/// The message that starts a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tick {
    pub vendor_id: VendorId,
    pub chain: String,
    pub step: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickAction {
    Claim,
    Repeat,
    SendNext,
    Drop,
}

impl Run {
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
            state: RunState::Running,
            reason: None,
            waiting: None,
            started_at: now,
            updated_at: now,
            ended_at: None,
            visited: 0,
            last_step: ClaimedStep {
                step: 0,
                by: None,
                done: true,
            },
            next_in: 0,
            allowance: Allowance::first(pace, now),
            cursor: Cursor::default(),
            in_hand: Vec::new(),
            sending: 0,
        }
    }

    pub fn due(&self, tick: &Tick, message: &str) -> TickAction {
        if tick.chain != self.chain {
            return TickAction::Drop;
        }
        let mine = self.last_step.by.as_deref() == Some(message);
        let running = self.state == RunState::Running;
        match (tick.step, self.last_step.done) {
            (step, true) if running && step == self.last_step.step + 1 => TickAction::Claim,
            // Also if the run was stopped meanwhile: some of it may be sent.
            (step, false) if mine && step == self.last_step.step => TickAction::Repeat,
            (step, true) if running && mine && step == self.last_step.step => TickAction::SendNext,
            _ => TickAction::Drop,
        }
    }

    pub fn next_tick(&self) -> Tick {
        Tick {
            vendor_id: self.vendor_id.clone(),
            chain: self.chain.clone(),
            step: self.last_step.step + 1,
        }
    }

    pub fn claim(&mut self, message: &str) {
        self.last_step = ClaimedStep {
            step: self.last_step.step + 1,
            by: Some(message.to_owned()),
            done: false,
        };
    }

    /// What was being sent is in the queues.
    pub fn settle(&mut self, now: Timestamp) {
        self.last_step.done = true;
        self.updated_at = now;
        self.visited += self.sending as u64;
        self.in_hand.drain(..self.sending.min(self.in_hand.len()));
        self.sending = 0;
        let all_sent = self.in_hand.is_empty() && self.cursor.is_end();
        if all_sent && self.state != RunState::Failed {
            self.end(RunState::Finished, now);
        }
    }

    pub fn end(&mut self, state: RunState, now: Timestamp) {
        self.state = state;
        self.updated_at = now;
        self.ended_at = Some(now);
    }

    /// What was being sent is sent again.
    pub fn resume(&mut self, chain: String, now: Timestamp) {
        self.chain = chain;
        self.last_step.by = None;
        self.last_step.done = true;
        self.state = RunState::Running;
        self.reason = None;
        self.waiting = None;
        self.updated_at = now;
        self.ended_at = None;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_stored_run_keeps_its_keys_so_that_a_new_version_can_continue_it() {
        let pace = Pace::new(NonZeroU32::MIN, 1);
        let vendor = VendorId::try_from("v").unwrap();
        let run = Run::new("id".to_owned(), vendor, vec![], pace, Timestamp::UNIX_EPOCH);
        let stored = serde_json::to_value(run).unwrap();
        let keys: Vec<_> = stored.as_object().unwrap().keys().collect();
        let expected = "allowance chain connectors endedAt id inHand nextIn place reason sending \
                        startedAt state turn updatedAt vendorId visited waiting";
        assert_eq!(keys, expected.split(' ').collect::<Vec<_>>());
    }
}
