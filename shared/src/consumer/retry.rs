//! How long a message waits before it is retried. Pure: the jitter is passed in.

use std::time::Duration;

const MIN_WAIT: Duration = Duration::from_secs(30);

/// After credentials were refused.
const MIN_REFUSED_WAIT: Duration = Duration::from_secs(60);

/// Unless an API asks for more.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);

/// SQS keeps a message invisible for at most 12 hours from its receipt, and a
/// function may have worked on it for up to 15 minutes.
const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 60 * 60 - 15 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryReason {
    /// A failure that may pass.
    Transient,
    AskedToWait(Duration),
    /// Credentials were refused. A person must fix them, and may do so soon if the
    /// vendor was just set up.
    Refused,
    /// The invocation had no time left to start the sync.
    NoTime,
    /// Like `NoTime`, but the batch synced only other vendors' users.
    AfterOthers,
}

/// The wait for a message of this age. `jitter` is from 0 to 1.
///
/// The backoff grows with age, not with receives: during a pause a message is
/// received without being tried. Waiting for as long as the message is old
/// doubles its age with each try, so the backoff is exponential. It is also the
/// minimum if an API asks for less: with a minute each time, a message would use
/// up its thousand receives in 17 hours.
pub(super) fn delay(reason: RetryReason, age: Duration, jitter: f64) -> Duration {
    let jitter = jitter.clamp(0.0, 1.0);
    let by_age = |min: Duration| {
        age.clamp(min, MAX_WAIT)
            .mul_f64(1.0 - jitter / 2.0)
            .max(min)
    };
    let delay = match reason {
        RetryReason::AfterOthers => Duration::ZERO,
        RetryReason::AskedToWait(wait) => {
            // Spread by up to half, at most 15 minutes. Otherwise all messages that
            // wait for the same API would return together and be deferred again.
            let spread = (wait / 2).min(MAX_WAIT);
            let asked = wait.saturating_add(spread.mul_f64(jitter));
            // Spread upwards: most of these messages were not even tried, and
            // every return uses up a receive, which a long queue cannot afford.
            let age = age.clamp(MIN_WAIT, MAX_WAIT).mul_f64(1.0 + jitter);
            asked.max(age.min(MAX_WAIT.mul_f64(1.0 - jitter / 2.0)))
        }
        RetryReason::Refused => by_age(MIN_REFUSED_WAIT),
        RetryReason::Transient | RetryReason::NoTime => by_age(MIN_WAIT),
    };
    delay.min(MAX_VISIBILITY)
}

#[cfg(test)]
mod tests {
    use RetryReason::{AfterOthers, AskedToWait, NoTime, Refused, Transient};
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn wait_depends_on_age_and_requested_wait() {
        struct Case {
            reason: RetryReason,
            age: Duration,
            jitter: f64,
            expected: Duration,
        }
        let case = |reason, age, jitter, expected| Case {
            reason,
            age,
            jitter,
            expected,
        };
        let cases = [
            case(Transient, s(0), 0.0, s(30)),
            case(Transient, s(20), 1.0, s(30)),
            case(Transient, s(120), 0.0, s(120)),
            case(Transient, s(120), 1.0, s(60)),
            case(Transient, s(86_400), 0.0, s(900)),
            case(Transient, s(86_400), 1.0, s(450)),
            case(Refused, s(0), 1.0, s(60)),
            case(Refused, s(600), 0.0, s(600)),
            case(Refused, s(86_400), 0.0, s(900)),
            case(Refused, s(86_400), 1.0, s(450)),
            case(NoTime, s(0), 0.0, s(30)),
            case(NoTime, s(86_400), 1.0, s(450)),
            case(AfterOthers, s(86_400), 1.0, s(0)),
            // What the API asks, spread by up to half, for a young message.
            case(AskedToWait(s(600)), s(5), 0.0, s(600)),
            case(AskedToWait(s(600)), s(5), 1.0, s(900)),
            case(AskedToWait(s(7_200)), s(5), 1.0, s(8_100)),
            case(AskedToWait(s(1_000_000)), s(5), 0.5, MAX_VISIBILITY),
            case(AskedToWait(Duration::MAX), s(5), 1.0, MAX_VISIBILITY),
            // The backoff by age, if the API asks for little.
            case(AskedToWait(s(0)), s(0), 0.0, s(30)),
            case(AskedToWait(s(5)), s(120), 0.0, s(120)),
            case(AskedToWait(s(5)), s(120), 1.0, s(240)),
            case(AskedToWait(s(5)), s(400), 0.5, s(600)),
            case(AskedToWait(s(5)), s(600), 0.5, s(675)),
            case(AskedToWait(s(60)), s(86_400), 0.0, s(900)),
            case(AskedToWait(s(60)), s(86_400), 1.0, s(450)),
        ];
        for case in cases {
            let wait = delay(case.reason, case.age, case.jitter);
            let name = format!("{:?} {:?} {}", case.reason, case.age, case.jitter);
            assert_eq!(wait, case.expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn transient_failure_waits_between_half_a_minute_and_a_quarter_of_an_hour(
            age in 0..u64::MAX, jitter in 0.0..=1.0
        ) {
            let delay = delay(Transient, s(age), jitter);
            prop_assert!((MIN_WAIT..=MAX_WAIT).contains(&delay), "{delay:?}");
        }

        #[test]
        fn no_wait_is_longer_than_sqs_allows(
            wait in 0..u64::MAX, age in 0..u64::MAX, jitter in 0.0..=1.0
        ) {
            prop_assert!(delay(AskedToWait(s(wait)), s(age), jitter) <= MAX_VISIBILITY);
        }
    }
}
