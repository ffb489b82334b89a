//! How fast a run goes: by Sesamy's limit, whatever the time between two steps.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The share of Sesamy's limit that a run takes; live events have the rest. Decided.
const SHARE: f64 = 0.8;

/// How often Sesamy is asked about a reader by one connector at most: profile,
/// contracts, entitlements, bills.
const READS_PER_SYNC: f64 = 4.0;

/// What a page of users costs.
pub const PAGE_COST: f64 = 1.0;

/// How many seconds' worth of reads a run may save up: enough for a step that
/// comes late, little enough that no pause is made up for by a burst. Decided.
const SAVED: f64 = 10.0;

/// How many seconds' worth of readers may wait in a connector's queue, its delay
/// of five seconds included: live events wait behind them. Decided.
const QUEUED: f64 = 6.0;

/// So many readers may wait whatever the pace. Decided.
const LEAST_QUEUED: f64 = 5.0;

/// The shortest time between two steps, unless there is more to send at once. Decided.
const SHORTEST: Duration = Duration::from_secs(3);

/// How fast readers are sent to so many connectors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    reads_per_second: f64,
    reads_per_user: f64,
}

impl Pace {
    /// Of a run for so many connectors, where Sesamy takes so many requests a minute.
    pub fn new(requests_per_minute: NonZeroU32, connectors: usize) -> Self {
        Self {
            reads_per_second: f64::from(requests_per_minute.get()) * SHARE / 60.0,
            reads_per_user: READS_PER_SYNC * connectors.max(1) as f64,
        }
    }

    /// How many readers a minute it comes to.
    pub fn users_per_minute(self) -> f64 {
        60.0 * self.users_per_second()
    }

    fn users_per_second(self) -> f64 {
        self.reads_per_second / self.reads_per_user
    }

    /// How many messages may wait in a connector's queue, live events included.
    pub fn depth(self) -> u64 {
        (QUEUED * self.users_per_second()).ceil().max(LEAST_QUEUED) as u64
    }

    /// How long from a step to the next.
    pub fn interval(self) -> Duration {
        SHORTEST.max(Duration::from_secs_f64(1.0 / self.users_per_second()))
    }
}

/// The reads of Sesamy that a run may make.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    reads: f64,
    at: Timestamp,
}

impl Allowance {
    /// One page and a reader now, and more with time.
    pub fn first(pace: Pace, now: Timestamp) -> Self {
        let reads = PAGE_COST + pace.reads_per_user;
        Self { reads, at: now }
    }

    /// What it has grown to by now. A clock that was set back takes nothing away.
    pub fn grow(&mut self, pace: Pace, now: Timestamp) {
        let seconds = now.duration_since(self.at).as_secs_f64().max(0.0);
        let most = (SAVED * pace.reads_per_second).max(PAGE_COST + pace.reads_per_user);
        self.reads = (self.reads + seconds * pace.reads_per_second).min(most);
        self.at = now;
    }

    /// Whether a page of users may be read.
    pub fn has_page(self) -> bool {
        self.reads >= PAGE_COST
    }

    /// How many readers may be sent.
    pub fn users(self, pace: Pace) -> usize {
        (self.reads / pace.reads_per_user).max(0.0) as usize
    }

    /// A page was read.
    pub fn spend_page(&mut self) {
        self.reads -= PAGE_COST;
    }

    /// So many readers are sent.
    pub fn spend_users(&mut self, pace: Pace, users: usize) {
        self.reads -= users as f64 * pace.reads_per_user;
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn pace(limit: u32, connectors: usize) -> Pace {
        Pace::new(NonZeroU32::new(limit).unwrap(), connectors)
    }

    #[test]
    fn the_pace_follows_from_sesamys_limit_and_the_number_of_connectors() {
        // Limit, connectors; readers a minute, depth, seconds between steps.
        let cases = [
            (100, 1, 20.0, 5, 3.0),
            (100, 2, 10.0, 5, 6.0),
            (100, 3, 20.0 / 3.0, 5, 9.0),
            (1_000, 1, 200.0, 20, 3.0),
            (15_000, 1, 3_000.0, 300, 3.0),
        ];
        for (limit, connectors, users, depth, interval) in cases {
            let pace = pace(limit, connectors);
            assert!((pace.users_per_minute() - users).abs() < 1e-6, "{limit}");
            assert_eq!(pace.depth(), depth, "{limit}");
            assert!(
                (pace.interval().as_secs_f64() - interval).abs() < 1e-6,
                "{limit}"
            );
        }
    }

    #[test]
    fn what_is_not_spent_is_not_saved_for_longer_than_ten_seconds() {
        let start: Timestamp = "2026-01-15T09:30:00Z".parse().unwrap();
        let pace = pace(100, 1);
        let after = |seconds| {
            let mut allowance = Allowance::first(pace, start);
            allowance.spend_page();
            allowance.spend_users(pace, 1);
            assert_eq!(allowance.users(pace), 0);
            allowance.grow(pace, start + SignedDuration::from_secs(seconds));
            allowance
        };
        for (seconds, users) in [(-60, 0), (2, 0), (3, 1), (9, 3), (10, 3), (3_600, 3)] {
            assert_eq!(after(seconds).users(pace), users, "{seconds} s");
        }
        assert!(!after(0).has_page() && after(1).has_page());
    }
}
