//! Errors as a person reads them: `{"error": {"code", "message", …}}`.

use serde::Serialize;
use thiserror::Error;

use crate::letters::Unavailable;

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The field; empty for the request as a whole.
    pub field: String,
    /// What is wrong, continuing the field's name.
    pub reason: String,
}

/// A request with faults. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("nothing was done: {}", listed(.0))]
pub struct Invalid(pub Vec<Fault>);

impl Invalid {
    /// One fault.
    pub fn one(field: &str, reason: String) -> Self {
        let field = field.to_owned();
        Self(vec![Fault { field, reason }])
    }
}

fn listed(faults: &[Fault]) -> String {
    let told = |fault: &Fault| match fault.field.as_str() {
        "" => format!("the event {}", fault.reason),
        field => format!("`{field}` {}", fault.reason),
    };
    let faults: Vec<_> = faults.iter().map(told).collect();
    faults.join("; ")
}

/// An error in its JSON form, to stand under the key `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorAnswer {
    /// What kind of error, for programs.
    pub code: &'static str,
    /// What is wrong and what to do, for people.
    pub message: String,
    /// The faults of a request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Fault>,
}

impl From<Invalid> for ErrorAnswer {
    fn from(invalid: Invalid) -> Self {
        Self {
            code: "validation_error",
            message: invalid.to_string(),
            details: invalid.0,
        }
    }
}

impl From<Unavailable> for ErrorAnswer {
    fn from(unavailable: Unavailable) -> Self {
        Self {
            code: "queue_unavailable",
            message: unavailable.to_string(),
            details: Vec::new(),
        }
    }
}
