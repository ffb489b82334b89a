//! The rate of a run, which follows from Sesamy's limit.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The share of Sesamy's limit that a run uses; the rest is for live events. Decided.
const SHARE_OF_LIMIT: f64 = 0.8;

/// At most: profile, contracts, entitlements, bills.
const READS_PER_SYNC: f64 = 4.0;

pub const PAGE_COST: f64 = 1.0;

/// Seconds of unused reads that a run may save: enough for a late step, too few for
/// a burst after a break. Decided.
const MAX_SAVED_SECONDS: f64 = 20.0;

/// Seconds' worth of users that may wait in a connector's queue, including its delay
/// of five seconds. Live events wait behind them. Decided.
const MAX_QUEUED_SECONDS: f64 = 6.0;

/// Users that may wait at any rate. Decided.
const MIN_QUEUED_USERS: f64 = 5.0;

/// Seconds between two steps, unless more can be sent at once: the time that a few users
/// take, because each step has its price. Decided.
const MIN_INTERVAL: f64 = 3.0;
const MAX_INTERVAL: f64 = 15.0;

#[derive(Debug, Clone, Copy, PartialEq)]
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

    pub fn users_per_minute(self) -> f64 {
        60.0 * self.users_per_second()
    }

    fn users_per_second(self) -> f64 {
        self.reads_per_second / self.reads_per_user
    }

    /// Messages that may wait in a connector's queue, including live events.
    pub fn depth(self) -> u64 {
        (MAX_QUEUED_SECONDS * self.users_per_second())
            .ceil()
            .max(MIN_QUEUED_USERS) as u64
    }

    /// The time from one step to the next.
    pub fn interval(self) -> Duration {
        let few_users = MIN_QUEUED_USERS / self.users_per_second();
        Duration::from_secs_f64(few_users.clamp(MIN_INTERVAL, MAX_INTERVAL))
    }
}

/// The reads that a run may make now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    reads: f64,
    at: Timestamp,
}

impl Allowance {
    /// Enough for one page and one user.
    pub fn first(pace: Pace, now: Timestamp) -> Self {
        let reads = PAGE_COST + pace.reads_per_user;
        Self { reads, at: now }
    }

    /// A clock that was set back takes nothing away.
    pub fn grow(&mut self, pace: Pace, now: Timestamp) {
        let seconds = now.duration_since(self.at).as_secs_f64().max(0.0);
        let max = (MAX_SAVED_SECONDS * pace.reads_per_second).max(PAGE_COST + pace.reads_per_user);
        self.reads = (self.reads + seconds * pace.reads_per_second).min(max);
        self.at = now;
    }

    pub fn has_page(self) -> bool {
        self.reads >= PAGE_COST
    }

    pub fn users(self, pace: Pace) -> usize {
        (self.reads / pace.reads_per_user).max(0.0) as usize
    }

    pub fn spend_page(&mut self) {
        self.reads -= PAGE_COST;
    }

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
        struct Case {
            pace: Pace,
            users_per_minute: f64,
            depth: u64,
            interval: f64,
        }
        let case = |pace, users_per_minute, depth, interval| Case {
            pace,
            users_per_minute,
            depth,
            interval,
        };
        let cases = [
            case(pace(100, 1), 20.0, 5, 15.0),
            case(pace(100, 2), 10.0, 5, 15.0),
            case(pace(100, 3), 20.0 / 3.0, 5, 15.0),
            case(pace(1_000, 1), 200.0, 20, 3.0),
            case(pace(15_000, 1), 3_000.0, 300, 3.0),
        ];
        let equal = |a: f64, b: f64| (a - b).abs() < 1e-6;
        for case in cases {
            let pace = case.pace;
            let interval = pace.interval().as_secs_f64();
            assert!(
                equal(pace.users_per_minute(), case.users_per_minute),
                "{pace:?}"
            );
            assert_eq!(pace.depth(), case.depth, "{pace:?}");
            assert!(equal(interval, case.interval), "{pace:?}");
        }
    }

    #[test]
    fn unused_reads_are_saved_for_at_most_twenty_seconds() {
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
        for (seconds, users) in [(-60, 0), (2, 0), (3, 1), (9, 3), (18, 6), (3_600, 6)] {
            assert_eq!(after(seconds).users(pace), users, "{seconds} s");
        }
        assert!(!after(0).has_page() && after(1).has_page());
    }
}
