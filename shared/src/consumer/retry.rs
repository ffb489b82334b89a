//! How long a message waits before it is tried again. Pure: the jitter is passed in.

use std::time::Duration;

/// The shortest wait.
pub(super) const SHORTEST: Duration = Duration::from_secs(30);

/// The longest wait that nobody asked for.
pub(super) const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The longest wait at all: SQS hides a message for 12 hours counted from its
/// receipt, and a function may have worked on it for up to 15 minutes.
pub(super) const SQS_LONGEST: Duration = Duration::from_secs(12 * 60 * 60 - 15 * 60);

/// How much longer than asked a message may wait at most: half as long again,
/// and never more than a quarter of an hour. Those who waited for the same API
/// would else all come back in the same moment and be sent away again.
fn spread(wait: Duration) -> Duration {
    (wait / 2).min(LONGEST)
}

/// Why a message is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Something failed that may pass.
    Passing,
    /// An API asked to be left alone for so long.
    AskedToWait(Duration),
    /// Credentials were refused: a person must act, so there is no hurry.
    Refused,
    /// There was no time left to begin; nothing is known against it.
    NoTime,
}

/// How long a message of this age waits before it is tried again. `jitter` is
/// anything from 0 to 1.
///
/// The back-off goes by age, not by receive count: a message that is put back
/// during a pause was received without being tried. To wait as long as it is
/// old doubles a message's age with each try, which is exponential.
pub(super) fn delay(why: Why, age: Duration, jitter: f64) -> Duration {
    let jitter = jitter.clamp(0.0, 1.0);
    let delay = match why {
        Why::NoTime => Duration::ZERO,
        Why::AskedToWait(wait) => wait.saturating_add(spread(wait).mul_f64(jitter)),
        Why::Refused => LONGEST.mul_f64(1.0 - jitter / 4.0),
        Why::Passing => age
            .clamp(SHORTEST, LONGEST)
            .mul_f64(1.0 - jitter / 2.0)
            .max(SHORTEST),
    };
    delay.min(SQS_LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_wait_grows_with_the_age_from_half_a_minute_to_a_quarter_of_an_hour() {
        let cases = [
            (Why::Passing, s(0), 0.0, s(30)),
            (Why::Passing, s(20), 1.0, s(30)),
            (Why::Passing, s(120), 0.0, s(120)),
            (Why::Passing, s(120), 1.0, s(60)),
            (Why::Passing, s(86_400), 0.0, s(900)),
            (Why::Passing, s(86_400), 1.0, s(450)),
            (Why::Refused, s(0), 0.0, s(900)),
            (Why::Refused, s(86_400), 1.0, s(675)),
            (Why::NoTime, s(86_400), 1.0, s(0)),
        ];
        for (why, age, jitter, expected) in cases {
            assert_eq!(
                delay(why, age, jitter),
                expected,
                "{why:?} {age:?} {jitter}"
            );
        }
    }

    #[test]
    fn nobody_comes_back_before_an_api_said_and_all_within_half_as_long_again() {
        let cases = [
            (s(600), 0.0, s(600)),
            (s(600), 1.0, s(900)),
            (s(7_200), 1.0, s(8_100)),
            (s(0), 0.0, s(0)),
            (s(1_000_000), 0.5, SQS_LONGEST),
            (Duration::MAX, 1.0, SQS_LONGEST),
        ];
        for (wait, jitter, expected) in cases {
            assert_eq!(delay(Why::AskedToWait(wait), s(5), jitter), expected);
        }
    }

    proptest! {
        #[test]
        fn a_failure_that_may_pass_waits_between_half_a_minute_and_a_quarter_of_an_hour(
            age in 0..u64::MAX, jitter in 0.0..=1.0
        ) {
            let delay = delay(Why::Passing, s(age), jitter);
            prop_assert!((SHORTEST..=LONGEST).contains(&delay), "{delay:?}");
        }

        #[test]
        fn no_wait_is_longer_than_sqs_allows(
            wait in 0..u64::MAX, age in 0..u64::MAX, jitter in 0.0..=1.0
        ) {
            prop_assert!(delay(Why::AskedToWait(s(wait)), s(age), jitter) <= SQS_LONGEST);
        }
    }
}
