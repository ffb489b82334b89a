//! The writes that a read-only client records instead of sending them.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use reqwest::Method;
use serde_json::Value;

/// Path, query and body hold personal data, so `Debug` leaves them out.
#[derive(Clone, PartialEq)]
pub struct DryRunCall {
    pub method: Method,
    /// The path with placeholders in place of values.
    pub endpoint: &'static str,
    /// The path below the API's base address. `None` if a segment depends on
    /// the response to an earlier write.
    pub path: Option<String>,
    /// Not encoded.
    pub query: Vec<(&'static str, String)>,
    /// Null if the call has no body.
    pub body: Value,
}

impl fmt::Debug for DryRunCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.endpoint)
    }
}

/// In the order of the calls.
#[derive(Debug, Default)]
pub(super) struct DryRun(Mutex<Vec<DryRunCall>>);

// A poisoned lock is safe to use: no code panics while the list is incomplete.
impl DryRun {
    pub(super) fn record(&self, call: DryRunCall) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
    }

    pub(super) fn calls(&self) -> Vec<DryRunCall> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.clone()
    }
}
