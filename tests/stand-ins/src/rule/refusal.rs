//! How Rule refuses.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{answer::Answer, shape::Problems};

/// A request that is not carried out.
pub(crate) enum Refusal {
    NotAuthorized,
    /// Status, code and message.
    Plain(StatusCode, &'static str, String),
    /// 400 with the map that says which entries are wrong.
    Fields(Problems),
}

impl Refusal {
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::Plain(StatusCode::BAD_REQUEST, "BadRequest", message.into())
    }

    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::Plain(StatusCode::NOT_FOUND, code, message.into())
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Plain(StatusCode::CONFLICT, "DuplicateSubscriber", message.into())
    }

    pub fn no_such_path() -> Self {
        Self::not_found("NotFound", "no such path or method")
    }

    pub fn no_such_subscriber() -> Self {
        Self::not_found("SubscriberNotFound", "no such subscriber")
    }
}

/// What Rule would carry out, to the publisher's harm. The stand-in refuses,
/// so that a test fails at once and not only when it looks for violations.
pub(crate) fn refused_on_purpose(what: &str) -> Refusal {
    let message = format!("{what} is refused by the stand-in");
    Refusal::Plain(StatusCode::BAD_REQUEST, "RefusedByStandIn", message)
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotAuthorized => Self::json(
                StatusCode::UNAUTHORIZED,
                error_body(StatusCode::UNAUTHORIZED),
            ),
            Refusal::Plain(status, code, message) => {
                Self::json(status, json!({"error": code, "message": message}))
            }
            Refusal::Fields(problems) => Self::json(
                StatusCode::BAD_REQUEST,
                json!({
                    "error": "ValidationError",
                    "message": problems.summary(),
                    "fields": problems.to_map(),
                }),
            ),
        }
    }
}

/// The body Rule sends with a status.
pub(crate) fn error_body(status: StatusCode) -> Value {
    match status {
        StatusCode::UNAUTHORIZED => json!({"error": "NotAuthorized"}),
        StatusCode::NOT_FOUND => {
            json!({"error": "SubscriberNotFound", "message": "no such subscriber"})
        }
        StatusCode::TOO_MANY_REQUESTS => {
            json!({"error": "TooManyRequests", "message": "Too Many Requests."})
        }
        status if status.is_server_error() => json!({
            "error": "UnexpectedError",
            "message": "An unexpected error occurred. Contact support if the error persists.",
        }),
        _ => json!({"error": "BadRequest", "message": "The request is not valid."}),
    }
}
