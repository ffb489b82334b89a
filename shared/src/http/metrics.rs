//! Counts API calls by response and measures how long they take.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;

use super::error::ApiErrorKind;
use crate::telemetry::{Metrics, Unit};

const API_CALLS: &str = "ApiCalls";
const API_LATENCY: &str = "ApiLatency";

const API_DIMENSION: &str = "Api";
const STATUS_DIMENSION: &str = "Status";

/// Kept for each API until the metrics are taken; more calls are only counted.
/// An invocation makes a few hundred calls at most.
const MAX_LATENCIES: usize = 1_000;

/// The calls since the metrics were last taken, by API.
#[derive(Debug, Default)]
pub(super) struct CallMetrics(Mutex<BTreeMap<&'static str, ApiMetrics>>);

#[derive(Debug, Default)]
struct ApiMetrics {
    calls_by_status: BTreeMap<&'static str, u32>,
    /// In milliseconds.
    latencies: Vec<f64>,
}

// A poisoned lock is safe to use: no code panics while the map is incomplete.
impl CallMetrics {
    pub(super) fn record(
        &self,
        api: &'static str,
        status: Result<StatusCode, &ApiErrorKind>,
        took: Duration,
    ) {
        let mut metrics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = metrics.entry(api).or_default();
        *metrics
            .calls_by_status
            .entry(status_label(status))
            .or_default() += 1;
        if metrics.latencies.len() < MAX_LATENCIES {
            metrics.latencies.push(took.as_secs_f64() * 1_000.0);
        }
    }

    pub(super) fn take(&self) -> Vec<Metrics> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut lines = Vec::new();
        for (api, metrics) in taken {
            let line = Metrics::new().dimension(API_DIMENSION, api);
            for (status, count) in metrics.calls_by_status {
                let line = line.clone().dimension(STATUS_DIMENSION, status);
                lines.push(line.count(API_CALLS, count));
            }
            let latencies = metrics.latencies.into_iter();
            lines.push(latencies.fold(line, |line, latency| {
                line.value(API_LATENCY, Unit::Milliseconds, latency)
            }));
        }
        lines
    }
}

/// Few values, because CloudWatch charges for each as a separate metric. Only
/// statuses that an operator acts on are separate.
fn status_label(status: Result<StatusCode, &ApiErrorKind>) -> &'static str {
    match status.map(|status| status.as_u16()) {
        Ok(401) => "401",
        Ok(403) => "403",
        Ok(429) => "429",
        Ok(200..=299) => "2xx",
        Ok(400..=499) => "4xx",
        Ok(500..=599) => "5xx",
        Err(ApiErrorKind::Timeout) => "timeout",
        Err(ApiErrorKind::Connection) => "connection",
        Ok(_) | Err(_) => "other",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_counted_by_status_and_timed_by_api() {
        let metrics = CallMetrics::default();
        let calls = [
            ("rule", Ok(StatusCode::OK)),
            ("rule", Ok(StatusCode::CREATED)),
            ("rule", Err(&ApiErrorKind::Timeout)),
            ("sesamy", Ok(StatusCode::TOO_MANY_REQUESTS)),
        ];
        for (api, status) in calls {
            metrics.record(api, status, Duration::from_millis(20));
        }
        let emitted: Vec<_> = metrics.take().iter().flat_map(Metrics::emitted).collect();
        let expected = [
            json!({"Api": "rule", "Status": "2xx", "ApiCalls": 2.0}),
            json!({"Api": "rule", "Status": "timeout", "ApiCalls": 1.0}),
            json!({"Api": "rule", "ApiLatency": [20.0, 20.0, 20.0]}),
            json!({"Api": "sesamy", "Status": "429", "ApiCalls": 1.0}),
            json!({"Api": "sesamy", "ApiLatency": 20.0}),
        ];
        assert_eq!(emitted, expected);
        assert!(metrics.take().is_empty(), "each call is emitted once");
    }

    #[test]
    fn the_status_dimension_has_few_values() {
        let cases = [
            (200, "2xx"),
            (204, "2xx"),
            (302, "other"),
            (400, "4xx"),
            (401, "401"),
            (403, "403"),
            (404, "4xx"),
            (429, "429"),
            (500, "5xx"),
            (503, "5xx"),
            (999, "other"),
        ];
        for (code, label) in cases {
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(status_label(Ok(status)), label, "{code}");
        }
        assert_eq!(status_label(Err(&ApiErrorKind::Connection)), "connection");
        assert_eq!(status_label(Err(&ApiErrorKind::Malformed("it"))), "other");
    }
}
