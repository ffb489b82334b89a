//! Models of the APIs: Sesamy's Management API with its rate limit, Sesamy's token
//! endpoint, and a CRM that may fail.
//!
//! A request's host identifies the API, and the first part of its path the vendor.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use shared::http::{ApiErrorKind, RawResponse, Request, ResponseFuture, Transport, Url};
use tokio::time::{Instant, sleep};

use crate::scenario::CrmFailure;

/// Sesamy's rate limit per vendor (documented).
pub const REQUESTS_PER_MINUTE: u32 = 100;
/// How many requests Sesamy allows in a burst after a quiet period (documented).
pub const BURST: u32 = 200;

/// In seconds, from the example in Sesamy's documentation.
const RETRY_AFTER: u64 = 60;

/// Assumed. Each call takes up to half of this longer, at random.
const REQUEST_LATENCY: Duration = Duration::from_millis(20);
const RESPONSE_LATENCY: Duration = Duration::from_millis(80);

/// The vendor whose CRM may fail.
pub const FIRST: &str = "first";
/// The vendor that must not be affected.
pub const OTHER: &str = "other";

#[derive(Debug, Clone)]
pub struct Apis(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: Rng,
    start: Instant,
    failure: CrmFailure,
    fails_for: Duration,
    buckets: HashMap<String, Bucket>,
    counts: RequestCounts,
}

/// Requests of the first vendor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    pub sesamy_answered: u64,
    /// Refused by the rate limit.
    pub sesamy_refused: u64,
    /// Sent to the CRM while it failed.
    pub crm_while_failing: u64,
}

/// Assumed: a token bucket with the two documented numbers, where a refused request costs
/// nothing. Sesamy does not document how it counts.
#[derive(Debug)]
struct Bucket {
    level: f64,
    at: Duration,
}

impl Bucket {
    fn take(&mut self, now: Duration) -> bool {
        let gained = (now - self.at).as_secs_f64() * f64::from(REQUESTS_PER_MINUTE) / 60.0;
        self.level = (self.level + gained).min(f64::from(BURST));
        self.at = now;
        let passes = self.level >= 1.0;
        if passes {
            self.level -= 1.0;
        }
        passes
    }
}

enum Reaction {
    /// After a delay.
    Answer(u16, Value, Duration),
    NoAnswer,
    ConnectionRefused,
}

impl Apis {
    pub fn new(seed: u64, failure: CrmFailure, fails_for: Duration) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: Rng::with_seed(seed),
            start: Instant::now(),
            failure,
            fails_for,
            buckets: HashMap::new(),
            counts: RequestCounts::default(),
        })))
    }

    pub fn counts(&self) -> RequestCounts {
        self.0.lock().unwrap().counts
    }

    pub fn secret(vendor: &str, api: &str) -> Option<Value> {
        match api {
            "sesamy" => Some(json!({
                "clientId": vendor,
                "clientSecret": "secret",
                "apiUrl": format!("https://sesamy.test/{vendor}"),
                "tokenUrl": format!("https://token.test/{vendor}"),
            })),
            "crm" => Some(json!({ "apiUrl": format!("https://crm.test/{vendor}") })),
            _ => None,
        }
    }
}

impl Transport for Apis {
    fn send(&self, request: Request) -> ResponseFuture {
        let apis = self.clone();
        Box::pin(async move {
            let random = apis.0.lock().unwrap().random.f64();
            sleep(REQUEST_LATENCY.mul_f64(1.0 + random / 2.0)).await;
            let reaction = apis.0.lock().unwrap().react(request.url());
            match reaction {
                Reaction::Answer(status, body, delay) => {
                    sleep(delay).await;
                    Ok(answer(status, &body))
                }
                Reaction::NoAnswer => std::future::pending().await,
                Reaction::ConnectionRefused => Err(ApiErrorKind::Connection),
            }
        })
    }
}

impl State {
    fn react(&mut self, url: &Url) -> Reaction {
        let mut path = url.path().trim_start_matches('/').splitn(3, '/');
        let vendor = path.next().unwrap_or_default().to_owned();
        let latency = RESPONSE_LATENCY.mul_f64(1.0 + self.random.f64() / 2.0);
        let now = self.start.elapsed();
        match url.host_str() {
            Some("token.test") => {
                let token = json!({ "access_token": vendor, "expires_in": 86_400 });
                Reaction::Answer(200, token, latency)
            }
            Some("sesamy.test") => {
                let full = || Bucket {
                    level: f64::from(BURST),
                    at: now,
                };
                let bucket = self.buckets.entry(vendor.clone()).or_insert_with(full);
                let passes = bucket.take(now);
                if vendor == FIRST {
                    self.counts.sesamy_answered += u64::from(passes);
                    self.counts.sesamy_refused += u64::from(!passes);
                }
                if !passes {
                    let error =
                        json!({ "code": "rate_limit_exceeded", "retry_after": RETRY_AFTER });
                    return Reaction::Answer(429, json!({ "error": error }), latency);
                }
                Reaction::Answer(200, sesamy_answer(path.next(), path.next()), latency)
            }
            _ => self.crm(&vendor, now, latency),
        }
    }

    fn crm(&mut self, vendor: &str, now: Duration, latency: Duration) -> Reaction {
        if vendor != FIRST || now >= self.fails_for {
            return Reaction::Answer(200, json!({}), latency);
        }
        self.counts.crm_while_failing += 1;
        match self.failure {
            CrmFailure::None => Reaction::Answer(200, json!({}), latency),
            CrmFailure::Hangs => Reaction::NoAnswer,
            CrmFailure::RefusesConnections => Reaction::ConnectionRefused,
            CrmFailure::IsSlow(delay) => Reaction::Answer(200, json!({}), delay),
            CrmFailure::Unavailable => Reaction::Answer(503, json!({}), latency),
            CrmFailure::AsksToWait(wait) => {
                let body = json!({ "retry_after": wait.as_secs() });
                Reaction::Answer(429, body, latency)
            }
        }
    }
}

/// Sesamy's answer: a user's profile, or one of the user's lists.
fn sesamy_answer(list: Option<&str>, user: Option<&str>) -> Value {
    match (list, user) {
        (Some("users"), Some(user)) => {
            json!({ "id": user, "email": format!("{user}@example.com") })
        }
        (Some("contracts"), _) => json!([{ "id": "contract", "status": "ACTIVE" }]),
        _ => json!([]),
    }
}

fn answer(status: u16, body: &Value) -> RawResponse {
    let mut answer = RawResponse::new(body.to_string().into_bytes());
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
    answer
}
