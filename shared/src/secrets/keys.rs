//! Reading a secret's JSON key by key, so that a fault names the key and never a value.

use std::net::IpAddr;

use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::aws;

/// What is wrong with a secret's content. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretFault {
    /// The secret's text is not JSON.
    #[error("it is not JSON")]
    NotJson,
    /// The secret, or a part of it, is not a JSON object.
    #[error("it is not a JSON object")]
    NotAnObject,
    /// A key that must be there is not.
    #[error("key \"{0}\" is missing")]
    Missing(&'static str),
    /// The secret is a list that is empty or too long.
    #[error("it must hold between 1 and {max} sets of credentials")]
    WrongNumber {
        /// The longest list allowed.
        max: usize,
    },
    /// One of several sets of credentials is malformed.
    #[error("set {number} of it: {fault}")]
    InSet {
        /// Which set, counted from 1.
        number: usize,
        /// What is wrong with it.
        fault: Box<SecretFault>,
    },
    /// A key is there but its value is of the wrong form.
    #[error("key \"{key}\" must be {expected}")]
    Wrong {
        /// The key.
        key: &'static str,
        /// The form its value must have.
        expected: &'static str,
    },
}

/// The keys of a secret that is a JSON object. Keys that nobody asks for are ignored.
pub struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    /// The keys of `json`.
    ///
    /// # Errors
    /// [`SecretFault::NotAnObject`].
    pub fn of(json: &'a Value) -> Result<Self, SecretFault> {
        json.as_object().map(Self).ok_or(SecretFault::NotAnObject)
    }

    /// The value of `key`, whatever it is. `None` where it is missing or null.
    pub fn value(&self, key: &'static str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// The text at `key`, which must be there and not empty.
    ///
    /// # Errors
    /// [`SecretFault::Missing`] or [`SecretFault::Wrong`].
    pub fn text(&self, key: &'static str) -> Result<&'a str, SecretFault> {
        self.optional_text(key)?
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| match self.value(key) {
                None => SecretFault::Missing(key),
                Some(_) => wrong_text(key),
            })
    }

    /// The text at `key`, which must be there and not empty, as something never printed.
    ///
    /// # Errors
    /// [`SecretFault::Missing`] or [`SecretFault::Wrong`].
    pub fn secret(&self, key: &'static str) -> Result<SecretString, SecretFault> {
        self.text(key).map(SecretString::from)
    }

    /// The text at `key`, empty or not, where there is one.
    ///
    /// # Errors
    /// [`SecretFault::Wrong`] where it is no text.
    pub fn optional_text(&self, key: &'static str) -> Result<Option<&'a str>, SecretFault> {
        self.value(key)
            .map(|value| value.as_str().ok_or_else(|| wrong_text(key)))
            .transpose()
    }

    /// The id at `key`, which must be there: a text that is not empty, or a whole number.
    ///
    /// # Errors
    /// [`SecretFault::Missing`] or [`SecretFault::Wrong`].
    pub fn id(&self, key: &'static str) -> Result<String, SecretFault> {
        match self.value(key).and_then(Value::as_u64) {
            Some(number) => Ok(number.to_string()),
            None => Ok(self.text(key)?.trim().to_owned()),
        }
    }

    /// The address at `key`, or `default` where there is none.
    ///
    /// https only, since credentials and users' data go there; http to a loopback
    /// address where AWS is a local one too, which no deployed function has.
    ///
    /// # Errors
    /// [`SecretFault::Wrong`] where it is no such address.
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

    /// The truth value at `key`, or `default` where there is none.
    ///
    /// # Errors
    /// [`SecretFault::Wrong`] where it is neither true nor false.
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

/// Whether this is no deployed function: AWS's own address is one of this machine
/// (the deployed tests, `sam local invoke`), or this is a build for development.
/// What is deployed is always a release build, and the template leaves the
/// address empty.
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

fn is_safe(url: &Url, local: bool) -> bool {
    let sheltered = local && url.scheme() == "http" && is_loopback(url);
    (url.scheme() == "https" || sheltered)
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
    fn an_address_is_https_or_loopback() {
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
            let url = Keys::of(&json)
                .unwrap()
                .url("apiUrl", "https://default.example");
            assert_eq!(url.is_ok(), accepted, "{address}");
        }
    }

    #[test]
    fn a_deployed_function_takes_no_http_address_at_all() {
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
    fn aws_is_local_at_a_loopback_address() {
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
    fn what_is_absent_or_null_is_the_default() {
        let json = json!({ "apiUrl": null, "events": null });
        let keys = Keys::of(&json).unwrap();
        assert_eq!(
            keys.url("apiUrl", "https://d.example").unwrap().as_str(),
            "https://d.example/"
        );
        assert_eq!(keys.flag("events", true), Ok(true));
        assert_eq!(keys.text("apiKey"), Err(SecretFault::Missing("apiKey")));
    }

    #[test]
    fn a_flag_is_a_truth_value() {
        let json = json!({ "off": false, "text": "false" });
        let keys = Keys::of(&json).unwrap();
        assert_eq!(keys.flag("off", true), Ok(false));
        assert!(keys.flag("text", true).is_err());
    }
}
