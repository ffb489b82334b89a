//! Metrics of syncs: how many, their outcomes, how late.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::connector::Outcome;
use crate::telemetry::{Metrics, Unit};

pub const SYNCS: &str = "Syncs";

/// See [`Outcome::name`].
pub const OUTCOME: &str = "Outcome";

pub const SKIPS: &str = "Skips";

/// See [`SkipReason::name`](crate::connector::SkipReason::name).
pub const REASON: &str = "Reason";

pub const SYNC_DURATION: &str = "SyncDuration";

/// From the event at Sesamy to the CRM.
pub const LAG_FROM_EVENT: &str = "LagFromEvent";

/// From the webhook to the CRM.
pub const LAG_FROM_RECEIPT: &str = "LagFromReceipt";

/// Age of the oldest retried message of a batch, since it was queued.
///
/// SQS's own age of the oldest message may exclude messages received more than
/// three times (documented for standard queues, not clearly for FIFO), and so
/// miss those that wait for the end of an outage.
pub const RETRIED_AGE: &str = "RetriedAge";

#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) took: Duration,
    /// Since the oldest of its webhooks.
    pub(super) since_receipt: Option<Duration>,
    /// Since the oldest of its events. A resync has none.
    pub(super) since_event: Option<Duration>,
}

/// The syncs since the metrics were last taken.
#[derive(Debug, Default)]
pub(super) struct SyncMetrics(Mutex<Syncs>);

#[derive(Debug, Default)]
struct Syncs {
    by_outcome: BTreeMap<&'static str, u32>,
    by_skip_reason: BTreeMap<&'static str, u32>,
    /// In milliseconds, by metric.
    times: BTreeMap<&'static str, Vec<f64>>,
    max_retried_age: Option<Duration>,
}

impl SyncMetrics {
    fn lock(&self) -> MutexGuard<'_, Syncs> {
        // A poisoned lock holds whole sums: no update here panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, outcome: &Outcome, times: Times) {
        self.count(outcome.name());
        let mut syncs = self.lock();
        if let Outcome::Skipped(reason) = outcome {
            *syncs.by_skip_reason.entry(reason.name()).or_default() += 1;
        }
        let mut time = |metric, duration: Duration| {
            let milliseconds = duration.as_secs_f64() * 1_000.0;
            syncs.times.entry(metric).or_default().push(milliseconds);
        };
        time(SYNC_DURATION, times.took);
        // Unfinished syncs would make the lag look too short.
        if matches!(outcome, Outcome::Synced(_) | Outcome::Unchanged) {
            if let Some(since) = times.since_event {
                time(LAG_FROM_EVENT, since);
            }
            if let Some(since) = times.since_receipt {
                time(LAG_FROM_RECEIPT, since);
            }
        }
    }

    /// Counts an outcome without a sync.
    pub(super) fn count(&self, outcome: &'static str) {
        *self.lock().by_outcome.entry(outcome).or_default() += 1;
    }

    pub(super) fn record_retry(&self, age: Duration) {
        let mut syncs = self.lock();
        syncs.max_retried_age = syncs.max_retried_age.max(Some(age));
    }

    pub(super) fn take(&self) -> Vec<Metrics> {
        let syncs = std::mem::take(&mut *self.lock());
        let mut lines = Vec::new();
        for (outcome, count) in syncs.by_outcome {
            let line = Metrics::new().dimension(OUTCOME, outcome);
            lines.push(line.count(SYNCS, count));
        }
        for (reason, count) in syncs.by_skip_reason {
            let line = Metrics::new().dimension(REASON, reason);
            lines.push(line.count(SKIPS, count));
        }
        let mut line = Metrics::new();
        for (metric, times) in syncs.times {
            for time in times {
                line = line.value(metric, Unit::Milliseconds, time);
            }
        }
        if let Some(age) = syncs.max_retried_age {
            line = line.value(RETRIED_AGE, Unit::Seconds, age.as_secs_f64());
        }
        lines.push(line);
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::connector::{Changes, SkipReason};

    fn emitted(metrics: &SyncMetrics) -> Vec<Value> {
        metrics.take().iter().flat_map(Metrics::emitted).collect()
    }

    fn times(took: u64) -> Times {
        Times {
            took: Duration::from_millis(took),
            since_receipt: Some(Duration::from_secs(7)),
            since_event: None,
        }
    }

    #[test]
    fn only_finished_syncs_have_a_lag_and_all_are_counted() {
        let metrics = SyncMetrics::default();
        metrics.record(&Outcome::Synced(Changes::default()), times(1));
        metrics.record(&Outcome::Unchanged, times(2));
        metrics.record(&Outcome::Skipped(SkipReason::Guest), times(3));
        metrics.record(&Outcome::Skipped(SkipReason::Unconfirmed), times(3));
        metrics.record(&Outcome::Skipped(SkipReason::Unconfirmed), times(3));
        metrics.record(&Outcome::NoTime, times(4));
        metrics.count("dead_letter");
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
        assert_eq!(emitted(&metrics), expected);
        assert_eq!(emitted(&metrics), [] as [Value; 0]);
    }

    #[test]
    fn retried_age_is_that_of_the_oldest_retried_message() {
        let metrics = SyncMetrics::default();
        for (ages, expected) in [
            (&[5, 1_000, 901][..], &[json!({"RetriedAge": 1_000.0})][..]),
            (&[0], &[json!({"RetriedAge": 0.0})]),
            (&[], &[]),
        ] {
            for age in ages {
                metrics.record_retry(Duration::from_secs(*age));
            }
            assert_eq!(emitted(&metrics), expected, "{ages:?}");
        }
    }
}
