//! Writes that were not sent, because somebody only wants to know which they would be.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use reqwest::Method;
use serde_json::Value;

/// A write that a read-only client kept to itself.
///
/// It is kept in memory only: path and body hold personal data, which `Debug`
/// leaves out.
#[derive(Clone, PartialEq)]
pub struct Withheld {
    /// The method.
    pub method: Method,
    /// The path, placeholders in place of values.
    pub endpoint: &'static str,
    /// The path as it would be called, after the API's address. `None` where a
    /// part of it is known only once an earlier write was answered.
    pub path: Option<String>,
    /// The query's parameters, not encoded.
    pub query: Vec<(&'static str, String)>,
    /// The JSON body; null where there is none.
    pub body: Value,
}

impl fmt::Debug for Withheld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.endpoint)
    }
}

/// The writes that one read-only client withheld, in order.
#[derive(Debug, Default)]
pub(super) struct Journal(Mutex<Vec<Withheld>>);

impl Journal {
    pub(super) fn note(&self, write: Withheld) {
        // A poisoned lock holds a list that is whole: nothing here panics half-way.
        let mut writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.push(write);
    }

    pub(super) fn writes(&self) -> Vec<Withheld> {
        let writes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writes.clone()
    }
}
