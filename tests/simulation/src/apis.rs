//! Models of the APIs: Sesamy's Management API with its limit, its token
//! endpoint, and a CRM that may be in trouble.
//!
//! Which API a request is for shows in its host, whose account in the first
//! part of its path.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use shared::http::{Answer, Carried, Fault, Request, Url, Wire};
use tokio::time::{Instant, sleep};

use crate::scenario::Trouble;

/// Requests a minute that Sesamy allows a vendor, and at once after a quiet
/// time (documented).
pub const PER_MINUTE: u32 = 100;
/// See [`PER_MINUTE`].
pub const BURST: u32 = 200;

/// How long Sesamy asks to wait: what the sample in its documentation says.
const ASKED: u64 = 60;

/// How long a request is on its way, and how long its answer takes, at most
/// half as long again. Assumed.
const THERE: Duration = Duration::from_millis(20);
const BACK: Duration = Duration::from_millis(80);

/// The vendor whose CRM may be in trouble.
pub const FIRST: &str = "first";
/// The vendor who wants to notice nothing of it.
pub const OTHER: &str = "other";

/// The APIs.
#[derive(Debug, Clone)]
pub struct Apis(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: Rng,
    start: Instant,
    trouble: Trouble,
    trouble_for: Duration,
    buckets: HashMap<String, Bucket>,
    counts: Counts,
}

/// Requests of the first vendor so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Answered by Sesamy's Management API.
    pub answered: u64,
    /// Refused by its limit.
    pub refused: u64,
    /// To the CRM while it was in trouble.
    pub in_trouble: u64,
}

/// A token bucket. How Sesamy counts is not documented; a bucket keeps both of
/// its numbers, and a request that is refused costs nothing.
#[derive(Debug)]
struct Bucket {
    level: f64,
    at: Duration,
}

impl Bucket {
    fn take(&mut self, now: Duration) -> bool {
        let gained = (now - self.at).as_secs_f64() * f64::from(PER_MINUTE) / 60.0;
        self.level = (self.level + gained).min(f64::from(BURST));
        self.at = now;
        let passes = self.level >= 1.0;
        if passes {
            self.level -= 1.0;
        }
        passes
    }
}

/// What becomes of a request once it has arrived.
enum Verdict {
    Answer(u16, Value, Duration),
    Never,
    Refused,
}

impl Apis {
    /// The APIs from now on, the first vendor's CRM in trouble for so long.
    pub fn new(seed: u64, trouble: Trouble, trouble_for: Duration) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: Rng::with_seed(seed),
            start: Instant::now(),
            trouble,
            trouble_for,
            buckets: HashMap::new(),
            counts: Counts::default(),
        })))
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap().counts
    }

    /// The secrets of a vendor, by the last part of their names.
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

impl Wire for Apis {
    fn carry(&self, request: Request) -> Carried {
        let apis = self.clone();
        Box::pin(async move {
            let there = apis.0.lock().unwrap().random.f64();
            sleep(THERE.mul_f64(1.0 + there / 2.0)).await;
            let verdict = apis.0.lock().unwrap().arrived(request.url());
            match verdict {
                Verdict::Answer(status, body, after) => {
                    sleep(after).await;
                    Ok(answer(status, &body))
                }
                Verdict::Never => std::future::pending().await,
                Verdict::Refused => Err(Fault::Connection),
            }
        })
    }
}

impl State {
    fn arrived(&mut self, url: &Url) -> Verdict {
        let mut path = url.path().trim_start_matches('/').splitn(3, '/');
        let vendor = path.next().unwrap_or_default().to_owned();
        let back = BACK.mul_f64(1.0 + self.random.f64() / 2.0);
        let now = self.start.elapsed();
        match url.host_str() {
            Some("token.test") => {
                let token = json!({ "access_token": vendor, "expires_in": 86_400 });
                Verdict::Answer(200, token, back)
            }
            Some("sesamy.test") => {
                let full = || Bucket {
                    level: f64::from(BURST),
                    at: now,
                };
                let bucket = self.buckets.entry(vendor.clone()).or_insert_with(full);
                let passes = bucket.take(now);
                if vendor == FIRST {
                    self.counts.answered += u64::from(passes);
                    self.counts.refused += u64::from(!passes);
                }
                if !passes {
                    let error = json!({ "code": "rate_limit_exceeded", "retry_after": ASKED });
                    return Verdict::Answer(429, json!({ "error": error }), back);
                }
                Verdict::Answer(200, read(path.next(), path.next()), back)
            }
            _ => self.crm(&vendor, now, back),
        }
    }

    fn crm(&mut self, vendor: &str, now: Duration, back: Duration) -> Verdict {
        if vendor != FIRST || now >= self.trouble_for {
            return Verdict::Answer(200, json!({}), back);
        }
        self.counts.in_trouble += 1;
        match self.trouble {
            Trouble::None => Verdict::Answer(200, json!({}), back),
            Trouble::Hangs => Verdict::Never,
            Trouble::Refuses => Verdict::Refused,
            Trouble::Trickles(late) => Verdict::Answer(200, json!({}), late),
            Trouble::Unavailable => Verdict::Answer(503, json!({}), back),
            Trouble::AskedToWait(wait) => {
                let asked = json!({ "retry_after": wait.as_secs() });
                Verdict::Answer(429, asked, back)
            }
        }
    }
}

/// What Sesamy answers to a read of a user or of a list of theirs.
fn read(list: Option<&str>, user: Option<&str>) -> Value {
    match (list, user) {
        (Some("users"), Some(user)) => {
            json!({ "id": user, "email": format!("{user}@example.com") })
        }
        (Some("contracts"), _) => json!([{ "id": "contract", "status": "ACTIVE" }]),
        _ => json!([]),
    }
}

fn answer(status: u16, body: &Value) -> Answer {
    let mut answer = Answer::new(body.to_string().into_bytes());
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
    answer
}
