//! Reads a secret's JSON key by key. Errors name the key, never a value.

use std::net::IpAddr;

use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::aws;

/// Never holds a value of the secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretFault {
    #[error("it is not JSON")]
    NotJson,
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("key \"{0}\" is missing")]
    Missing(&'static str),
    #[error("it must hold between 1 and {max} sets of credentials")]
    WrongNumber { max: usize },
    #[error("set {number} of it: {fault}")]
    InSet {
        /// Counted from 1.
        number: usize,
        fault: Box<SecretFault>,
    },
    #[error("key \"{key}\" must be {expected}")]
    Wrong {
        key: &'static str,
        expected: &'static str,
    },
}

/// The keys of a secret that is a JSON object. Unknown keys are ignored.
pub struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    pub fn new(json: &'a Value) -> Result<Self, SecretFault> {
        json.as_object().map(Self).ok_or(SecretFault::NotAnObject)
    }

    /// Null counts as missing.
    pub fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// Required and not empty.
    pub fn text(&self, key: &'static str) -> Result<&'a str, SecretFault> {
        match self.optional_text(key)? {
            None => Err(SecretFault::Missing(key)),
            Some(text) if text.trim().is_empty() => Err(wrong_text(key)),
            Some(text) => Ok(text),
        }
    }

    /// Required and not empty, and redacted in debug output.
    pub fn secret(&self, key: &'static str) -> Result<SecretString, SecretFault> {
        self.text(key).map(SecretString::from)
    }

    /// May be empty.
    pub fn optional_text(&self, key: &'static str) -> Result<Option<&'a str>, SecretFault> {
        self.value(key)
            .map(|value| value.as_str().ok_or_else(|| wrong_text(key)))
            .transpose()
    }

    /// Required: a non-empty text or a whole number.
    pub fn id(&self, key: &'static str) -> Result<String, SecretFault> {
        match self.value(key).and_then(Value::as_u64) {
            Some(number) => Ok(number.to_string()),
            None => Ok(self.text(key)?.trim().to_owned()),
        }
    }

    /// Only https, because credentials and personal data are sent there. Local
    /// tests may use http to a loopback address; deployed functions may not.
    pub fn url(&self, key: &'static str, default: &str) -> Result<Url, SecretFault> {
        let text = self.optional_text(key)?.unwrap_or(default);
        Url::parse(text)
            .ok()
            .filter(|url| is_safe(url, is_local()))
            .ok_or(SecretFault::Wrong {
                key,
                expected: "an https address (http only in tests, to a loopback address) without user name, query or fragment",
            })
    }

    pub fn flag(&self, key: &'static str, default: bool) -> Result<bool, SecretFault> {
        self.value(key).map_or(Ok(default), |value| {
            value.as_bool().ok_or(SecretFault::Wrong {
                key,
                expected: "true or false",
            })
        })
    }
}

fn wrong_text(key: &'static str) -> SecretFault {
    SecretFault::Wrong {
        key,
        expected: "a text that is not empty",
    }
}

/// True in a debug build, and if the AWS endpoint is on this machine (deployed
/// tests, `sam local invoke`). Deployed functions are release builds, and the
/// template leaves the endpoint empty.
fn is_local() -> bool {
    cfg!(debug_assertions) || aws::endpoint_url().is_some_and(|url| is_loopback_address(&url))
}

fn is_loopback_address(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| is_loopback(&url))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn is_safe(url: &Url, is_local: bool) -> bool {
    let is_local_http = is_local && url.scheme() == "http" && is_loopback(url);
    (url.scheme() == "https" || is_local_http)
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn url_must_be_https_or_loopback() {
        let cases = [
            ("https://api.example.com/v1", true),
            ("http://127.0.0.1:8080/x", true),
            ("http://[::1]:8080", true),
            ("http://localhost:1", true),
            ("http://api.example.com", false),
            ("http://127.0.0.1.example.com", false),
            ("http://localhost.example.com", false),
            ("https://user:pass@example.com", false),
            ("https://example.com/?key=1", false),
            ("ftp://127.0.0.1", false),
            ("file:///etc/passwd", false),
            ("", false),
            ("api.example.com", false),
        ];
        for (address, accepted) in cases {
            let json = json!({ "apiUrl": address });
            let url = Keys::new(&json)
                .unwrap()
                .url("apiUrl", "https://default.example");
            assert_eq!(url.is_ok(), accepted, "{address}");
        }
    }

    #[test]
    fn deployed_functions_accept_no_http_address() {
        let cases = [
            ("https://api.example.com/v1", true),
            ("https://127.0.0.1/v1", true),
            ("http://127.0.0.1:8080/x", false),
            ("http://[::1]:8080", false),
            ("http://localhost:1", false),
        ];
        for (address, accepted) in cases {
            let url = Url::parse(address).unwrap();
            assert_eq!(is_safe(&url, false), accepted, "{address}");
            assert!(is_safe(&url, true), "{address}");
        }
    }

    #[test]
    fn loopback_addresses_are_recognised() {
        let cases = [
            ("http://localhost:4570", true),
            ("http://127.0.0.1:4566", true),
            ("https://vpce-1.sqs.eu-north-1.vpce.amazonaws.com", false),
            ("http://127.0.0.1.example.com", false),
            ("", false),
        ];
        for (address, local) in cases {
            assert_eq!(is_loopback_address(address), local, "{address}");
        }
    }

    #[test]
    fn missing_and_null_keys_take_the_default() {
        let json = json!({ "apiUrl": null, "events": null });
        let keys = Keys::new(&json).unwrap();
        assert_eq!(
            keys.url("apiUrl", "https://d.example").unwrap().as_str(),
            "https://d.example/"
        );
        assert_eq!(keys.flag("events", true), Ok(true));
        assert_eq!(keys.text("apiKey"), Err(SecretFault::Missing("apiKey")));
    }

    #[test]
    fn flag_must_be_a_boolean() {
        let json = json!({ "off": false, "text": "false" });
        let keys = Keys::new(&json).unwrap();
        assert_eq!(keys.flag("off", true), Ok(false));
        assert!(keys.flag("text", true).is_err());
    }
}
