//! Faults that tests inject, and the choice of the one that strikes a request.

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
    answer::{Answer, Content},
    api::Api,
    clock,
};

/// Whether a request has its effect although it fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Nothing happens but the failure.
    #[default]
    Skipped,
    /// The request is carried out, and then fails.
    Performed,
}

/// How a 429 tells when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryAfter {
    /// Not at all.
    Unsaid,
    /// Header `Retry-After: 30`.
    Seconds(u64),
    /// Header with an HTTP date so many seconds ahead.
    HttpDate(u64),
    /// Header with Stockholm's wall clock so many seconds ahead, and the plain
    /// text "Too Many Requests. You can continue at …." saying the same.
    Stockholm(u64),
    /// The plain text alone.
    StockholmText(u64),
    /// `retry_after` in Sesamy's JSON error, no header.
    Body(u64),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum FaultKind {
    /// A status with headers and a body; without a body, with the error body
    /// that the API itself sends with that status.
    Status {
        /// The status.
        status: u16,
        /// Headers beside the content type.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// A JSON body.
        #[serde(default)]
        json: Option<Value>,
        /// A text body, where there is no JSON one.
        #[serde(default)]
        text: Option<String>,
    },
    /// 429.
    TooManyRequests {
        /// How it tells when to come back.
        retry_after: RetryAfter,
    },
    /// 502 with a proxy's HTML page.
    BadGateway,
    /// The right answer, only late: see [`Fault::delay_ms`].
    Slow,
    /// The connection is reset without an answer.
    Reset,
    /// The head announces a longer body than is sent; then the connection ends.
    Truncated,
    /// The head announces a longer body than is sent; then nothing more comes,
    /// and the connection stays.
    Silent,
    /// The right answer under so many headers more.
    Headers {
        /// How many.
        count: usize,
    },
    /// The right answer, compressed whether or not the client can read that.
    Compressed,
    /// A body of any length that says it is JSON: `start`, then `unit` over and
    /// over up to `bytes`, then `end`. Each `%` in a unit is a number that no
    /// other has. The end loses a comma before it.
    Flood {
        /// The status.
        status: u16,
        /// What comes first.
        start: String,
        /// What comes over and over.
        unit: String,
        /// What comes last.
        end: String,
        /// How many bytes there are at most.
        bytes: usize,
    },
    /// 200 with a body that is no JSON although it says so.
    MalformedJson,
    /// 200 with the right answer's shape but wrong types in it.
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

/// A rule: which requests fail, how often, and how.
///
/// The first rule that matches a request and is neither still skipping nor
/// used up strikes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The API; absent means every one.
    #[serde(default)]
    pub api: Option<Api>,
    /// The method; absent means every one.
    #[serde(default)]
    pub method: Option<String>,
    /// The raw path after the API's base path. `*` stands for any run of
    /// characters, so a prefix is written `/v2/subscribers*`.
    #[serde(default)]
    pub path: Option<String>,
    /// The account or vendor whose credential is used; absent means every one.
    #[serde(default)]
    pub account: Option<String>,
    /// How many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// How often it strikes; absent means forever.
    #[serde(default)]
    pub times: Option<u32>,
    /// How likely it strikes, 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// How long the answer, or the failure, is held back.
    #[serde(default)]
    pub delay_ms: u64,
    /// Whether the request is carried out all the same.
    #[serde(default)]
    pub effect: Effect,
}

const fn always() -> f64 {
    1.0
}

impl Fault {
    /// A fault of this kind, for every request and for ever.
    #[must_use]
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

    /// A status with the API's own error body.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self::new(FaultKind::Status {
            status,
            headers: BTreeMap::new(),
            json: None,
            text: None,
        })
    }

    /// A status with a JSON body.
    #[must_use]
    pub const fn json(status: u16, body: Value) -> Self {
        Self::new(FaultKind::Status {
            status,
            headers: BTreeMap::new(),
            json: Some(body),
            text: None,
        })
    }

    /// A status with a text body.
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        Self::new(FaultKind::Status {
            status,
            headers: BTreeMap::new(),
            json: None,
            text: Some(body.to_owned()),
        })
    }

    /// 429.
    #[must_use]
    pub const fn too_many_requests(retry_after: RetryAfter) -> Self {
        Self::new(FaultKind::TooManyRequests { retry_after })
    }

    /// 502 with HTML.
    #[must_use]
    pub const fn bad_gateway() -> Self {
        Self::new(FaultKind::BadGateway)
    }

    /// The right answer after a delay.
    #[must_use]
    pub fn slow(delay: Duration) -> Self {
        Self::new(FaultKind::Slow).after_effect().delayed(delay)
    }

    /// A connection reset.
    #[must_use]
    pub const fn reset() -> Self {
        Self::new(FaultKind::Reset)
    }

    /// A truncated body. The request is carried out unless told otherwise.
    #[must_use]
    pub const fn truncated() -> Self {
        Self::new(FaultKind::Truncated).after_effect()
    }

    /// Half a body, then silence. The request is carried out unless told otherwise.
    #[must_use]
    pub const fn silent() -> Self {
        Self::new(FaultKind::Silent).after_effect()
    }

    /// The right answer under so many headers more.
    #[must_use]
    pub const fn headers(count: usize) -> Self {
        Self::new(FaultKind::Headers { count }).after_effect()
    }

    /// The right answer, compressed.
    #[must_use]
    pub const fn compressed() -> Self {
        Self::new(FaultKind::Compressed).after_effect()
    }

    /// A long body; see [`FaultKind::Flood`].
    #[must_use]
    pub fn flood(status: u16, [start, unit, end]: [&str; 3], bytes: usize) -> Self {
        Self::new(FaultKind::Flood {
            status,
            start: start.to_owned(),
            unit: unit.to_owned(),
            end: end.to_owned(),
            bytes,
        })
    }

    /// A body that is no JSON.
    #[must_use]
    pub const fn malformed_json() -> Self {
        Self::new(FaultKind::MalformedJson)
    }

    /// Wrong types in the right answer. The request is carried out unless
    /// told otherwise.
    #[must_use]
    pub const fn wrong_types() -> Self {
        Self::new(FaultKind::WrongTypes).after_effect()
    }

    /// Only on this API.
    #[must_use]
    pub const fn on(mut self, api: Api) -> Self {
        self.api = Some(api);
        self
    }

    /// Only with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only on this path; see [`Fault::path`] for the pattern.
    #[must_use]
    pub fn path(mut self, pattern: &str) -> Self {
        self.path = Some(pattern.to_owned());
        self
    }

    /// Only for this account or vendor.
    #[must_use]
    pub fn account(mut self, name: &str) -> Self {
        self.account = Some(name.to_owned());
        self
    }

    /// Let so many matching requests pass first.
    #[must_use]
    pub const fn skip(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Strike so many times.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Strike once.
    #[must_use]
    pub const fn once(self) -> Self {
        self.times(1)
    }

    /// Strike with this probability.
    #[must_use]
    pub const fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Hold the failure back for so long.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Carry the request out before failing.
    #[must_use]
    pub const fn after_effect(mut self) -> Self {
        self.effect = Effect::Performed;
        self
    }

    /// Fail without carrying the request out.
    #[must_use]
    pub const fn before_effect(mut self) -> Self {
        self.effect = Effect::Skipped;
        self
    }

    /// Adds a header to a status fault; other kinds have none to add to.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let FaultKind::Status { headers, .. } = &mut self.kind {
            headers.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    fn matches(&self, api: Api, method: &Method, path: &str, account: Option<&str>) -> bool {
        let same = |wanted: &Option<String>, given: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == given
        };
        self.api.is_none_or(|wanted| wanted == api)
            && self
                .method
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method.as_str()))
            && self.path.as_ref().is_none_or(|pattern| glob(pattern, path))
            && same(&self.account, account)
    }
}

/// Whether a text matches a pattern in which `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(tail) = text.strip_prefix(head) else {
        return false;
    };
    // Every place where the rest could begin is tried; paths are short.
    tail.char_indices()
        .map(|(at, _)| at)
        .chain([tail.len()])
        .filter_map(|at| tail.get(at..))
        .any(|tail| glob(rest, tail))
}

/// How a request's answer is bent. Decided before the answer is known.
pub(crate) struct Strike {
    kind: FaultKind,
    effect: Effect,
    pub delay: Duration,
}

/// What is done at last.
pub(crate) enum Finish {
    Send(Answer),
    Reset,
    Truncate(Answer),
    Silence(Answer),
}

impl Strike {
    pub fn performs(&self) -> bool {
        self.effect == Effect::Performed || self.kind == FaultKind::Slow
    }

    pub fn name(&self) -> String {
        self.kind.name()
    }

    /// Bends the answer. `answer` is the real one where the request was
    /// carried out; `own` gives the API's own error body for a status.
    pub fn finish(
        self,
        now: Timestamp,
        answer: Option<Answer>,
        own: impl Fn(StatusCode) -> Content,
    ) -> Finish {
        let blank = || Answer::ok(json!({"data": {"id": "truncated", "tags": []}}));
        Finish::Send(match self.kind {
            FaultKind::Status {
                status,
                headers,
                json,
                text,
            } => {
                let status =
                    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let content = json
                    .map(Content::Json)
                    .or_else(|| text.map(|text| Content::Text("text/plain", text)))
                    .unwrap_or_else(|| own(status));
                let mut answer = Answer::new(status, content);
                answer.headers.extend(headers);
                answer
            }
            FaultKind::TooManyRequests { retry_after } => {
                too_many_requests(now, retry_after, own(StatusCode::TOO_MANY_REQUESTS))
            }
            FaultKind::BadGateway => Answer::text(
                StatusCode::BAD_GATEWAY,
                "text/html",
                "<html><head><title>502 Bad Gateway</title></head>\
                 <body><center><h1>502 Bad Gateway</h1></center></body></html>",
            ),
            FaultKind::Slow => answer.unwrap_or_else(blank),
            FaultKind::Reset => return Finish::Reset,
            FaultKind::Truncated => return Finish::Truncate(answer.unwrap_or_else(blank)),
            FaultKind::Silent => return Finish::Silence(answer.unwrap_or_else(blank)),
            FaultKind::Headers { count } => {
                let answer = answer.unwrap_or_else(blank);
                let headers = (0..count).map(|n| (format!("x-filler-{n}"), "0".to_owned()));
                headers.fold(answer, |answer, (name, value)| answer.with(&name, value))
            }
            FaultKind::Compressed => {
                let mut answer = answer.unwrap_or_else(blank);
                answer.content = Content::Bytes("application/json", compressed(&answer.bytes()));
                answer.with("content-encoding", "gzip")
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
                Answer::new(status, Content::Bytes("application/json", body))
            }
            FaultKind::MalformedJson => Answer::text(
                StatusCode::OK,
                "application/json",
                "{\"data\": [{\"id\": 1, \"tags\": [\"unfinished",
            ),
            FaultKind::WrongTypes => {
                let mut answer = answer.unwrap_or_else(blank);
                if let Content::Json(value) = &mut answer.content {
                    *value = wrong(value.take(), true);
                }
                answer
            }
        })
    }
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// The body of a [`FaultKind::Flood`].
fn flood(start: &str, unit: &str, end: &str, bytes: usize) -> Vec<u8> {
    /// The next number. One for all floods, so that no two pages are alike.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut body = start.as_bytes().to_vec();
    if !unit.is_empty() && !unit.contains('%') {
        let room = bytes.saturating_sub(start.len() + end.len());
        body.extend_from_slice(unit.repeat(room / unit.len()).as_bytes());
    }
    while unit.contains('%') {
        let before = body.len();
        for (place, part) in unit.split('%').enumerate() {
            if place > 0 {
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

fn too_many_requests(now: Timestamp, retry_after: RetryAfter, own: Content) -> Answer {
    let answer = |content| Answer::new(StatusCode::TOO_MANY_REQUESTS, content);
    let text = |moment: &str| {
        let text = format!("Too Many Requests. You can continue at {moment}.");
        Content::Text("text/plain", text)
    };
    match retry_after {
        RetryAfter::Unsaid => answer(own),
        RetryAfter::Seconds(seconds) => answer(own).with("retry-after", seconds.to_string()),
        RetryAfter::HttpDate(seconds) => {
            let date = clock::http_date(clock::after(now, seconds));
            answer(own).with("retry-after", date)
        }
        RetryAfter::Stockholm(seconds) => {
            let moment = clock::stockholm(clock::after(now, seconds));
            answer(text(&moment)).with("retry-after", moment)
        }
        RetryAfter::StockholmText(seconds) => {
            answer(text(&clock::stockholm(clock::after(now, seconds))))
        }
        RetryAfter::Body(seconds) => answer(Content::Json(crate::sesamy::rate_limited(seconds))),
    }
}

/// A value of another type than the one given, down to the leaves. The
/// outermost container stays, as a client looks into it first.
fn wrong(value: Value, outermost: bool) -> Value {
    match value {
        Value::Array(list) if outermost => list.into_iter().map(|v| wrong(v, true)).collect(),
        Value::Object(map) if outermost => map
            .into_iter()
            .map(|(key, value)| (key, wrong(value, false)))
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

/// A fault that was added, as it is listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveFault {
    /// Its number, for taking it off again.
    pub id: u64,
    /// The rule.
    pub fault: Fault,
    /// How many requests matched it.
    pub matched: u32,
    /// How many times it struck.
    pub struck: u32,
}

/// The rules in force.
pub(crate) struct FaultBook {
    list: Vec<ActiveFault>,
    next: u64,
    random: fastrand::Rng,
}

impl Default for FaultBook {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            next: 1,
            // Fixed, so that a run can be repeated.
            random: fastrand::Rng::with_seed(1),
        }
    }
}

impl FaultBook {
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

    /// The fault that strikes this request, if one does.
    pub fn strike(
        &mut self,
        api: Api,
        method: &Method,
        path: &str,
        account: Option<&str>,
    ) -> Option<Strike> {
        for active in &mut self.list {
            if !active.fault.matches(api, method, path, account) {
                continue;
            }
            active.matched = active.matched.saturating_add(1);
            let used_up = active
                .fault
                .times
                .is_some_and(|times| active.struck >= times);
            if active.matched <= active.fault.skip || used_up {
                continue;
            }
            if active.fault.probability < 1.0 && self.random.f64() >= active.fault.probability {
                continue;
            }
            active.struck = active.struck.saturating_add(1);
            return Some(Strike {
                kind: active.fault.kind.clone(),
                effect: active.fault.effect,
                delay: Duration::from_millis(active.fault.delay_ms),
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, matches) in [
            ("/v2/tags", "/v2/tags", true),
            ("/v2/tags", "/v2/tags/1", false),
            ("/v2/*", "/v2/tags/1", true),
            ("/v2/*/tags", "/v2/subscribers/a%40b/tags", true),
            ("/v2/*/tags", "/v2/subscribers/a%40b/tags/x", false),
            ("*", "", true),
            ("*tags*", "/v2/tags", true),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_flood_is_json_of_at_most_so_many_bytes_with_numbers_of_its_own() {
        let body = flood("[", r#"{"id":"%"},"#, "]", 200);
        assert!((180..=200).contains(&body.len()), "{}", body.len());
        let json: Value = serde_json::from_slice(&body).unwrap();
        let mut ids: Vec<_> = json.as_array().unwrap().iter().map(|i| &i["id"]).collect();
        let all = ids.len();
        ids.dedup();
        assert!(all > 10 && ids.len() == all, "{json}");
    }

    #[test]
    fn skip_times_and_order() {
        let mut book = FaultBook::default();
        book.add(Fault::status(500).on(Api::Rule).skip(1).times(2));
        book.add(Fault::reset().on(Api::Rule).account("b").once());
        let mut names = |account| -> Vec<_> {
            (0..4)
                .map(|_| {
                    book.strike(Api::Rule, &Method::GET, "/", Some(account))
                        .map(|strike| strike.name())
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
    fn probability_repeats_with_its_seed() {
        let run = |seed| {
            let mut book = FaultBook::default();
            book.seed(seed);
            book.add(Fault::status(500).probability(0.5));
            (0..32)
                .map(|_| book.strike(Api::Make, &Method::GET, "/", None).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let struck = run(7).into_iter().filter(|&s| s).count();
        assert!((6..=26).contains(&struck), "{struck}");
    }

    #[test]
    fn faults_read_from_json() {
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
