//! What became of the syncs: how many, with what outcome, how late.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::outcome::Outcome;
use crate::telemetry::{Metrics, Unit};

/// The metric that counts syncs, by [`OUTCOME`].
pub const SYNCS: &str = "Syncs";

/// The dimension that names what became of a sync (see [`Outcome::name`]).
pub const OUTCOME: &str = "Outcome";

/// The metric that counts skipped users, by [`REASON`].
pub const SKIPS: &str = "Skips";

/// The dimension that names why a user was skipped (see [`SkipReason::name`](super::SkipReason::name)).
pub const REASON: &str = "Reason";

/// The metric of how long syncs took, in milliseconds.
pub const SYNC_DURATION: &str = "SyncDuration";

/// The metric of how long after it occurred at Sesamy a change was in the CRM,
/// in milliseconds.
pub const LAG_FROM_EVENT: &str = "LagFromEvent";

/// The metric of how long after its webhook was received a change was in the
/// CRM, in milliseconds.
pub const LAG_FROM_RECEIPT: &str = "LagFromReceipt";

/// The metric of how old a message was that was put back, in seconds since it
/// was queued. Of each batch the oldest is told.
///
/// SQS's own age of the oldest message may leave out what was received more than
/// three times (documented for standard queues, not clearly for FIFO), and so be
/// silent about just what waits for the end of an outage.
pub const RETRIED_AGE: &str = "RetriedAge";

/// The times of one sync.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// How long the sync took.
    pub(super) took: Duration,
    /// How long ago the oldest of its webhooks was received.
    pub(super) since_receipt: Option<Duration>,
    /// How long ago the oldest of its events occurred. A resync has none.
    pub(super) since_event: Option<Duration>,
}

/// The syncs since they were last told.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Syncs>);

#[derive(Debug, Default)]
struct Syncs {
    by_outcome: BTreeMap<&'static str, u32>,
    /// Those of them that were skipped, by reason.
    by_reason: BTreeMap<&'static str, u32>,
    /// In milliseconds, by metric.
    times: BTreeMap<&'static str, Vec<f64>>,
    /// Of the oldest message that was put back.
    retried_age: Option<Duration>,
}

impl Tally {
    /// Notes a sync that ended.
    pub(super) fn note(&self, outcome: &Outcome, times: Times) {
        self.count(outcome.name());
        // A poisoned lock holds sums that are whole: nothing below panics half-way.
        let mut syncs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Outcome::Skipped(reason) = outcome {
            *syncs.by_reason.entry(reason.name()).or_default() += 1;
        }
        let mut time = |metric, duration: Duration| {
            let milliseconds = duration.as_secs_f64() * 1_000.0;
            syncs.times.entry(metric).or_default().push(milliseconds);
        };
        time(SYNC_DURATION, times.took);
        // Only what has arrived has a lag; the rest would tell it too short.
        if matches!(outcome, Outcome::Synced(_) | Outcome::Unchanged) {
            if let Some(since) = times.since_event {
                time(LAG_FROM_EVENT, since);
            }
            if let Some(since) = times.since_receipt {
                time(LAG_FROM_RECEIPT, since);
            }
        }
    }

    /// Counts an outcome that no sync led to.
    pub(super) fn count(&self, outcome: &'static str) {
        let mut syncs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *syncs.by_outcome.entry(outcome).or_default() += 1;
    }

    /// Notes that a message of this age was put back.
    pub(super) fn retried(&self, age: Duration) {
        let mut syncs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        syncs.retried_age = syncs.retried_age.max(Some(age));
    }

    /// The metrics of the syncs since they were last taken.
    pub(super) fn take(&self) -> Vec<Metrics> {
        let syncs = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let counts = syncs.by_outcome.into_iter().map(|(outcome, count)| {
            let counted = Metrics::new().dimension(OUTCOME, outcome);
            counted.count(SYNCS, count)
        });
        let skips = syncs.by_reason.into_iter().map(|(reason, count)| {
            let counted = Metrics::new().dimension(REASON, reason);
            counted.count(SKIPS, count)
        });
        let times = syncs.times.into_iter().flat_map(|(metric, times)| {
            let of_metric = move |time| (metric, time);
            times.into_iter().map(of_metric)
        });
        let timed = times.fold(Metrics::new(), |metrics, (metric, time)| {
            metrics.value(metric, Unit::Milliseconds, time)
        });
        let timed = match syncs.retried_age {
            Some(age) => timed.value(RETRIED_AGE, Unit::Seconds, age.as_secs_f64()),
            None => timed,
        };
        counts.chain(skips).chain([timed]).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::consumer::{Changes, SkipReason};

    fn told(tally: &Tally) -> Vec<Value> {
        tally.take().iter().flat_map(Metrics::told).collect()
    }

    fn times(took: u64) -> Times {
        Times {
            took: Duration::from_millis(took),
            since_receipt: Some(Duration::from_secs(7)),
            since_event: None,
        }
    }

    #[test]
    fn syncs_are_counted_by_outcome_and_only_what_arrived_has_a_lag() {
        let tally = Tally::default();
        tally.note(&Outcome::Synced(Changes::default()), times(1));
        tally.note(&Outcome::Unchanged, times(2));
        tally.note(&Outcome::Skipped(SkipReason::Guest), times(3));
        tally.note(&Outcome::Skipped(SkipReason::Unconfirmed), times(3));
        tally.note(&Outcome::Skipped(SkipReason::Unconfirmed), times(3));
        tally.note(&Outcome::NoTime, times(4));
        tally.count("dead_letter");
        let expected = [
            json!({"Outcome": "dead_letter", "Syncs": 1.0}),
            json!({"Outcome": "retry", "Syncs": 1.0}),
            json!({"Outcome": "skipped", "Syncs": 3.0}),
            json!({"Outcome": "synced", "Syncs": 1.0}),
            json!({"Outcome": "unchanged", "Syncs": 1.0}),
            json!({"Reason": "guest", "Skips": 1.0}),
            json!({"Reason": "unconfirmed", "Skips": 2.0}),
            json!({"SyncDuration": [1.0, 2.0, 3.0, 3.0, 3.0, 4.0], "LagFromReceipt": [7000.0, 7000.0]}),
        ];
        assert_eq!(told(&tally), expected);
        assert_eq!(told(&tally), [] as [Value; 0]);
    }

    #[test]
    fn of_what_is_put_back_the_oldest_is_told_and_nothing_of_nothing() {
        let tally = Tally::default();
        for (ages, expected) in [
            (&[5, 1_000, 901][..], &[json!({"RetriedAge": 1_000.0})][..]),
            (&[0], &[json!({"RetriedAge": 0.0})]),
            (&[], &[]),
        ] {
            for age in ages {
                tally.retried(Duration::from_secs(*age));
            }
            assert_eq!(told(&tally), expected, "{ages:?}");
        }
    }
}
