//! Models of the APIs: Sesamy's Management API with its rate limit, its token
//! endpoint, and a CRM that may fail.
//!
//! A request's host names the API, the first part of its path the vendor.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use shared::http::{ApiErrorKind, RawResponse, Request, ResponseFuture, Transport, Url};
use tokio::time::{Instant, sleep};

use crate::scenario::Trouble;

/// Sesamy's rate limit per vendor (documented).
pub const REQUESTS_PER_MINUTE: u32 = 100;
/// Requests that Sesamy allows at once after a quiet time (documented).
pub const BURST: u32 = 200;

/// In seconds, from the example in Sesamy's documentation.
const RETRY_AFTER: u64 = 60;

/// Each takes up to half as long again. Assumed.
const REQUEST_LATENCY: Duration = Duration::from_millis(20);
const RESPONSE_LATENCY: Duration = Duration::from_millis(80);

/// The vendor whose CRM may fail.
pub const FIRST: &str = "first";
/// The vendor that must not notice.
pub const OTHER: &str = "other";

#[derive(Debug, Clone)]
pub struct Apis(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: Rng,
    start: Instant,
    trouble: Trouble,
    trouble_for: Duration,
    buckets: HashMap<String, Bucket>,
    counts: RequestCounts,
}

/// Requests of the first vendor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    pub sesamy_answered: u64,
    /// By the rate limit.
    pub sesamy_refused: u64,
    /// To the CRM while it failed.
    pub crm_in_trouble: u64,
}

/// A token bucket. Sesamy does not document how it counts. A bucket has both of
/// its numbers, and a refused request costs nothing.
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
    Answer(u16, Value, Duration),
    Never,
    Refused,
}

impl Apis {
    pub fn new(seed: u64, trouble: Trouble, trouble_for: Duration) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: Rng::with_seed(seed),
            start: Instant::now(),
            trouble,
            trouble_for,
            buckets: HashMap::new(),
            counts: RequestCounts::default(),
        })))
    }

    pub fn counts(&self) -> RequestCounts {
        self.0.lock().unwrap().counts
    }

    pub fn secret(vendor: &str, of: &str) -> Option<Value> {
        match of {
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
            let there = apis.0.lock().unwrap().random.f64();
            sleep(REQUEST_LATENCY.mul_f64(1.0 + there / 2.0)).await;
            let reaction = apis.0.lock().unwrap().react(request.url());
            match reaction {
                Reaction::Answer(status, body, after) => {
                    sleep(after).await;
                    Ok(answer(status, &body))
                }
                Reaction::Never => std::future::pending().await,
                Reaction::Refused => Err(ApiErrorKind::Connection),
            }
        })
    }
}

impl State {
    fn react(&mut self, url: &Url) -> Reaction {
        let mut path = url.path().trim_start_matches('/').splitn(3, '/');
        let vendor = path.next().unwrap_or_default().to_owned();
        let back = RESPONSE_LATENCY.mul_f64(1.0 + self.random.f64() / 2.0);
        let now = self.start.elapsed();
        match url.host_str() {
            Some("token.test") => {
                let token = json!({ "access_token": vendor, "expires_in": 86_400 });
                Reaction::Answer(200, token, back)
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
                    return Reaction::Answer(429, json!({ "error": error }), back);
                }
                Reaction::Answer(200, sesamy_answer(path.next(), path.next()), back)
            }
            _ => self.crm(&vendor, now, back),
        }
    }

    fn crm(&mut self, vendor: &str, now: Duration, back: Duration) -> Reaction {
        if vendor != FIRST || now >= self.trouble_for {
            return Reaction::Answer(200, json!({}), back);
        }
        self.counts.crm_in_trouble += 1;
        match self.trouble {
            Trouble::None => Reaction::Answer(200, json!({}), back),
            Trouble::Hangs => Reaction::Never,
            Trouble::RefusesConnections => Reaction::Refused,
            Trouble::IsSlow(late) => Reaction::Answer(200, json!({}), late),
            Trouble::Unavailable => Reaction::Answer(503, json!({}), back),
            Trouble::AsksToWait(wait) => {
                let asked = json!({ "retry_after": wait.as_secs() });
                Reaction::Answer(429, asked, back)
            }
        }
    }
}

/// A user, or one of the user's lists.
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
