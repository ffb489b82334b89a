//! When a vendor's API may be called again: after it asked for a pause, or
//! while its circuit breaker is open.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::response::Parts;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::StatusCode;
use tokio::time::Instant;

use super::breaker::{Breaker, CallOutcome, LOST, SLOW};
use super::retry_after;
use crate::identity::VendorId;

/// SQS cannot keep a message invisible for longer.
const MAX_PAUSE: Duration = Duration::from_secs(12 * 60 * 60);

/// The pause after a 429 that names none. Assumed: most limits are per minute.
const DEFAULT_PAUSE: Duration = Duration::from_secs(30);

/// How long [`Backoffs::was_paused`] is true: twice the longest wait between
/// two tries of a message.
const RECENT_PAUSE: Duration = Duration::from_secs(30 * 60);

/// How long an API asks not to be called. Only a 429 or 503 can ask for that, and
/// what `by_api` says in the API's own words.
pub(super) fn requested_wait(
    head: &Parts,
    stated_in_body: Option<Duration>,
    body: &[u8],
    zone: Option<&TimeZone>,
    by_api: Option<Duration>,
) -> Option<Duration> {
    let stated = || retry_after::parse(&head.headers, stated_in_body, body, zone, Timestamp::now());
    match head.status {
        StatusCode::TOO_MANY_REQUESTS => stated().or(by_api).or(Some(DEFAULT_PAUSE)),
        StatusCode::SERVICE_UNAVAILABLE => stated().or(by_api),
        _ => by_api.map(|by_api| stated().unwrap_or(by_api)),
    }
}

/// By vendor and API, because limits belong to the credentials, and one
/// vendor's API may be down while another's is not.
#[derive(Debug, Default)]
pub(super) struct Backoffs(Mutex<HashMap<(VendorId, &'static str), Backoff>>);

#[derive(Debug, Default)]
struct Backoff {
    /// The end of the pause that the API asked for.
    paused_until: Option<Instant>,
    breaker: Breaker,
    /// When calls were last held back, for either reason.
    last_paused: Option<Instant>,
}

impl Backoff {
    fn requested(&self, now: Instant) -> Option<Duration> {
        let wait = self.paused_until?.saturating_duration_since(now);
        Some(wait).filter(|wait| !wait.is_zero())
    }

    fn remaining(&self, now: Instant) -> Option<Duration> {
        self.requested(now).or_else(|| self.breaker.remaining(now))
    }

    fn was_paused(&self, now: Instant) -> bool {
        self.last_paused.is_some_and(|at| now - at < RECENT_PAUSE)
    }
}

impl Backoffs {
    /// Never shortens an earlier pause.
    pub(super) fn pause(&self, vendor: &VendorId, api: &'static str, wait: Duration) {
        let until = Instant::now() + wait.min(MAX_PAUSE);
        self.with(vendor, api, |backoff, _| {
            backoff.paused_until = backoff.paused_until.max(Some(until));
        });
    }

    /// How long no sync that calls the API should start.
    pub(super) fn remaining(&self, vendor: &VendorId, api: &'static str) -> Option<Duration> {
        self.with(vendor, api, |backoff, now| backoff.remaining(now))
    }

    pub(super) fn was_paused(&self, vendor: &VendorId, api: &'static str) -> bool {
        self.with(vendor, api, |backoff, now| backoff.was_paused(now))
    }

    /// For a sync that will call the API. The error says how long it must wait.
    pub(super) fn admit_sync(&self, vendor: &VendorId, api: &'static str) -> Result<(), Duration> {
        self.with(vendor, api, |backoff, now| match backoff.requested(now) {
            Some(wait) => Err(wait),
            None => backoff.breaker.admit_sync(now),
        })
    }

    /// For a single call. The error says how long it must wait.
    pub(super) fn admit_call<'a>(
        &'a self,
        vendor: &'a VendorId,
        api: &'static str,
    ) -> Result<CallPermit<'a>, Duration> {
        let began = self.with(vendor, api, |backoff, now| match backoff.requested(now) {
            Some(wait) => Err(wait),
            None => backoff.breaker.admit_call(now).map(|()| now),
        })?;
        Ok(CallPermit {
            backoffs: self,
            vendor,
            api,
            began,
            is_finished: false,
        })
    }

    fn with<T>(
        &self,
        vendor: &VendorId,
        api: &'static str,
        work: impl FnOnce(&mut Backoff, Instant) -> T,
    ) -> T {
        // A poisoned lock is safe to use: no code panics while the map is incomplete.
        let mut backoffs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (vendor.clone(), api);
        let mut backoff = backoffs.remove(&key).unwrap_or_default();
        let now = Instant::now();
        let result = work(&mut backoff, now);
        if backoff.remaining(now).is_some() {
            backoff.last_paused = Some(now);
        }
        // Healthy APIs need no entry, which keeps the map small.
        if backoff.was_paused(now) || backoff.breaker != Breaker::Closed {
            backoffs.insert(key, backoff);
        }
        result
    }
}

/// An admitted call. Its outcome decides whether later calls are admitted.
#[derive(Debug)]
pub(super) struct CallPermit<'a> {
    backoffs: &'a Backoffs,
    vendor: &'a VendorId,
    api: &'static str,
    began: Instant,
    is_finished: bool,
}

impl CallPermit<'_> {
    /// `is_answered` is true for a response of any status.
    pub(super) fn finish(mut self, is_answered: bool) {
        let took = self.began.elapsed();
        self.record(match is_answered {
            true if took < SLOW => CallOutcome::OnTime,
            true if took < LOST => CallOutcome::Slow,
            _ => CallOutcome::Unanswered,
        });
    }

    fn record(&mut self, outcome: CallOutcome) {
        self.is_finished = true;
        self.backoffs.with(self.vendor, self.api, |backoff, now| {
            backoff.breaker.record(outcome, now, fastrand::f64());
        });
    }
}

/// A call is dropped when its sync runs out of time. That counts against the
/// API only if the call itself was slow.
impl Drop for CallPermit<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            let is_early = self.began.elapsed() < SLOW;
            self.record(if is_early {
                CallOutcome::Cancelled
            } else {
                CallOutcome::Unanswered
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

    fn remaining(backoffs: &Backoffs, id: &str, api: &'static str) -> Option<Duration> {
        let remaining = backoffs.remaining(&vendor(id), api);
        assert_eq!(backoffs.admit_sync(&vendor(id), api).err(), remaining);
        remaining
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_and_applies_to_one_vendor_and_api() {
        let backoffs = Backoffs::default();
        let minute = Duration::from_secs(60);
        backoffs.pause(&vendor("a"), "crm", minute);
        backoffs.pause(&vendor("a"), "crm", Duration::from_secs(10));
        assert_eq!(remaining(&backoffs, "a", "crm"), Some(minute));
        assert!(backoffs.admit_call(&vendor("a"), "crm").is_err());
        assert_eq!(remaining(&backoffs, "b", "crm"), None);
        assert_eq!(remaining(&backoffs, "a", "sesamy"), None);
        advance(minute).await;
        assert_eq!(remaining(&backoffs, "a", "crm"), None);
        assert!(backoffs.admit_call(&vendor("a"), "crm").is_ok());
    }

    #[test]
    fn an_api_asks_in_its_own_words_where_it_has_no_retry_after() {
        struct Case {
            status: u16,
            retry_after: Option<&'static str>,
            by_api: Option<u64>,
            seconds: Option<u64>,
        }
        let case = |status, retry_after, by_api, seconds| Case {
            status,
            retry_after,
            by_api,
            seconds,
        };
        for case in [
            case(429, None, None, Some(DEFAULT_PAUSE.as_secs())),
            case(429, None, Some(10), Some(10)),
            case(429, Some("60"), Some(10), Some(60)),
            case(503, None, None, None),
            case(503, None, Some(10), Some(10)),
            case(477, Some("60"), Some(10), Some(60)),
            case(423, None, Some(2), Some(2)),
            case(423, Some("60"), None, None),
        ] {
            let name = format!("{} {:?}", case.status, case.by_api);
            let mut response = http::Response::builder().status(case.status);
            if let Some(text) = case.retry_after {
                response = response.header("retry-after", text);
            }
            let head = response.body(()).unwrap().into_parts().0;
            let by_api = case.by_api.map(Duration::from_secs);
            let wait = requested_wait(&head, None, &[], None, by_api);
            assert_eq!(wait, case.seconds.map(Duration::from_secs), "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_lasts_at_most_twelve_hours() {
        let backoffs = Backoffs::default();
        backoffs.pause(&vendor("a"), "crm", Duration::from_secs(1_000_000));
        assert_eq!(remaining(&backoffs, "a", "crm"), Some(MAX_PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn three_slow_or_unanswered_calls_open_the_breaker() {
        struct Case {
            /// `None` for a call that is dropped.
            is_answered: Option<bool>,
            seconds: u64,
            opens: bool,
        }
        let case = |is_answered, seconds, opens| Case {
            is_answered,
            seconds,
            opens,
        };
        let cases = [
            case(Some(false), 0, true),
            case(Some(false), 10, true),
            case(Some(true), 4, true),
            case(Some(true), 9, true),
            case(None, 9, true),
            case(Some(true), 2, false),
            case(None, 2, false),
        ];
        for case in cases {
            let name = format!("{:?} after {} s", case.is_answered, case.seconds);
            let backoffs = Backoffs::default();
            let vendor = vendor("a");
            for _ in 0..3 {
                let call = backoffs.admit_call(&vendor, "crm").unwrap();
                advance(Duration::from_secs(case.seconds)).await;
                match case.is_answered {
                    Some(is_answered) => call.finish(is_answered),
                    None => drop(call),
                }
            }
            let is_open = remaining(&backoffs, "a", "crm").is_some();
            assert_eq!(is_open, case.opens, "{name}");
            assert_eq!(remaining(&backoffs, "b", "crm"), None, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sync_continues_after_a_probe_that_is_slow_but_not_lost() {
        for (seconds, continues) in [(1, true), (4, true), (7, false)] {
            let backoffs = Backoffs::default();
            let vendor = vendor("a");
            for _ in 0..3 {
                backoffs.admit_call(&vendor, "crm").unwrap().finish(false);
            }
            advance(Duration::from_secs(45)).await;
            let probe = backoffs.admit_call(&vendor, "crm").unwrap();
            advance(Duration::from_secs(seconds)).await;
            probe.finish(true);
            let next = backoffs.admit_call(&vendor, "crm");
            assert_eq!(next.is_ok(), continues, "{seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_forgotten_after_half_an_hour() {
        let backoffs = Backoffs::default();
        let vendor = vendor("a");
        backoffs.pause(&vendor, "crm", Duration::from_secs(1));
        advance(Duration::from_secs(1)).await;
        backoffs.admit_call(&vendor, "crm").unwrap().finish(true);
        assert!(backoffs.was_paused(&vendor, "crm"));
        advance(RECENT_PAUSE).await;
        backoffs.admit_call(&vendor, "crm").unwrap().finish(true);
        assert!(!backoffs.was_paused(&vendor, "crm"));
        assert!(backoffs.0.lock().unwrap().is_empty());
    }
}
