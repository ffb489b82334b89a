//! Faults that tests inject.

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::http::{Method, StatusCode};
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    api::Api,
    clock,
    response::{ApiResponse, ResponseBody},
    rule, sesamy,
};

/// Whether a request that fails is still carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    #[default]
    Skipped,
    Performed,
}

/// Where and how a 429 says when to retry. The numbers are seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryAfter {
    #[serde(rename = "unsaid")]
    Missing,
    /// Header `Retry-After: 30`.
    Seconds(u64),
    /// Header with an HTTP date.
    HttpDate(u64),
    /// Header with the wall-clock time of Stockholm, and the plain text
    /// "Too Many Requests. You can continue at …." with the same time.
    Stockholm(u64),
    /// That plain text, no header.
    StockholmText(u64),
    /// `retry_after` in Sesamy's JSON error, no header.
    Body(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum FaultKind {
    /// Without `json` and `text`, the body is the one that the API sends with the status.
    Status {
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        #[serde(default)]
        json: Option<Value>,
        /// Used if `json` is missing.
        #[serde(default)]
        text: Option<String>,
    },
    TooManyRequests {
        retry_after: RetryAfter,
    },
    /// 502 with the HTML page of a proxy.
    BadGateway,
    /// The correct response after [`Fault::delay_ms`].
    Slow,
    /// The connection is reset without a response.
    Reset,
    /// Half a body, then the connection ends.
    Truncated,
    /// Half a body, then nothing, on an open connection.
    Silent,
    /// The correct response with this many additional headers.
    Headers {
        count: usize,
    },
    /// The correct response, compressed with gzip even if the client does not accept it.
    Compressed,
    /// A body of up to `bytes` with the content type of JSON: `start`, then `unit` as
    /// often as it fits, then `end`. Each `%` in a unit becomes a unique number. A comma
    /// before the end is dropped.
    Flood {
        status: u16,
        start: String,
        unit: String,
        end: String,
        bytes: usize,
    },
    /// 200 with the content type of JSON but an incomplete body.
    MalformedJson,
    /// The correct response, but with values of wrong types.
    WrongTypes,
}

impl FaultKind {
    fn name(&self) -> String {
        match self {
            Self::Status { status, .. } => format!("status {status}"),
            Self::TooManyRequests { .. } => "too many requests".into(),
            Self::BadGateway => "bad gateway".into(),
            Self::Slow => "slow".into(),
            Self::Reset => "reset".into(),
            Self::Truncated => "truncated".into(),
            Self::Silent => "silent".into(),
            Self::Headers { count } => format!("{count} headers"),
            Self::Compressed => "compressed".into(),
            Self::Flood { status, bytes, .. } => format!("{status} with {bytes} bytes"),
            Self::MalformedJson => "malformed JSON".into(),
            Self::WrongTypes => "wrong types".into(),
        }
    }
}

/// Which requests fail, how often, and how.
///
/// If several faults match a request, the first one applies that is not used up and has
/// skipped enough requests.
#[must_use]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    pub kind: FaultKind,
    /// `None` matches every API. The same holds for method, path and account.
    #[serde(default)]
    pub api: Option<Api>,
    #[serde(default)]
    pub method: Option<String>,
    /// Raw path after the base path of the API; `*` matches any characters.
    #[serde(default)]
    pub path: Option<String>,
    /// The account or vendor whose credential the request carries.
    #[serde(default)]
    pub account: Option<String>,
    /// How many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// `None` means no limit.
    #[serde(default)]
    pub times: Option<u32>,
    /// From 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// The delay of the response or the failure.
    #[serde(default)]
    pub delay_ms: u64,
    #[serde(default)]
    pub effect: Effect,
}

const fn always() -> f64 {
    1.0
}

impl Fault {
    /// A fault of every request, without limit.
    pub const fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            api: None,
            method: None,
            path: None,
            account: None,
            skip: 0,
            times: None,
            probability: always(),
            delay_ms: 0,
            effect: Effect::Skipped,
        }
    }

    pub const fn status(status: u16) -> Self {
        Self::new(FaultKind::Status {
            status,
            headers: BTreeMap::new(),
            json: None,
            text: None,
        })
    }

    pub const fn json(status: u16, body: Value) -> Self {
        Self::new(FaultKind::Status {
            status,
            headers: BTreeMap::new(),
            json: Some(body),
            text: None,
        })
    }

    pub fn text(status: u16, body: &str) -> Self {
        Self::new(FaultKind::Status {
            status,
            headers: BTreeMap::new(),
            json: None,
            text: Some(body.to_owned()),
        })
    }

    pub const fn too_many_requests(retry_after: RetryAfter) -> Self {
        Self::new(FaultKind::TooManyRequests { retry_after })
    }

    pub const fn bad_gateway() -> Self {
        Self::new(FaultKind::BadGateway)
    }

    pub fn slow(delay: Duration) -> Self {
        Self::new(FaultKind::Slow).after_effect().delayed(delay)
    }

    pub const fn reset() -> Self {
        Self::new(FaultKind::Reset)
    }

    pub const fn truncated() -> Self {
        Self::new(FaultKind::Truncated).after_effect()
    }

    pub const fn silent() -> Self {
        Self::new(FaultKind::Silent).after_effect()
    }

    pub const fn headers(count: usize) -> Self {
        Self::new(FaultKind::Headers { count }).after_effect()
    }

    pub const fn compressed() -> Self {
        Self::new(FaultKind::Compressed).after_effect()
    }

    /// See [`FaultKind::Flood`].
    pub fn flood(status: u16, [start, unit, end]: [&str; 3], bytes: usize) -> Self {
        Self::new(FaultKind::Flood {
            status,
            start: start.to_owned(),
            unit: unit.to_owned(),
            end: end.to_owned(),
            bytes,
        })
    }

    pub const fn wrong_types() -> Self {
        Self::new(FaultKind::WrongTypes).after_effect()
    }

    pub const fn on(mut self, api: Api) -> Self {
        self.api = Some(api);
        self
    }

    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    pub fn path(mut self, pattern: &str) -> Self {
        self.path = Some(pattern.to_owned());
        self
    }

    pub fn account(mut self, name: &str) -> Self {
        self.account = Some(name.to_owned());
        self
    }

    pub const fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    pub const fn once(self) -> Self {
        self.times(1)
    }

    pub const fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    pub const fn after_effect(mut self) -> Self {
        self.effect = Effect::Performed;
        self
    }

    pub const fn before_effect(mut self) -> Self {
        self.effect = Effect::Skipped;
        self
    }

    /// Adds a header. Only [`FaultKind::Status`] has headers.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let FaultKind::Status { headers, .. } = &mut self.kind {
            headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    fn matches(&self, api: Api, method: &Method, path: &str, account: Option<&str>) -> bool {
        self.api.is_none_or(|wanted| wanted == api)
            && self
                .method
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()))
            && self.path.as_ref().is_none_or(|pattern| glob(pattern, path))
            && (self.account.is_none() || self.account.as_deref() == account)
    }
}

/// Matches a text against a pattern in which `*` means any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(tail) = text.strip_prefix(head) else {
        return false;
    };
    // Trying every split is fast enough: paths are short.
    tail.char_indices()
        .map(|(at, _)| at)
        .chain([tail.len()])
        .filter_map(|at| tail.get(at..))
        .any(|tail| glob(rest, tail))
}

/// The fault of one request, chosen before the request is carried out.
pub(crate) struct InjectedFault {
    kind: FaultKind,
    effect: Effect,
    pub delay: Duration,
}

/// How a response reaches the client.
pub(crate) enum Delivery {
    Send(ApiResponse),
    Reset,
    Truncate(ApiResponse),
    Silence(ApiResponse),
}

impl InjectedFault {
    pub fn performs(&self) -> bool {
        self.effect == Effect::Performed || self.kind == FaultKind::Slow
    }

    pub fn name(&self) -> String {
        self.kind.name()
    }

    /// `response` is the correct response, if the request was carried out. `error_body`
    /// returns the API's own body for a status.
    pub fn apply(
        self,
        now: Timestamp,
        response: Option<ApiResponse>,
        error_body: impl Fn(StatusCode) -> ResponseBody,
    ) -> Delivery {
        let correct = || {
            let substitute = || ApiResponse::ok(json!({"data": {"id": "truncated", "tags": []}}));
            response.unwrap_or_else(substitute)
        };
        Delivery::Send(match self.kind {
            FaultKind::Status {
                status,
                headers,
                json,
                text,
            } => {
                let status =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let body = json
                    .map(ResponseBody::Json)
                    .or_else(|| text.map(|text| ResponseBody::Text("text/plain", text)))
                    .unwrap_or_else(|| error_body(status));
                let mut response = ApiResponse::new(status, body);
                response.headers.extend(headers);
                response
            }
            FaultKind::TooManyRequests { retry_after } => {
                too_many_requests(now, retry_after, error_body(StatusCode::TOO_MANY_REQUESTS))
            }
            FaultKind::BadGateway => ApiResponse::text(
                StatusCode::BAD_GATEWAY,
                "text/html",
                "<html><head><title>502 Bad Gateway</title></head>\
                 <body><center><h1>502 Bad Gateway</h1></center></body></html>",
            ),
            FaultKind::Slow => correct(),
            FaultKind::Reset => return Delivery::Reset,
            FaultKind::Truncated => return Delivery::Truncate(correct()),
            FaultKind::Silent => return Delivery::Silence(correct()),
            FaultKind::Headers { count } => {
                let headers = (0..count).map(|n| (format!("x-filler-{n}"), "0".to_owned()));
                headers.fold(correct(), |response, (name, value)| {
                    response.with(&name, value)
                })
            }
            FaultKind::Compressed => {
                let mut response = correct();
                response.body = ResponseBody::Bytes("application/json", gzip(&response.bytes()));
                response.with("content-encoding", "gzip")
            }
            FaultKind::Flood {
                status,
                start,
                unit,
                end,
                bytes,
            } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
                let body = flood(&start, &unit, &end, bytes);
                ApiResponse::new(status, ResponseBody::Bytes("application/json", body))
            }
            FaultKind::MalformedJson => ApiResponse::text(
                StatusCode::OK,
                "application/json",
                "{\"data\": [{\"id\": 1, \"tags\": [\"unfinished",
            ),
            FaultKind::WrongTypes => {
                let mut response = correct();
                if let ResponseBody::Json(value) = &mut response.body {
                    *value = with_wrong_types(value.take(), true);
                }
                response
            }
        })
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

fn flood(start: &str, unit: &str, end: &str, bytes: usize) -> Vec<u8> {
    // Shared by all floods, so that no two pages are equal.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut body = start.as_bytes().to_vec();
    if !unit.is_empty() && !unit.contains('%') {
        let room = bytes.saturating_sub(start.len() + end.len());
        body.extend_from_slice(unit.repeat(room / unit.len()).as_bytes());
    }
    while unit.contains('%') {
        let before = body.len();
        for (index, part) in unit.split('%').enumerate() {
            if index > 0 {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                body.extend_from_slice(number.to_string().as_bytes());
            }
            body.extend_from_slice(part.as_bytes());
        }
        if body.len() + end.len() > bytes {
            body.truncate(before);
            break;
        }
    }
    if body.last() == Some(&b',') {
        body.pop();
    }
    body.extend_from_slice(end.as_bytes());
    body
}

fn too_many_requests(now: Timestamp, retry_after: RetryAfter, body: ResponseBody) -> ApiResponse {
    let response = |body| ApiResponse::new(StatusCode::TOO_MANY_REQUESTS, body);
    match retry_after {
        RetryAfter::Missing => response(body),
        RetryAfter::Seconds(seconds) => response(body).with("retry-after", seconds.to_string()),
        RetryAfter::HttpDate(seconds) => {
            let date = clock::http_date(clock::after(now, seconds));
            response(body).with("retry-after", date)
        }
        RetryAfter::Stockholm(seconds) => rule::continue_at(clock::after(now, seconds)),
        RetryAfter::StockholmText(seconds) => {
            let mut response = rule::continue_at(clock::after(now, seconds));
            response.headers.clear();
            response
        }
        RetryAfter::Body(seconds) => response(ResponseBody::Json(sesamy::rate_limited(seconds))),
    }
}

/// Replaces each value with one of another type. The outermost container stays, because a
/// client checks it first.
fn with_wrong_types(value: Value, outermost: bool) -> Value {
    match value {
        Value::Array(list) if outermost => list
            .into_iter()
            .map(|v| with_wrong_types(v, true))
            .collect(),
        Value::Object(map) if outermost => map
            .into_iter()
            .map(|(key, value)| (key, with_wrong_types(value, false)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(_) => json!({"0": "an object, not a list"}),
        Value::Object(_) => json!(["a list, not an object"]),
        Value::String(_) => json!({"text": "an object, not a string"}),
        Value::Number(_) => json!(["a list, not a number"]),
        Value::Bool(_) => json!("maybe"),
        Value::Null => json!({}),
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveFault {
    pub id: u64,
    pub fault: Fault,
    /// How many requests matched the fault.
    pub matched: u32,
    /// How many of them it was applied to.
    pub struck: u32,
}

pub(crate) struct FaultRules {
    list: Vec<ActiveFault>,
    next: u64,
    random: fastrand::Rng,
}

impl Default for FaultRules {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            next: 1,
            // A fixed seed makes runs repeatable.
            random: fastrand::Rng::with_seed(1),
        }
    }
}

impl FaultRules {
    pub fn add(&mut self, fault: Fault) -> u64 {
        let id = self.next;
        self.next += 1;
        self.list.push(ActiveFault {
            id,
            fault,
            matched: 0,
            struck: 0,
        });
        id
    }

    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.list.len();
        self.list.retain(|active| active.id != id);
        self.list.len() < before
    }

    pub fn clear(&mut self) {
        self.list.clear();
    }

    pub fn list(&self) -> Vec<ActiveFault> {
        self.list.clone()
    }

    pub fn seed(&mut self, seed: u64) {
        self.random = fastrand::Rng::with_seed(seed);
    }

    /// Returns the fault that applies to a request, and counts it.
    pub fn choose(
        &mut self,
        api: Api,
        method: &Method,
        path: &str,
        account: Option<&str>,
    ) -> Option<InjectedFault> {
        for active in &mut self.list {
            let fault = &active.fault;
            if !fault.matches(api, method, path, account) {
                continue;
            }
            active.matched = active.matched.saturating_add(1);
            let used_up = fault.times.is_some_and(|times| active.struck >= times);
            if active.matched <= fault.skip || used_up {
                continue;
            }
            if fault.probability < 1.0 && self.random.f64() >= fault.probability {
                continue;
            }
            active.struck = active.struck.saturating_add(1);
            return Some(InjectedFault {
                kind: fault.kind.clone(),
                effect: fault.effect,
                delay: Duration::from_millis(fault.delay_ms),
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asterisks_match_any_characters() {
        for (pattern, text) in [
            ("/v2/tags", "/v2/tags"),
            ("/v2/*", "/v2/tags/1"),
            ("/v2/*/tags", "/v2/subscribers/a%40b/tags"),
            ("*", ""),
            ("*tags*", "/v2/tags"),
        ] {
            assert!(glob(pattern, text), "{pattern} on {text}");
        }
        assert!(!glob("/v2/tags", "/v2/tags/1"));
        assert!(!glob("/v2/*/tags", "/v2/subscribers/a%40b/tags/x"));
    }

    #[test]
    fn flood_is_json_of_limited_size_with_unique_numbers() {
        let body = flood("[", r#"{"id":"%"},"#, "]", 200);
        assert!((180..=200).contains(&body.len()), "{}", body.len());
        let json: Value = serde_json::from_slice(&body).unwrap();
        let mut ids: Vec<_> = json.as_array().unwrap().iter().map(|i| &i["id"]).collect();
        let all = ids.len();
        ids.dedup();
        assert!(all > 10 && ids.len() == all, "{json}");
    }

    #[test]
    fn first_fault_that_is_neither_skipping_nor_used_up_applies() {
        let mut rules = FaultRules::default();
        rules.add(Fault::status(500).on(Api::Rule).skip(1).times(2));
        rules.add(Fault::reset().on(Api::Rule).account("b").once());
        let mut names = |account| -> Vec<_> {
            (0..4)
                .map(|_| {
                    rules
                        .choose(Api::Rule, &Method::GET, "/", Some(account))
                        .map(|fault| fault.name())
                })
                .collect()
        };
        let fault = |name: &str| Some(name.to_owned());
        assert_eq!(
            names("a"),
            [None, fault("status 500"), fault("status 500"), None]
        );
        assert_eq!(names("b"), [fault("reset"), None, None, None]);
    }

    #[test]
    fn probability_is_repeatable_with_its_seed() {
        let run = |seed| {
            let mut rules = FaultRules::default();
            rules.seed(seed);
            rules.add(Fault::status(500).probability(0.5));
            (0..32)
                .map(|_| rules.choose(Api::Make, &Method::GET, "/", None).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let struck = run(7).into_iter().filter(|&s| s).count();
        assert!((6..=26).contains(&struck), "{struck}");
    }

    #[test]
    fn faults_are_read_from_json() {
        let fault: Fault = serde_json::from_value(json!({
            "api": "rule", "path": "/v2/*", "times": 2, "effect": "performed",
            "kind": {"type": "tooManyRequests", "retryAfter": {"stockholm": 600}},
        }))
        .unwrap();
        let expected = Fault::too_many_requests(RetryAfter::Stockholm(600));
        assert_eq!(
            fault,
            expected.on(Api::Rule).path("/v2/*").times(2).after_effect()
        );
    }
}
