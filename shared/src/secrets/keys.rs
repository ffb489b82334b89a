//! Reading a secret's JSON key by key, so that a fault names the key and never a value.

use std::net::IpAddr;

use reqwest::Url;
use secrecy::SecretString;
use serde_json::{Map, Value};
use thiserror::Error;

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
    /// https only, or http to a loopback address, which serves tests: credentials
    /// and readers' data go there.
    ///
    /// # Errors
    /// [`SecretFault::Wrong`] where it is no such address.
    pub fn url(&self, key: &'static str, default: &str) -> Result<Url, SecretFault> {
        let text = self.optional_text(key)?.unwrap_or(default);
        Url::parse(text)
            .ok()
            .filter(is_safe)
            .ok_or(SecretFault::Wrong {
                key,
                expected: "an https address (http only to a loopback address) without user name, query or fragment",
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

fn is_safe(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let encrypted = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    encrypted
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
