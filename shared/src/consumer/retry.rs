//! How long a message waits before it is tried again. Pure: the jitter is passed in.

use std::time::Duration;

/// The shortest wait.
pub(super) const SHORTEST: Duration = Duration::from_secs(30);

/// The shortest wait after credentials were refused.
const SHORTEST_REFUSED: Duration = Duration::from_secs(60);

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
    /// Credentials were refused: a person must act, who may do so soon after
    /// the vendor was set up.
    Refused,
    /// There was no time left to begin.
    NoTime,
    /// There was no time left to begin, since others had it all.
    AfterOthers,
}

/// How long a message of this age waits before it is tried again. `jitter` is
/// anything from 0 to 1.
///
/// The back-off goes by age, not by receive count: a message that is put back
/// during a pause was received without being tried. To wait as long as it is
/// old doubles a message's age with each try, which is exponential. It is a
/// floor under what an API asks for: with a minute asked for each time, a
/// message would use up its thousand receives in 17 hours.
pub(super) fn delay(why: Why, age: Duration, jitter: f64) -> Duration {
    let jitter = jitter.clamp(0.0, 1.0);
    let by_age = |shortest: Duration| {
        age.clamp(shortest, LONGEST)
            .mul_f64(1.0 - jitter / 2.0)
            .max(shortest)
    };
    let delay = match why {
        Why::AfterOthers => Duration::ZERO,
        Why::AskedToWait(wait) => {
            let asked = wait.saturating_add(spread(wait).mul_f64(jitter));
            // Spread upwards here: most who are sent away so were not even
            // tried, and each time costs a receive, of which a long queue has
            // none to spare.
            let age = age.clamp(SHORTEST, LONGEST).mul_f64(1.0 + jitter);
            asked.max(age.min(LONGEST.mul_f64(1.0 - jitter / 2.0)))
        }
        Why::Refused => by_age(SHORTEST_REFUSED),
        Why::Passing | Why::NoTime => by_age(SHORTEST),
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
            (Why::Refused, s(0), 1.0, s(60)),
            (Why::Refused, s(600), 0.0, s(600)),
            (Why::Refused, s(86_400), 0.0, s(900)),
            (Why::Refused, s(86_400), 1.0, s(450)),
            (Why::NoTime, s(0), 0.0, s(30)),
            (Why::NoTime, s(86_400), 1.0, s(450)),
            (Why::AfterOthers, s(86_400), 1.0, s(0)),
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
    fn a_message_waits_for_the_longer_of_what_an_api_asks_and_the_back_off_by_its_age() {
        struct Case {
            asked: Duration,
            age: Duration,
            jitter: f64,
            expected: Duration,
        }
        let case = |asked, age, jitter, expected| Case {
            asked,
            age,
            jitter,
            expected,
        };
        let cases = [
            // What the API asks, spread by up to half, where the message is young.
            case(s(600), s(5), 0.0, s(600)),
            case(s(600), s(5), 1.0, s(900)),
            case(s(7_200), s(5), 1.0, s(8_100)),
            case(s(1_000_000), s(5), 0.5, SQS_LONGEST),
            case(Duration::MAX, s(5), 1.0, SQS_LONGEST),
            // The back-off, where the API asks for little.
            case(s(0), s(0), 0.0, s(30)),
            case(s(5), s(120), 0.0, s(120)),
            case(s(5), s(120), 1.0, s(240)),
            case(s(5), s(400), 0.5, s(600)),
            case(s(5), s(600), 0.5, s(675)),
            case(s(60), s(86_400), 0.0, s(900)),
            case(s(60), s(86_400), 1.0, s(450)),
        ];
        for case in cases {
            let wait = delay(Why::AskedToWait(case.asked), case.age, case.jitter);
            assert_eq!(wait, case.expected, "{:?} {:?}", case.asked, case.age);
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
