//! A run: what the state machine hands from step to step, and how fast it may go.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::identity::{UserId, VendorId};
use shared::message::{Message, UserKey};
use shared::sqs::OutgoingMessage;

use super::cursor::Cursor;

/// The share of Sesamy's limit that a run uses; the rest is for live events. Decided.
const SHARE_OF_LIMIT: f64 = 0.8;

/// At most: profile, contracts, entitlements, bills.
const READS_PER_SYNC: f64 = 4.0;

/// The users of a step: a few, as long as they take at most this many seconds, so that a
/// minute has no burst; at high rates as many as take the least. Decided: each step has
/// its price.
const FEW_USERS: f64 = 4.0;
const MAX_STEP_SECONDS: f64 = 12.0;
const MIN_STEP_SECONDS: f64 = 3.0;

/// Seconds' worth of users that may wait in a connector's queue, including its delay
/// of five seconds, and how many at any rate. Live events wait behind them. Decided.
const MAX_QUEUED_SECONDS: f64 = 6.0;
const MIN_QUEUED_USERS: f64 = 5.0;

/// The state of a run between two steps, as JSON in the execution's data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Part of the messages' deduplication ids, which SQS knows for five minutes.
    pub id: String,
    pub vendor_id: VendorId,
    pub connectors: Vec<String>,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    /// When Sesamy's limit allows the next step.
    #[serde(default)]
    pub next_step_at: Timestamp,
    /// Users sent to every connector's queue.
    pub visited: u64,
    pub cursor: Cursor,
    /// Users read but not sent yet, in the order of the list.
    pub pending: Vec<UserId>,
    /// Why the last step added nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// Which of the vendor's executions this is.
    pub execution: u32,
    /// Events in the history of this execution so far.
    pub events: u32,
}

pub fn new_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

impl Run {
    pub fn new(vendor_id: VendorId, connectors: Vec<String>, now: Timestamp) -> Self {
        Self {
            id: new_id(),
            vendor_id,
            connectors,
            started_at: now,
            updated_at: now,
            next_step_at: now,
            visited: 0,
            cursor: Cursor::default(),
            pending: Vec::new(),
            waiting: None,
            execution: 1,
            events: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        self.pending.is_empty() && self.cursor.end
    }

    /// A repeated step sends it with the same deduplication id.
    pub fn message(&self, user_id: &UserId) -> OutgoingMessage {
        let user = UserKey {
            vendor_id: self.vendor_id.clone(),
            user_id: user_id.clone(),
        };
        OutgoingMessage::from(&Message::resync(user, &self.id, self.updated_at))
    }

    /// Continues in another execution, whose history is empty.
    pub fn hand_over(&mut self, execution: u32) {
        self.execution = execution;
        self.events = 0;
    }
}

/// The rate of a run, which follows from Sesamy's limit.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    reads_per_second: f64,
    reads_per_user: f64,
}

impl Pace {
    pub fn new(requests_per_minute: NonZeroU32, connectors: usize) -> Self {
        Self {
            reads_per_second: f64::from(requests_per_minute.get()) * SHARE_OF_LIMIT / 60.0,
            reads_per_user: READS_PER_SYNC * connectors.max(1) as f64,
        }
    }

    fn users_per_second(self) -> f64 {
        self.reads_per_second / self.reads_per_user
    }

    pub fn users_per_minute(self) -> f64 {
        60.0 * self.users_per_second()
    }

    /// The most users of a step.
    pub fn step(self) -> usize {
        let few = FEW_USERS.min(MAX_STEP_SECONDS * self.users_per_second());
        few.max(MIN_STEP_SECONDS * self.users_per_second()).max(1.0) as usize
    }

    /// Messages that may wait in a connector's queue, including live events.
    pub fn depth(self) -> u64 {
        let queued = MAX_QUEUED_SECONDS * self.users_per_second();
        queued.ceil().max(MIN_QUEUED_USERS) as u64
    }

    /// How long these pages and users use up the rate.
    pub fn time_for(self, pages: usize, users: usize) -> Duration {
        let reads = pages as f64 + users as f64 * self.reads_per_user;
        Duration::from_secs_f64(reads / self.reads_per_second)
    }
}

#[cfg(test)]
mod tests {
    use shared::sesamy::UsersPage;

    use super::*;

    /// The maximum of a state's data. Source: AWS's quotas.
    const MAX_DATA: usize = 256 * 1024;

    #[test]
    fn the_pace_follows_from_sesamys_limit_and_the_number_of_connectors() {
        let cases = [
            // (limit, connectors), (users of a step, its seconds, depth)
            ((100, 1), (4, 12, 5)),
            ((100, 2), (2, 12, 5)),
            ((100, 3), (1, 9, 5)),
            ((1_000, 1), (10, 3, 20)),
            ((15_000, 1), (150, 3, 300)),
        ];
        for ((limit, connectors), expected) in cases {
            let pace = Pace::new(NonZeroU32::new(limit).unwrap(), connectors);
            let seconds = pace.time_for(0, pace.step()).as_secs_f64().round();
            let found = (pace.step(), seconds as u64, pace.depth());
            assert_eq!(found, expected, "{limit} {connectors}");
        }
    }

    #[test]
    fn a_run_with_the_longest_ids_fits_into_a_state() {
        let longest = |number: usize| format!("{number:0>4}{}", "\"".repeat(252));
        let vendor = VendorId::try_from("v".repeat(256)).unwrap();
        let connectors = (0..10).map(|number| format!("connector-{number}"));
        let now = "2026-01-15T09:30:00Z".parse().unwrap();
        let mut run = Run::new(vendor, connectors.collect(), now);
        let ids = (0..1_000).map(|number| UserId::try_from(longest(number)).ok());
        let page = UsersPage::from_ids(ids.collect(), Some(1_000));
        run.pending = run.cursor.take(&page);
        run.waiting = Some("r".repeat(1_000));
        let data = serde_json::json!({"next": "hand_over", "name": "n".repeat(80), "run": run});
        let bytes = data.to_string().len();
        assert!((MAX_DATA / 2..MAX_DATA).contains(&bytes), "{bytes}");
    }
}
