//! What became of the calls: how many, with what answer, how long they took.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;

use super::error::Fault;
use crate::telemetry::{Metrics, Unit};

/// The metric that counts calls, by [`API`] and [`STATUS`].
pub const API_CALLS: &str = "ApiCalls";

/// The metric of how long calls took, in milliseconds, by [`API`].
pub const API_LATENCY: &str = "ApiLatency";

/// The dimension that names the API called.
pub const API: &str = "Api";

/// The dimension that names what was answered: a class of statuses, one of the
/// statuses an operator acts upon, or that there was no answer.
pub const STATUS: &str = "Status";

/// How many latencies of an API are kept between two tellings; further calls
/// are counted only. An invocation makes a few hundred calls at most.
const MAX_LATENCIES: usize = 1_000;

/// The calls that were made since they were last told.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<BTreeMap<&'static str, ApiCalls>>);

#[derive(Debug, Default)]
struct ApiCalls {
    by_status: BTreeMap<&'static str, u32>,
    /// In milliseconds.
    latencies: Vec<f64>,
}

impl Calls {
    /// Notes a call that ended.
    pub(super) fn note(
        &self,
        api: &'static str,
        ended: Result<StatusCode, &Fault>,
        took: Duration,
    ) {
        // A poisoned lock holds a map that is whole: nothing below panics half-way.
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = calls.entry(api).or_default();
        *calls.by_status.entry(label(ended)).or_default() += 1;
        if calls.latencies.len() < MAX_LATENCIES {
            calls.latencies.push(took.as_secs_f64() * 1_000.0);
        }
    }

    /// The metrics of the calls since they were last taken.
    pub(super) fn take(&self) -> Vec<Metrics> {
        let calls = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut metrics = Vec::new();
        for (api, calls) in calls {
            for (status, count) in calls.by_status {
                let counted = Metrics::new().dimension(API, api).dimension(STATUS, status);
                metrics.push(counted.count(API_CALLS, count));
            }
            let timed = Metrics::new().dimension(API, api);
            metrics.push(calls.latencies.into_iter().fold(timed, |timed, latency| {
                timed.value(API_LATENCY, Unit::Milliseconds, latency)
            }));
        }
        metrics
    }
}

/// The answer as a dimension: few values, as each is a metric of its own.
fn label(ended: Result<StatusCode, &Fault>) -> &'static str {
    match ended.map(|status| status.as_u16()) {
        Ok(401) => "401",
        Ok(403) => "403",
        Ok(429) => "429",
        Ok(200..=299) => "2xx",
        Ok(400..=499) => "4xx",
        Ok(500..=599) => "5xx",
        Err(Fault::Timeout) => "timeout",
        Err(Fault::Connection) => "connection",
        Ok(_) | Err(_) => "other",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_counted_by_answer_and_timed_by_api_and_told_once() {
        let calls = Calls::default();
        let ended = [
            ("rule", Ok(StatusCode::OK)),
            ("rule", Ok(StatusCode::CREATED)),
            ("rule", Err(&Fault::Timeout)),
            ("sesamy", Ok(StatusCode::TOO_MANY_REQUESTS)),
        ];
        for (api, ended) in ended {
            calls.note(api, ended, Duration::from_millis(20));
        }
        let told: Vec<_> = calls.take().iter().flat_map(Metrics::told).collect();
        let expected = [
            json!({"Api": "rule", "Status": "2xx", "ApiCalls": 2.0}),
            json!({"Api": "rule", "Status": "timeout", "ApiCalls": 1.0}),
            json!({"Api": "rule", "ApiLatency": [20.0, 20.0, 20.0]}),
            json!({"Api": "sesamy", "Status": "429", "ApiCalls": 1.0}),
            json!({"Api": "sesamy", "ApiLatency": 20.0}),
        ];
        assert_eq!(told, expected);
        assert!(calls.take().is_empty());
    }

    #[test]
    fn every_answer_has_one_of_few_names() {
        let status = |status| label(Ok(StatusCode::from_u16(status).unwrap()));
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
        for (code, name) in cases {
            assert_eq!(status(code), name, "{code}");
        }
        assert_eq!(label(Err(&Fault::Connection)), "connection");
        assert_eq!(label(Err(&Fault::Malformed("it"))), "other");
    }
}
