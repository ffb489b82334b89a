//! The rate limit of the Management API.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// The sustained rate.
    pub per_minute: u32,
    /// The size of a burst after a quiet period.
    pub burst: u32,
}

impl Default for RateLimit {
    /// The documented limit of the Management API.
    fn default() -> Self {
        Self {
            per_minute: 100,
            burst: 200,
        }
    }
}

/// The state of the limit after one request.
pub(crate) struct RateStatus {
    pub limit: u32,
    pub remaining: u32,
    /// Epoch second at which the bucket is full again.
    pub reset: i64,
    /// Seconds to wait; `None` if the request passes.
    pub retry_after: Option<u64>,
}

/// Assumed: a token bucket with the two documented numbers, where a rejected request takes
/// no token. Sesamy does not document how it counts.
#[derive(Default)]
pub(crate) struct TokenBucket {
    /// The number of tokens at the last request; `None` before the first one.
    level: Option<(f64, Timestamp)>,
}

impl TokenBucket {
    pub fn take(&mut self, limit: RateLimit, now: Timestamp) -> RateStatus {
        let burst = f64::from(limit.burst.max(1));
        let per_second = f64::from(limit.per_minute.max(1)) / 60.0;
        let level = match self.level {
            None => burst,
            Some((level, then)) => {
                let passed = now.duration_since(then).as_secs_f64().max(0.0);
                (level + passed * per_second).min(burst)
            }
        };
        let passes = level >= 1.0;
        let remaining = if passes { level - 1.0 } else { level };
        self.level = Some((remaining, now));
        // Rounded up, so that a client that waits this long passes.
        let wait = |missing: f64| (missing / per_second).ceil().max(0.0);
        RateStatus {
            limit: limit.per_minute,
            remaining: whole(remaining).min(limit.per_minute),
            reset: now.as_second() + i64::from(whole(wait(burst - remaining))),
            retry_after: (!passes).then(|| u64::from(whole(wait(1.0 - remaining).max(1.0)))),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded by a burst or a minute's worth of seconds, never negative"
)]
fn whole(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn burst_passes_at_once_and_then_the_rate_applies() {
        let limit = RateLimit {
            per_minute: 60,
            burst: 3,
        };
        let mut bucket = TokenBucket::default();
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut take = |seconds| {
            let status = bucket.take(limit, start + SignedDuration::from_secs(seconds));
            (status.remaining, status.retry_after)
        };
        assert_eq!(take(0), (2, None));
        assert_eq!(take(0), (1, None));
        assert_eq!(take(0), (0, None));
        assert_eq!(take(0), (0, Some(1)));
        assert_eq!(take(1), (0, None));
        assert_eq!(take(1), (0, Some(1)));
        assert_eq!(take(60), (2, None));
    }
}
