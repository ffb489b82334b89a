//! When an API of a vendor may be called again: after it asked to be left
//! alone, or failed to answer in time again and again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::breaker::{Breaker, Ended, LOST, SLOW};
use crate::identity::VendorId;

/// The longest pause kept: what SQS can hide a message for.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// How long it is remembered that an API was left alone: twice the longest that
/// a message then waits from try to try.
const REMEMBERED: Duration = Duration::from_secs(30 * 60);

/// Until when each vendor's account with each API is left alone. Per vendor,
/// because limits belong to the credentials, and one vendor's API may be out
/// while another's is not.
#[derive(Debug, Default)]
pub(super) struct Pauses(Mutex<HashMap<(VendorId, &'static str), Standing>>);

/// What is known of one vendor's account with one API.
#[derive(Debug, Default)]
struct Standing {
    /// Until when it asked to be left alone.
    asked: Option<Instant>,
    breaker: Breaker,
    /// When it last was left alone.
    left_at: Option<Instant>,
}

impl Standing {
    /// Whether it was left alone not long ago.
    fn was_left(&self, now: Instant) -> bool {
        self.left_at.is_some_and(|at| now - at < REMEMBERED)
    }

    /// How long it still wants to be left alone.
    fn asked(&self, now: Instant) -> Option<Duration> {
        let left = self.asked?.saturating_duration_since(now);
        Some(left).filter(|left| !left.is_zero())
    }
}

impl Pauses {
    /// Leaves the API alone for `wait`, or longer where that was asked before.
    pub(super) fn begin(&self, vendor: &VendorId, api: &'static str, wait: Duration) {
        let now = Instant::now();
        let until = now + wait.min(LONGEST);
        self.with(vendor, api, |standing| {
            standing.asked = standing.asked.max(Some(until));
        });
    }

    /// How long no sync should be begun that will call the API later on.
    pub(super) fn left(&self, vendor: &VendorId, api: &'static str) -> Option<Duration> {
        let now = Instant::now();
        self.with(vendor, api, |standing| {
            standing.asked(now).or_else(|| standing.breaker.left(now))
        })
    }

    /// Whether the API was left alone not long ago.
    pub(super) fn was_left(&self, vendor: &VendorId, api: &'static str) -> bool {
        let now = Instant::now();
        self.with(vendor, api, |standing| standing.was_left(now))
    }

    /// Lets a sync go ahead that will call the API later on, or says how long
    /// it must wait.
    pub(super) fn enter(&self, vendor: &VendorId, api: &'static str) -> Result<(), Duration> {
        let now = Instant::now();
        self.with(vendor, api, |standing| match standing.asked(now) {
            Some(wait) => Err(wait),
            None => standing.breaker.enter(now),
        })
    }

    /// Lets a call through, or says how long it must wait.
    pub(super) fn admit<'a>(
        &'a self,
        vendor: &'a VendorId,
        api: &'static str,
    ) -> Result<Passage<'a>, Duration> {
        let began = Instant::now();
        self.with(vendor, api, |standing| match standing.asked(began) {
            Some(wait) => Err(wait),
            None => standing.breaker.admit(began),
        })?;
        Ok(Passage {
            pauses: self,
            vendor,
            api,
            began,
            is_noted: false,
        })
    }

    fn with<T>(
        &self,
        vendor: &VendorId,
        api: &'static str,
        work: impl FnOnce(&mut Standing) -> T,
    ) -> T {
        // A poisoned lock holds a map that is whole: nothing below panics half-way.
        let mut standings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (vendor.clone(), api);
        let mut standing = standings.remove(&key).unwrap_or_default();
        let outcome = work(&mut standing);
        let now = Instant::now();
        let is_left = standing.asked(now).or_else(|| standing.breaker.left(now));
        standing.left_at = is_left.map(|_| now).or(standing.left_at);
        // Of most there is nothing to remember, most of the time.
        if standing.was_left(now) || standing.breaker != Breaker::Closed {
            standings.insert(key, standing);
        }
        outcome
    }
}

/// A call that was let through. What it comes to tells whether the next ones are.
#[derive(Debug)]
pub(super) struct Passage<'a> {
    pauses: &'a Pauses,
    vendor: &'a VendorId,
    api: &'static str,
    began: Instant,
    is_noted: bool,
}

impl Passage<'_> {
    /// Notes that the call ended, and whether there was an answer, whatever it says.
    pub(super) fn ended(mut self, is_answered: bool) {
        let took = self.began.elapsed();
        self.note(match is_answered {
            true if took < SLOW => Ended::InTime,
            true if took < LOST => Ended::Late,
            _ => Ended::Unanswered,
        });
    }

    fn note(&mut self, ended: Ended) {
        self.is_noted = true;
        self.pauses.with(self.vendor, self.api, |standing| {
            standing
                .breaker
                .note(ended, Instant::now(), fastrand::f64());
        });
    }
}

/// A call is given up when its sync has no time left. That says something only
/// if the call took long itself.
impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if !self.is_noted {
            self.note(match self.began.elapsed() < SLOW {
                true => Ended::GivenUp,
                false => Ended::Unanswered,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn vendor(id: &str) -> VendorId {
        VendorId::try_from(id).unwrap()
    }

    fn left(pauses: &Pauses, id: &str, api: &'static str) -> Option<Duration> {
        let left = pauses.left(&vendor(id), api);
        assert_eq!(pauses.enter(&vendor(id), api).err(), left);
        left
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_concerns_one_vendor_and_api_and_ends() {
        let pauses = Pauses::default();
        pauses.begin(&vendor("a"), "crm", Duration::from_secs(60));
        pauses.begin(&vendor("a"), "crm", Duration::from_secs(10));
        assert_eq!(left(&pauses, "a", "crm"), Some(Duration::from_secs(60)));
        assert!(pauses.admit(&vendor("a"), "crm").is_err());
        assert_eq!(left(&pauses, "b", "crm"), None);
        assert_eq!(left(&pauses, "a", "sesamy"), None);
        advance(Duration::from_secs(60)).await;
        assert_eq!(left(&pauses, "a", "crm"), None);
        assert!(pauses.admit(&vendor("a"), "crm").is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_cut_to_twelve_hours() {
        let pauses = Pauses::default();
        pauses.begin(&vendor("a"), "crm", Duration::from_secs(1_000_000));
        assert_eq!(left(&pauses, "a", "crm"), Some(LONGEST));
    }

    /// How a call ends, after how many seconds; whether the API is left alone
    /// after three of them.
    #[tokio::test(start_paused = true)]
    async fn what_keeps_others_waiting_three_times_is_left_alone() {
        let cases = [
            ("unanswered", Some(false), 0, true),
            ("unanswered in time", Some(false), 10, true),
            ("answered late", Some(true), 4, true),
            ("answered as good as never", Some(true), 9, true),
            ("given up late", None, 9, true),
            ("answered", Some(true), 2, false),
            ("given up early", None, 2, false),
        ];
        for (name, is_answered, seconds, is_left_alone) in cases {
            let pauses = Pauses::default();
            let of = vendor("a");
            for _ in 0..3 {
                let call = pauses.admit(&of, "crm").unwrap();
                advance(Duration::from_secs(seconds)).await;
                match is_answered {
                    Some(is_answered) => call.ended(is_answered),
                    None => drop(call),
                }
            }
            let left_alone = left(&pauses, "a", "crm").is_some();
            assert_eq!(left_alone, is_left_alone, "{name}");
            assert_eq!(left(&pauses, "b", "crm"), None, "{name}");
        }
    }

    /// After how many seconds a probe is answered; whether its sync may go on.
    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_answered_late_lets_its_sync_go_on_unless_it_is_lost() {
        for (seconds, goes_on) in [(1, true), (4, true), (7, false)] {
            let pauses = Pauses::default();
            let of = vendor("a");
            for _ in 0..3 {
                pauses.admit(&of, "crm").unwrap().ended(false);
            }
            advance(Duration::from_secs(45)).await;
            let probe = pauses.admit(&of, "crm").unwrap();
            advance(Duration::from_secs(seconds)).await;
            probe.ended(true);
            assert_eq!(pauses.admit(&of, "crm").is_ok(), goes_on, "{seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_remembered_for_long_of_an_api_that_answers() {
        let pauses = Pauses::default();
        let of = vendor("a");
        pauses.begin(&of, "crm", Duration::from_secs(1));
        advance(Duration::from_secs(1)).await;
        pauses.admit(&of, "crm").unwrap().ended(true);
        assert!(pauses.was_left(&of, "crm"));
        advance(REMEMBERED).await;
        pauses.admit(&of, "crm").unwrap().ended(true);
        assert!(!pauses.was_left(&of, "crm"));
        assert!(pauses.0.lock().unwrap().is_empty());
    }
}
