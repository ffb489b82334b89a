//! The received requests, without their secrets.

use std::collections::{BTreeMap, VecDeque};

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{api::Api, request};

pub(crate) const DEFAULT_KEPT: usize = 10_000;

/// In characters, for bodies that are neither JSON nor a form.
const MAX_TEXT_KEPT: usize = 4_096;

/// The names of secrets in queries and bodies.
const SECRETS: [&str; 6] = [
    "client_secret",
    "apikey",
    "api_key",
    "access_token",
    "password",
    "token",
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedRequest {
    /// Counted from 1, including requests that are no longer kept.
    pub number: u64,
    pub at: Timestamp,
    pub api: Api,
    pub method: String,
    /// Raw path after the base path of the API.
    pub path: String,
    /// Raw query with masked secrets.
    pub query: String,
    /// By lower-case name, with masked secrets.
    pub headers: BTreeMap<String, String>,
    /// The account or vendor whose credential the request carries.
    pub account: Option<String>,
    /// JSON unchanged, a form as an object, other text as a string, all with masked secrets.
    pub body: Option<Value>,
    /// `None` if the connection was reset.
    pub status: Option<u16>,
    /// The fault that was injected.
    pub fault: Option<String>,
}

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

    pub fn received(&self) -> u64 {
        self.received
    }

    pub fn clear(&mut self) {
        self.list.clear();
        self.received = 0;
    }

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

pub(crate) fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| {
            let secret = name == header::AUTHORIZATION || name == header::COOKIE;
            let shown = if secret {
                // A first word that is not a scheme may be the secret itself.
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

pub(crate) fn query(raw: &str) -> String {
    let mask = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        _ => pair.to_owned(),
    };
    raw.split('&').map(mask).collect::<Vec<_>>().join("&")
}

pub(crate) fn body(media_type: &str, bytes: &[u8]) -> Option<Value> {
    if bytes.is_empty() {
        return None;
    }
    if media_type == "application/x-www-form-urlencoded"
        && let Some(pairs) = request::form(bytes)
    {
        let plain = |name: &str| {
            name.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-[].".contains(&b))
        };
        // If the body is not really a form, a "name" may contain a secret.
        if !pairs.iter().all(|(name, _)| plain(name)) {
            return Some("***".into());
        }
        let object = pairs.into_iter().map(|(k, v)| (k, Value::String(v)));
        let mut form = Value::Object(object.collect());
        mask(&mut form);
        return Some(form);
    }
    if let Ok(mut json) = serde_json::from_slice(bytes) {
        mask(&mut json);
        return Some(json);
    }
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().take(MAX_TEXT_KEPT).collect();
    let lower = text.to_lowercase();
    let secret = SECRETS.iter().any(|secret| lower.contains(secret));
    Some(if secret { "***".into() } else { text.into() })
}

fn is_secret(name: &str) -> bool {
    SECRETS
        .iter()
        .any(|secret| name.eq_ignore_ascii_case(secret))
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if is_secret(key) {
                    *value = "***".into();
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let form = body(FORM, b"grant_type=client_credentials&client_secret=s3cret");
        let expected = json!({"grant_type": "client_credentials", "client_secret": "***"});
        assert_eq!(form, Some(expected));
        let nested = br#"{"a": [{"apiKey": "s3cret", "b": 1}]}"#;
        let expected = json!({"a": [{"apiKey": "***", "b": 1}]});
        assert_eq!(body("application/json", nested), Some(expected));
        assert_eq!(query("limit=1&apikey=s3cret"), "limit=1&apikey=***");
        assert_eq!(body("text/plain", b"hello"), Some(json!("hello")));
        for kind in ["text/plain", FORM] {
            let text = body(kind, br#"{"client_secret": "s3cret""#);
            assert_eq!(text, Some(json!("***")));
        }
    }

    #[test]
    fn only_the_latest_requests_are_kept() {
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
