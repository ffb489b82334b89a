//! The block of a key that makes too many failed calls.

use axum::http::StatusCode;
use jiff::Timestamp;

use crate::{clock, response::ApiResponse};

/// The number of calls from which the share counts. Rule's own window is not documented.
const MIN_CALLS: u32 = 20;
/// How long a key stays blocked (observed).
const BLOCKED_SECONDS: u64 = 600;

/// Counts the calls with one key. Every 4xx counts as failed, including a 404.
#[derive(Default)]
pub(crate) struct ErrorRate {
    calls: u32,
    failed: u32,
    blocked_until: Option<Timestamp>,
}

impl ErrorRate {
    pub fn blocked(&self, now: Timestamp) -> Option<ApiResponse> {
        let until = self.blocked_until.filter(|until| now < *until)?;
        Some(continue_at(until))
    }

    /// Counts a response, and blocks the key if it reaches the limit.
    pub fn count(&mut self, status: StatusCode, limit: Option<u32>, now: Timestamp) {
        self.calls = self.calls.saturating_add(1);
        if status.is_client_error() {
            self.failed = self.failed.saturating_add(1);
        }
        let percent = u64::from(self.failed) * 100 / u64::from(self.calls);
        if self.calls >= MIN_CALLS && limit.is_some_and(|limit| percent >= limit.into()) {
            *self = Self {
                blocked_until: Some(clock::after(now, BLOCKED_SECONDS)),
                ..Self::default()
            };
        }
    }
}

/// Rule's 429, which gives the time to retry as wall-clock time in Stockholm.
pub(crate) fn continue_at(moment: Timestamp) -> ApiResponse {
    let moment = clock::stockholm(moment);
    let text = format!("Too Many Requests. You can continue at {moment}.");
    ApiResponse::text(StatusCode::TOO_MANY_REQUESTS, "text/plain", text).with("retry-after", moment)
}
