//! How Mailmojo refuses. Only "an object" is documented for 400, and nothing
//! for the rest; `detail` and `errors` are what its own plugin reads.

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
    /// The token lacks this scope.
    Forbidden(String),
    NotFound,
    /// Any other status, which a test chose.
    Status(u16),
    ContentType,
    BadRequest(String),
    Fields(Problems),
}

impl Refusal {
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest(message.into())
    }

    pub const fn not_found() -> Self {
        Self::NotFound
    }
}

/// What Mailmojo would carry out, to somebody's harm. The stand-in refuses, so
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
            Refusal::Status(status) => {
                plain(StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND))
            }
            Refusal::ContentType => plain(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Refusal::Forbidden(scope) => {
                let detail = format!("The token lacks the scope {scope}.");
                Self::json(StatusCode::FORBIDDEN, json!({"detail": detail}))
            }
            Refusal::BadRequest(detail) => {
                Self::json(StatusCode::BAD_REQUEST, json!({"detail": detail}))
            }
            Refusal::Fields(problems) => Self::json(
                StatusCode::BAD_REQUEST,
                json!({"title": "Invalid data", "errors": problems.to_map()}),
            ),
        }
    }
}

/// The body Mailmojo sends with a status.
pub(crate) fn error_body(status: StatusCode) -> Value {
    let detail = match status {
        StatusCode::UNAUTHORIZED => "Invalid or missing access token.",
        StatusCode::NOT_FOUND => "Not found.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Content-Type must be application/json.",
        other => other.canonical_reason().unwrap_or("Error"),
    };
    json!({"detail": detail})
}

/// The body as a JSON object.
pub(crate) fn object(call: &Call<'_>) -> Result<Map<String, Value>, Refusal> {
    match call.json() {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Refusal::bad_request("The body must be a JSON object.")),
        Err(BodyFault::ContentType) => Err(Refusal::ContentType),
        Err(fault) => Err(Refusal::bad_request(fault.message())),
    }
}
