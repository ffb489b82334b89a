//! The share of failing calls, over which Rule blocks a key.

use axum::http::StatusCode;
use jiff::Timestamp;

use crate::{answer::Answer, clock};

/// Calls before the share means anything. Rule's own window is not documented.
const ENOUGH: u32 = 20;
/// How long a key stays blocked, as observed.
const BLOCKED_SECONDS: u64 = 600;

/// How the calls with one key ended. Look-ups of the unknown count as failed.
#[derive(Default)]
pub(crate) struct ErrorShare {
    calls: u32,
    failed: u32,
    blocked_until: Option<Timestamp>,
}

impl ErrorShare {
    /// The answer to a call with a blocked key.
    pub fn blocked(&self, now: Timestamp) -> Option<Answer> {
        let until = self.blocked_until.filter(|until| now < *until)?;
        let moment = clock::stockholm(until);
        let text = format!("Too Many Requests. You can continue at {moment}.");
        let answer = Answer::text(StatusCode::TOO_MANY_REQUESTS, "text/plain", text);
        Some(answer.with("retry-after", moment))
    }

    /// Counts an answer, and blocks the key where the limit is reached.
    pub fn count(&mut self, status: StatusCode, limit: Option<u32>, now: Timestamp) {
        self.calls = self.calls.saturating_add(1);
        if status.is_client_error() {
            self.failed = self.failed.saturating_add(1);
        }
        if self.calls >= ENOUGH && limit.is_some_and(|limit| self.percent() >= limit) {
            *self = Self {
                blocked_until: Some(clock::after(now, BLOCKED_SECONDS)),
                ..Self::default()
            };
        }
    }

    /// The share in percent, rounded down.
    pub fn percent(&self) -> u32 {
        let percent = u64::from(self.failed) * 100 / u64::from(self.calls.max(1));
        u32::try_from(percent).unwrap_or(100)
    }
}
