//! How Make.as refuses: JSON with `message` and `status`.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{
    answer::Answer,
    call::{BodyFault, Call},
    shape::Problems,
};

/// A request that is not carried out.
pub(crate) enum Refusal {
    NotAuthorized,
    NotFound,
    ContentType,
    BadRequest(String),
    Unprocessable(Problems),
}

impl Refusal {
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest(message.into())
    }

    pub fn unprocessable(field: &str, message: impl Into<String>) -> Self {
        let mut problems = Problems::default();
        problems.add(field, message);
        Self::Unprocessable(problems)
    }
}

/// What Make.as would carry out, to somebody's harm. The stand-in refuses, so
/// that a test fails at once and not only when it looks for violations.
pub(crate) fn refused_on_purpose(what: &str) -> Refusal {
    Refusal::BadRequest(format!("{what} is refused by the stand-in"))
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let plain = |status| Self::json(status, error_body(status));
        match refusal {
            Refusal::NotAuthorized => plain(StatusCode::UNAUTHORIZED),
            Refusal::NotFound => plain(StatusCode::NOT_FOUND),
            Refusal::ContentType => plain(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Refusal::BadRequest(message) => {
                let status = StatusCode::BAD_REQUEST;
                Self::json(status, json!({"status": shown(status), "message": message}))
            }
            Refusal::Unprocessable(problems) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                let message = problems.summary();
                Self::json(status, json!({"status": shown(status), "message": message}))
            }
        }
    }
}

fn shown(status: StatusCode) -> String {
    status.to_string()
}

/// The body Make.as sends with a status.
pub(crate) fn error_body(status: StatusCode) -> Value {
    let message = match status {
        StatusCode::UNAUTHORIZED => "Wrong user id or API key",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Content-Type must be application/json",
        other => other.canonical_reason().unwrap_or("Error"),
    };
    json!({"status": shown(status), "message": message})
}

fn body(call: &Call<'_>) -> Result<Value, Refusal> {
    call.json().map_err(|fault| match fault {
        BodyFault::ContentType => Refusal::ContentType,
        BodyFault::NotJson(_) => Refusal::bad_request(fault.message()),
    })
}

/// The body as a JSON object.
pub(crate) fn object(call: &Call<'_>) -> Result<Map<String, Value>, Refusal> {
    match body(call)? {
        Value::Object(body) => Ok(body),
        _ => Err(Refusal::unprocessable("body", "must be an object")),
    }
}

/// The body as a bare JSON array. An older client of the vendor's wrapped it
/// in an object, which was a mistake of that client.
pub(crate) fn array(call: &Call<'_>) -> Result<Vec<Value>, Refusal> {
    match body(call)? {
        Value::Array(items) => Ok(items),
        _ => Err(Refusal::unprocessable("body", "must be a bare array")),
    }
}
