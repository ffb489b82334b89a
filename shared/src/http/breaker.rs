//! A circuit breaker for an API that does not respond in time. Pure: callers
//! pass in the time and the jitter.

use std::time::Duration;

use tokio::time::Instant;

/// A longer call counts as slow even if it succeeds, because other users wait
/// for it. Assumed: healthy APIs respond within a second or two.
pub(super) const SLOW: Duration = Duration::from_secs(3);

/// A longer call counts as unanswered, because a sync with several such calls
/// would hold up its batch for most of an invocation.
pub(super) const LOST: Duration = Duration::from_secs(6);

/// This many slow or unanswered calls in a row open the breaker.
const MAX_FAILURES: u32 = 3;

/// Up to half is added as jitter. A retried message does not return earlier.
const MIN_OPEN: Duration = Duration::from_secs(30);

/// Up to half is added as jitter. Short enough to notice a recovery within minutes.
const MAX_OPEN: Duration = Duration::from_secs(5 * 60);

/// How long a sync that may probe has until its first call: it reads Sesamy before.
const PROBE_TIME: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallOutcome {
    OnTime,
    Slow,
    /// No response, or only after [`LOST`].
    Unanswered,
    /// Dropped too early to say anything about the API.
    Cancelled,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Breaker {
    #[default]
    Closed,
    /// The number of slow or unanswered calls in a row.
    Failing(u32),
    /// No calls before `until`.
    Open { since: Instant, until: Instant },
    /// One sync tests, with one call at a time, whether the API responds again.
    Probing {
        /// When the breaker opened.
        since: Instant,
        /// No other sync may probe before this time.
        until: Instant,
        has_call: bool,
    },
}

impl Breaker {
    /// How long no sync that calls the API should start.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        match *self {
            Self::Open { until, .. } if now < until => Some(until - now),
            Self::Probing {
                until, has_call, ..
            } if has_call || now < until => Some(probe_wait(until, now)),
            _ => None,
        }
    }

    /// For a sync that will call the API. Only one sync may probe.
    pub(super) fn admit_sync(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(remaining) = self.remaining(now) {
            return Err(remaining);
        }
        self.probe(now, false);
        Ok(())
    }

    /// For a single call. While the breaker probes, it admits one call at a time.
    pub(super) fn admit_call(&mut self, now: Instant) -> Result<(), Duration> {
        match *self {
            Self::Open { until, .. } if now < until => return Err(until - now),
            Self::Probing {
                until,
                has_call: true,
                ..
            } => return Err(probe_wait(until, now)),
            _ => self.probe(now, true),
        }
        Ok(())
    }

    fn probe(&mut self, now: Instant, has_call: bool) {
        if let Self::Open { since, .. } | Self::Probing { since, .. } = *self {
            *self = Self::Probing {
                since,
                until: now + PROBE_TIME,
                has_call,
            };
        }
    }

    /// `jitter` is between 0 and 1. It keeps function instances that met the
    /// same outage from probing at the same time.
    pub(super) fn record(&mut self, outcome: CallOutcome, now: Instant, jitter: f64) {
        use CallOutcome::{Cancelled, OnTime, Slow, Unanswered};
        let after = |wait: Duration| now + wait.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 2.0);
        *self = match (*self, outcome) {
            (_, OnTime) => Self::Closed,
            (Self::Closed, Slow | Unanswered) => Self::Failing(1),
            (Self::Failing(failures), Slow | Unanswered) => {
                if failures + 1 < MAX_FAILURES {
                    Self::Failing(failures + 1)
                } else {
                    Self::Open {
                        since: now,
                        until: after(MIN_OPEN),
                    }
                }
            }
            // The API works, but slowly: this sync may finish, others wait longer.
            (Self::Probing { since, .. }, Slow) => Self::Probing {
                since,
                until: after(MAX_OPEN),
                has_call: false,
            },
            // Stays open for as long again as the outage has lasted.
            (Self::Probing { since, .. }, Unanswered) => Self::Open {
                since,
                until: after((now - since).clamp(MIN_OPEN, MAX_OPEN)),
            },
            (Self::Probing { since, until, .. }, Cancelled) => Self::Probing {
                since,
                until,
                has_call: false,
            },
            (same @ (Self::Closed | Self::Failing(_)), Cancelled) => same,
            // This call began before the breaker opened.
            (open @ Self::Open { .. }, _) => open,
        };
    }
}

/// At least a second: the probe's end is unknown, and callers must not spin.
fn probe_wait(until: Instant, now: Instant) -> Duration {
    until
        .saturating_duration_since(now)
        .max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn open(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..MAX_FAILURES {
            assert_eq!(breaker.admit_call(now), Ok(()));
            breaker.record(CallOutcome::Unanswered, now, 0.0);
        }
        breaker
    }

    #[test]
    fn only_consecutive_failures_open_the_breaker() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.record(CallOutcome::Unanswered, now, 0.0);
            breaker.record(CallOutcome::Slow, now, 0.0);
            breaker.record(CallOutcome::Cancelled, now, 0.0);
            breaker.record(CallOutcome::OnTime, now, 0.0);
            assert_eq!(breaker, Breaker::Closed);
        }
        assert_eq!(open(now).admit_call(now), Err(MIN_OPEN));
        assert_eq!(open(now).admit_sync(now + s(10)), Err(s(20)));
    }

    #[test]
    fn one_call_probes_and_its_response_closes_the_breaker() {
        let begin = Instant::now();
        let mut breaker = open(begin);
        let now = begin + MIN_OPEN;
        assert_eq!(breaker.admit_sync(now), Ok(()));
        assert_eq!(breaker.admit_sync(now), Err(PROBE_TIME), "one sync only");
        assert_eq!(breaker.admit_call(now + s(1)), Ok(()));
        assert!(breaker.admit_call(now + s(1)).is_err(), "one call only");
        assert!(breaker.admit_sync(now + s(100)).is_err(), "while it lasts");
        breaker.record(CallOutcome::OnTime, now + s(2), 0.0);
        assert_eq!(breaker.admit_sync(now + s(2)), Ok(()));
        assert_eq!(breaker.admit_call(now + s(2)), Ok(()));
    }

    #[test]
    fn the_wait_between_probes_doubles_up_to_five_minutes() {
        let begin = Instant::now();
        let mut breaker = open(begin);
        let (mut now, mut waits) = (begin, Vec::new());
        for _ in 0..7 {
            let wait = breaker.admit_call(now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(breaker.admit_call(now), Ok(()));
            breaker.record(CallOutcome::Unanswered, now, 0.0);
        }
        assert_eq!(waits, [30, 30, 60, 120, 240, 300, 300]);
    }

    #[test]
    fn jitter_spreads_probes_of_different_instances() {
        let now = Instant::now();
        let waits = [0.0, 0.5, 1.0].map(|jitter| {
            let mut breaker = Breaker::Failing(MAX_FAILURES - 1);
            breaker.record(CallOutcome::Unanswered, now, jitter);
            breaker.admit_call(now).unwrap_err()
        });
        assert_eq!(waits.map(|wait| wait.as_millis()), [30_000, 37_500, 45_000]);
    }

    #[test]
    fn a_sync_with_slow_calls_finishes_and_the_next_one_waits() {
        let begin = Instant::now();
        let mut breaker = open(begin);
        let mut now = begin + MIN_OPEN;
        assert_eq!(breaker.admit_sync(now), Ok(()));
        for _ in 0..10 {
            assert_eq!(breaker.admit_call(now), Ok(()));
            now += s(9);
            breaker.record(CallOutcome::Slow, now, 0.0);
            assert_eq!(breaker.admit_sync(now), Err(MAX_OPEN));
        }
        assert_eq!(breaker.admit_sync(now + MAX_OPEN), Ok(()));
    }

    #[test]
    fn an_unused_or_cancelled_probe_is_left_to_another_sync() {
        let begin = Instant::now();
        let mut breaker = open(begin);
        let now = begin + MIN_OPEN;
        assert_eq!(breaker.admit_sync(now), Ok(()));
        assert_eq!(breaker.admit_sync(now + PROBE_TIME), Ok(()));
        assert_eq!(breaker.admit_call(now + PROBE_TIME), Ok(()));
        breaker.record(CallOutcome::Cancelled, now + PROBE_TIME, 0.0);
        assert_eq!(breaker.admit_call(now + PROBE_TIME), Ok(()));
    }

    #[test]
    fn a_failure_after_opening_does_not_prolong_the_wait() {
        let now = Instant::now();
        let mut breaker = open(now);
        let before = breaker;
        breaker.record(CallOutcome::Unanswered, now + s(9), 0.0);
        assert_eq!(breaker, before);
    }
}
