//! Limits of calls in ten seconds and in a day.

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{CORRELATION_ID, account::Account};
use crate::response::ApiResponse;

const INTERVAL: SignedDuration = SignedDuration::from_secs(10);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Without a limit that a test sets, answers show that of a Professional account.
const SHOWN_PER_INTERVAL: usize = 190;
const SHOWN_PER_DAY: usize = 625_000;

pub(super) fn error_body(policy: &str) -> Value {
    json!({
        "status": "error",
        "message": format!("You have reached your {} limit.", policy.to_lowercase()),
        "errorType": "RATE_LIMIT",
        "category": "RATE_LIMITS",
        "correlationId": CORRELATION_ID,
        "policyName": policy,
        "requestId": "1",
    })
}

impl Account {
    fn calls_within(&self, window: SignedDuration, now: Timestamp) -> usize {
        let calls = self.calls.iter().rev();
        calls
            .take_while(|at| now.duration_since(**at) < window)
            .count()
    }

    pub fn limit_reached(&self, now: Timestamp) -> Option<ApiResponse> {
        let is_over = |max: Option<usize>, window| {
            max.is_some_and(|max| self.calls_within(window, now) >= max)
        };
        let policy = if is_over(self.settings.calls_per_day, DAY) {
            "DAILY"
        } else if is_over(self.settings.calls_per_interval, INTERVAL) {
            "TEN_SECONDLY_ROLLING"
        } else {
            return None;
        };
        Some(ApiResponse::json(
            StatusCode::TOO_MANY_REQUESTS,
            error_body(policy),
        ))
    }

    pub fn count_call(&mut self, now: Timestamp) {
        let limits = [
            self.settings.calls_per_interval,
            self.settings.calls_per_day,
        ];
        if limits != [None, None] {
            self.calls.push_back(now);
        }
    }

    pub fn with_limits(&self, response: ApiResponse, now: Timestamp) -> ApiResponse {
        // This call counts too.
        let left = |max: usize, window| max.saturating_sub(self.calls_within(window, now) + 1);
        let per_interval = self
            .settings
            .calls_per_interval
            .unwrap_or(SHOWN_PER_INTERVAL);
        let per_day = self.settings.calls_per_day.unwrap_or(SHOWN_PER_DAY);
        let interval = INTERVAL.as_millis().to_string();
        response
            .with("x-hubspot-ratelimit-daily", per_day.to_string())
            .with(
                "x-hubspot-ratelimit-daily-remaining",
                left(per_day, DAY).to_string(),
            )
            .with("x-hubspot-ratelimit-interval-milliseconds", interval)
            .with("x-hubspot-ratelimit-max", per_interval.to_string())
            .with(
                "x-hubspot-ratelimit-remaining",
                left(per_interval, INTERVAL).to_string(),
            )
    }
}
