//! A run: what the state machine hands from step to step.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::identity::{UserId, VendorId};

use super::cursor::Cursor;
use super::pace::{Allowance, Pace};

/// The state of a run between two steps, as JSON in the execution's data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Part of the messages' deduplication ids, so that a repeated step queues no user
    /// twice (for SQS's five minutes).
    pub id: String,
    pub vendor_id: VendorId,
    pub connectors: Vec<String>,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    /// Users sent to every connector's queue.
    pub visited: u64,
    pub allowance: Allowance,
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

impl Run {
    pub fn new(
        id: String,
        vendor_id: VendorId,
        connectors: Vec<String>,
        pace: Pace,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            vendor_id,
            connectors,
            started_at: now,
            updated_at: now,
            visited: 0,
            allowance: Allowance::first(pace, now),
            cursor: Cursor::default(),
            pending: Vec::new(),
            waiting: None,
            execution: 1,
            events: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        self.pending.is_empty() && self.cursor.is_end()
    }

    /// Continues in another execution, whose history is empty.
    pub fn hand_over(&mut self, execution: u32) {
        self.execution = execution;
        self.events = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use shared::sesamy::UsersPage;

    use super::*;

    /// The maximum of a state's data. Source: AWS's quotas.
    const MAX_DATA: usize = 256 * 1024;

    #[test]
    fn a_run_with_the_longest_ids_fits_into_a_state() {
        let longest = |number: usize| format!("{number:0>4}{}", "\"".repeat(252));
        let vendor = VendorId::try_from("v".repeat(256)).unwrap();
        let connectors = (0..10)
            .map(|number| format!("connector-{number}"))
            .collect();
        let pace = Pace::new(NonZeroU32::MIN, 10);
        let now = "2026-01-15T09:30:00Z".parse().unwrap();
        let mut run = Run::new("0".repeat(32), vendor, connectors, pace, now);
        let ids = (0..1_000).map(|number| UserId::try_from(longest(number)).ok());
        run.pending = run
            .cursor
            .take(&UsersPage::from_ids(ids.collect(), Some(1_000)));
        run.waiting = Some("r".repeat(1_000));
        let data = serde_json::json!({"next": "hand_over", "name": "n".repeat(80), "run": run});
        let bytes = data.to_string().len();
        assert!((MAX_DATA / 2..MAX_DATA).contains(&bytes), "{bytes}");
    }
}
