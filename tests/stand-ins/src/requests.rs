//! The requests that were received, without their secrets.

use std::collections::{BTreeMap, VecDeque};

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{api::Api, call};

/// How many requests are kept by default.
pub(crate) const DEFAULT_KEPT: usize = 10_000;

/// The longest body that is kept as text where it is not JSON.
const TEXT_KEPT: usize = 4_096;

/// Names whose values are secrets wherever they stand.
const SECRETS: [&str; 6] = [
    "client_secret",
    "apikey",
    "api_key",
    "access_token",
    "password",
    "token",
];

/// One request that was received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedRequest {
    /// Counts up from 1, also over requests no longer kept.
    pub number: u64,
    /// When it was received.
    pub at: Timestamp,
    /// Which API.
    pub api: Api,
    /// Method.
    pub method: String,
    /// Raw path after the API's base path.
    pub path: String,
    /// Raw query, secrets masked.
    pub query: String,
    /// Headers by lower-case name, secrets masked.
    pub headers: BTreeMap<String, String>,
    /// The account or vendor that the credential named, if it named one.
    pub account: Option<String>,
    /// The JSON body; a form as an object; other text as a string.
    pub body: Option<Value>,
    /// The status answered; absent where the connection was cut.
    pub status: Option<u16>,
    /// The kind of fault that was injected, if one was.
    pub fault: Option<String>,
}

/// The bounded list of requests.
pub(crate) struct RequestLog {
    list: VecDeque<RecordedRequest>,
    received: u64,
    kept: usize,
}

impl RequestLog {
    pub fn new(kept: usize) -> Self {
        Self {
            list: VecDeque::new(),
            received: 0,
            kept,
        }
    }

    pub fn list(&self) -> Vec<RecordedRequest> {
        self.list.iter().cloned().collect()
    }

    /// How many requests were received since the last reset.
    pub fn received(&self) -> u64 {
        self.received
    }

    pub fn clear(&mut self) {
        self.list.clear();
        self.received = 0;
    }

    /// Keeps a request, giving it its number.
    pub fn push(&mut self, mut request: RecordedRequest) {
        self.received += 1;
        request.number = self.received;
        if self.kept == 0 {
            return;
        }
        if self.list.len() >= self.kept {
            self.list.pop_front();
        }
        self.list.push_back(request);
    }
}

/// The headers worth keeping, with the credential masked.
pub(crate) fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| {
            let secret = name == header::AUTHORIZATION || name == header::COOKIE;
            let shown = if secret {
                // The scheme tells whether the right one was used. A first word
                // that is no scheme may be the secret itself.
                let value = value.to_str().unwrap_or_default();
                match value.split_once(' ') {
                    Some((scheme @ ("Basic" | "Bearer"), _)) => format!("{scheme} ***"),
                    _ => "***".to_owned(),
                }
            } else {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            };
            (name.as_str().to_owned(), shown)
        })
        .collect()
}

/// The query with the values of secrets masked.
pub(crate) fn query(raw: &str) -> String {
    let mask = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        _ => pair.to_owned(),
    };
    raw.split('&').map(mask).collect::<Vec<_>>().join("&")
}

/// The body as JSON, with the values of secrets masked.
pub(crate) fn body(media_type: &str, bytes: &[u8]) -> Option<Value> {
    if bytes.is_empty() {
        return None;
    }
    if media_type == "application/x-www-form-urlencoded"
        && let Some(pairs) = call::form(bytes)
    {
        let plain = |name: &str| {
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-[].".contains(&b))
        };
        // What only claims to be a form may have a secret in a "name".
        if !pairs.iter().all(|(name, _)| plain(name)) {
            return Some("***".into());
        }
        let object = pairs.into_iter().map(|(k, v)| (k, Value::String(v)));
        return Some(masked(Value::Object(object.collect())));
    }
    serde_json::from_slice(bytes).map(masked).ok().or_else(|| {
        let text: String = String::from_utf8_lossy(bytes)
            .chars()
            .take(TEXT_KEPT)
            .collect();
        let lower = text.to_lowercase();
        let shown = !SECRETS.iter().any(|secret| lower.contains(secret));
        Some(if shown { text } else { "***".to_owned() }.into())
    })
}

fn is_secret(name: &str) -> bool {
    SECRETS
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

fn masked(value: Value) -> Value {
    match value {
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| {
                let value = if is_secret(&key) {
                    "***".into()
                } else {
                    masked(value)
                };
                (key, value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(list) => list.into_iter().map(masked).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked() {
        let form = body(
            "application/x-www-form-urlencoded",
            b"grant_type=client_credentials&client_secret=s3cret",
        );
        assert_eq!(
            form,
            Some(serde_json::json!({"grant_type": "client_credentials", "client_secret": "***"}))
        );
        let json = body(
            "application/json",
            br#"{"a": [{"apiKey": "s3cret", "b": 1}]}"#,
        );
        assert_eq!(
            json,
            Some(serde_json::json!({"a": [{"apiKey": "***", "b": 1}]}))
        );
        assert_eq!(query("limit=1&apikey=s3cret"), "limit=1&apikey=***");
        let text = body("text/plain", b"hello").unwrap();
        assert_eq!(text, "hello");
        for kind in ["text/plain", "application/x-www-form-urlencoded"] {
            let text = body(kind, br#"{"client_secret": "s3cret""#).unwrap();
            assert_eq!(text, "***");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut log = RequestLog::new(2);
        for path in ["/1", "/2", "/3"] {
            log.push(RecordedRequest {
                number: 0,
                at: Timestamp::UNIX_EPOCH,
                api: Api::Rule,
                method: "GET".into(),
                path: path.into(),
                query: String::new(),
                headers: BTreeMap::new(),
                account: None,
                body: None,
                status: Some(200),
                fault: None,
            });
        }
        let kept: Vec<_> = log.list().into_iter().map(|r| (r.number, r.path)).collect();
        assert_eq!(kept, [(2, "/2".into()), (3, "/3".into())]);
        assert_eq!(log.received(), 3);
    }
}
