//! How long HubSpot asks not to be called.

use std::time::Duration;

use shared::http::Parts;

/// The limit of a day ends at midnight in the account's own time zone, which no answer
/// names.
const DAILY: Duration = Duration::from_secs(60 * 60);

/// The window of the other limits, where an answer does not name it.
const INTERVAL: Duration = Duration::from_secs(10);

/// Source: HubSpot asks to wait two seconds while another write locks a record.
const LOCKED: Duration = Duration::from_secs(2);

/// Assumed: what a migration of the account takes, if HubSpot does not say it.
const MIGRATION: Duration = Duration::from_secs(5 * 60);

/// Of an answer of any status.
pub fn wait(head: &Parts, body: &[u8]) -> Option<Duration> {
    let header = |name| head.headers.get(name)?.to_str().ok()?.parse().ok();
    let interval = header("x-hubspot-ratelimit-interval-milliseconds");
    let interval = interval.map_or(INTERVAL, Duration::from_millis);
    let is_used_up = |name| header(name) == Some(0);
    match head.status.as_u16() {
        423 => Some(LOCKED),
        477 => Some(MIGRATION),
        429 => {
            // One form of the answer names a policy, another has a message alone.
            let policy = String::from_utf8_lossy(body).to_ascii_uppercase();
            Some(match policy.contains("DAILY") {
                true => DAILY,
                false if policy.contains("TEN_SECONDLY") => interval,
                false if policy.contains("SECONDLY") => Duration::from_secs(1),
                false => interval,
            })
        }
        // The next call would be refused.
        200..=299 if is_used_up("x-hubspot-ratelimit-daily-remaining") => Some(DAILY),
        200..=299 if is_used_up("x-hubspot-ratelimit-remaining") => Some(interval),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_limit_has_its_wait() {
        struct Case {
            status: u16,
            headers: &'static [(&'static str, &'static str)],
            body: Value,
            seconds: Option<u64>,
        }
        let policy = |name: &str| json!({ "policyName": name });
        let case = |status, headers, body, seconds| Case {
            status,
            headers,
            body,
            seconds,
        };
        const MINUTE: &[(&str, &str)] = &[("X-HubSpot-RateLimit-Interval-Milliseconds", "60000")];
        const LAST: &[(&str, &str)] = &[
            ("X-HubSpot-RateLimit-Remaining", "0"),
            ("X-HubSpot-RateLimit-Interval-Milliseconds", "10000"),
        ];
        const LAST_OF_DAY: &[(&str, &str)] = &[("X-HubSpot-RateLimit-Daily-Remaining", "0")];
        const ENOUGH: &[(&str, &str)] = &[("X-HubSpot-RateLimit-Remaining", "1")];
        for case in [
            case(429, &[], policy("DAILY"), Some(3_600)),
            case(429, &[], policy("TEN_SECONDLY_ROLLING"), Some(10)),
            case(429, MINUTE, policy("TEN_SECONDLY_ROLLING"), Some(60)),
            case(429, &[], policy("SECONDLY"), Some(1)),
            case(
                429,
                &[],
                json!({ "message": "You have reached your secondly limit." }),
                Some(1),
            ),
            case(
                429,
                &[],
                json!({ "message": "You have reached your daily limit." }),
                Some(3_600),
            ),
            case(429, &[], json!("<html>"), Some(10)),
            case(423, &[], json!({}), Some(2)),
            case(477, &[], json!({}), Some(300)),
            case(200, LAST, json!({}), Some(10)),
            case(201, LAST_OF_DAY, json!({}), Some(3_600)),
            case(200, ENOUGH, json!({}), None),
            case(400, LAST, json!({}), None),
            case(500, &[], json!({}), None),
        ] {
            let mut response = http_response(case.status);
            for (name, value) in case.headers {
                let name: reqwest::header::HeaderName = name.parse().unwrap();
                response.headers.insert(name, value.parse().unwrap());
            }
            let body = case.body.to_string();
            let wait = wait(&response, body.as_bytes());
            let seconds = case.seconds.map(Duration::from_secs);
            assert_eq!(wait, seconds, "{} {:?} {body}", case.status, case.headers);
        }
    }

    fn http_response(status: u16) -> Parts {
        let mut response = shared::http::RawResponse::default();
        *response.status_mut() = status.try_into().unwrap();
        response.into_parts().0
    }
}
