//! When an API that does not answer in time is called again. Pure: the moment
//! and the jitter are passed in.

use std::time::Duration;

use tokio::time::Instant;

/// A call that takes longer is late: it is the time that others wait for,
/// however good the answer. Assumed: the APIs answer within a second or two
/// when they are well.
pub(super) const SLOW: Duration = Duration::from_secs(3);

/// A call that takes longer still is as good as unanswered: a sync of several
/// such calls would hold a batch for most of an invocation.
pub(super) const LOST: Duration = Duration::from_secs(6);

/// After so many calls in a row that were late or never answered the API is
/// left alone.
const FAILURES: u32 = 3;

/// The shortest it is left alone, spread by up to half: a message that was put
/// back does not come back earlier.
const SHORTEST: Duration = Duration::from_secs(30);

/// The longest it is left alone until the next probe, spread by up to half, so
/// that its recovery shows within minutes.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// How long whoever may probe has until its call: it reads Sesamy first.
const PROBE: Duration = Duration::from_secs(15);

/// What a call came to, as far as it kept others waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was answered in time.
    InTime,
    /// It was answered late.
    Late,
    /// It was never answered, or given up after a long time.
    Unanswered,
    /// It was given up before anything could be told from it.
    GivenUp,
}

/// Whether an API answers in time, as far as its calls tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Breaker {
    /// The last call was in time.
    #[default]
    Closed,
    /// So many of the last calls, in a row, were late or unanswered.
    Failing(u32),
    /// It is left alone until a moment.
    Open {
        /// Since when it does not answer in time.
        since: Instant,
        /// Until when it is left alone.
        until: Instant,
    },
    /// One sync, with one call at a time, may show whether it answers again.
    Probing {
        /// Since when it does not answer in time.
        since: Instant,
        /// Until when no other sync may try.
        until: Instant,
        /// Whether a call is under way.
        is_called: bool,
    },
}

impl Breaker {
    /// How long no sync should be begun that will call the API later on.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        match *self {
            Self::Open { until, .. } if now < until => Some(until - now),
            Self::Probing {
                until, is_called, ..
            } if is_called || now < until => Some(wait(until, now)),
            _ => None,
        }
    }

    /// Lets a sync go ahead that will call the API later on, or says how long
    /// it must wait. Where the API is due for a probe, one sync alone goes
    /// ahead.
    pub(super) fn enter(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(left) = self.left(now) {
            return Err(left);
        }
        if let Self::Open { since, .. } | Self::Probing { since, .. } = *self {
            *self = Self::Probing {
                since,
                until: now + PROBE,
                is_called: false,
            };
        }
        Ok(())
    }

    /// Lets a call through, or says how long it must wait. Where the API is due
    /// for a probe, one call alone goes through.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match *self {
            Self::Closed | Self::Failing(_) => Ok(()),
            Self::Open { until, .. } if now < until => Err(until - now),
            Self::Probing {
                until,
                is_called: true,
                ..
            } => Err(wait(until, now)),
            Self::Open { since, .. } | Self::Probing { since, .. } => {
                *self = Self::Probing {
                    since,
                    until: now + PROBE,
                    is_called: true,
                };
                Ok(())
            }
        }
    }

    /// Notes what a call came to. `jitter` is anything from 0 to 1: function
    /// instances that met the same trouble must not all probe at the same time.
    pub(super) fn note(&mut self, ended: Ended, now: Instant, jitter: f64) {
        let after = |wait: Duration| now + wait.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 2.0);
        *self = match (*self, ended) {
            (_, Ended::InTime) => Self::Closed,
            (Self::Closed, Ended::Late | Ended::Unanswered) => Self::Failing(1),
            (Self::Failing(failures), Ended::Late | Ended::Unanswered) => {
                if failures + 1 < FAILURES {
                    Self::Failing(failures + 1)
                } else {
                    Self::Open {
                        since: now,
                        until: after(SHORTEST),
                    }
                }
            }
            // It works, if slowly: this sync may go on, the next one comes much later.
            (Self::Probing { since, .. }, Ended::Late) => Self::Probing {
                since,
                until: after(LONGEST),
                is_called: false,
            },
            // As long again as it has been away.
            (Self::Probing { since, .. }, Ended::Unanswered) => Self::Open {
                since,
                until: after((now - since).clamp(SHORTEST, LONGEST)),
            },
            (Self::Probing { since, until, .. }, Ended::GivenUp) => Self::Probing {
                since,
                until,
                is_called: false,
            },
            (same @ (Self::Closed | Self::Failing(_)), Ended::GivenUp) => same,
            // The call was begun before the others failed.
            (open @ Self::Open { .. }, _) => open,
        };
    }
}

/// How long to wait for a probe to end: never nothing, or who waits would spin.
fn wait(until: Instant, now: Instant) -> Duration {
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
        for _ in 0..FAILURES {
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.note(Ended::Unanswered, now, 0.0);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.note(Ended::Unanswered, now, 0.0);
            breaker.note(Ended::Late, now, 0.0);
            breaker.note(Ended::GivenUp, now, 0.0);
            breaker.note(Ended::InTime, now, 0.0);
            assert_eq!(breaker, Breaker::Closed);
        }
        assert_eq!(open(now).admit(now), Err(SHORTEST));
        assert_eq!(open(now).enter(now + s(10)), Err(s(20)));
    }

    #[test]
    fn one_call_probes_and_its_answer_lets_all_through() {
        let begin = Instant::now();
        let mut breaker = open(begin);
        let now = begin + SHORTEST;
        assert_eq!(breaker.enter(now), Ok(()));
        assert_eq!(breaker.enter(now), Err(PROBE), "one sync alone");
        assert_eq!(breaker.admit(now + s(1)), Ok(()));
        assert!(breaker.admit(now + s(1)).is_err(), "one call alone");
        assert!(breaker.enter(now + s(100)).is_err(), "while it lasts");
        breaker.note(Ended::InTime, now + s(2), 0.0);
        assert_eq!(breaker.enter(now + s(2)), Ok(()));
        assert_eq!(breaker.admit(now + s(2)), Ok(()));
    }

    #[test]
    fn it_is_left_alone_as_long_again_as_it_was_away() {
        let begin = Instant::now();
        let mut breaker = open(begin);
        let (mut now, mut waits) = (begin, Vec::new());
        for _ in 0..7 {
            let wait = breaker.admit(now).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.note(Ended::Unanswered, now, 0.0);
        }
        assert_eq!(waits, [30, 30, 60, 120, 240, 300, 300]);
    }

    #[test]
    fn instances_that_met_the_same_trouble_probe_at_different_times() {
        let now = Instant::now();
        let waits = [0.0, 0.5, 1.0].map(|jitter| {
            let mut breaker = Breaker::Failing(FAILURES - 1);
            breaker.note(Ended::Unanswered, now, jitter);
            breaker.admit(now).unwrap_err()
        });
        assert_eq!(waits.map(|wait| wait.as_millis()), [30_000, 37_500, 45_000]);
    }

    #[test]
    fn a_sync_whose_calls_are_late_comes_to_its_end_and_the_next_one_waits() {
        let begin = Instant::now();
        let mut breaker = open(begin);
        let mut now = begin + SHORTEST;
        assert_eq!(breaker.enter(now), Ok(()));
        for _ in 0..10 {
            assert_eq!(breaker.admit(now), Ok(()));
            now += s(9);
            breaker.note(Ended::Late, now, 0.0);
            assert_eq!(breaker.enter(now), Err(LONGEST));
        }
        assert_eq!(breaker.enter(now + LONGEST), Ok(()));
    }

    #[test]
    fn a_sync_that_never_calls_and_a_call_given_up_leave_the_probe_to_another() {
        let begin = Instant::now();
        let mut breaker = open(begin);
        let now = begin + SHORTEST;
        assert_eq!(breaker.enter(now), Ok(()));
        assert_eq!(breaker.enter(now + PROBE), Ok(()));
        assert_eq!(breaker.admit(now + PROBE), Ok(()));
        breaker.note(Ended::GivenUp, now + PROBE, 0.0);
        assert_eq!(breaker.admit(now + PROBE), Ok(()));
    }

    #[test]
    fn a_call_that_fails_late_does_not_prolong_what_others_began() {
        let now = Instant::now();
        let mut breaker = open(now);
        let before = breaker;
        breaker.note(Ended::Unanswered, now + s(9), 0.0);
        assert_eq!(breaker, before);
    }
}
