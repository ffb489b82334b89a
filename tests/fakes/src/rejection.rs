//! The reasons why a fake rejects a request, independent of its API's error format.

use axum::http::StatusCode;

use crate::validation::FieldErrors;

#[derive(Debug)]
pub(crate) enum Rejection {
    /// With the body that the API sends with this status.
    Status(StatusCode),
    Message {
        status: StatusCode,
        /// Unused by the APIs that have no error codes.
        code: &'static str,
        message: String,
    },
    Invalid(FieldErrors),
}

impl Rejection {
    pub const UNAUTHORIZED: Self = Self::Status(StatusCode::UNAUTHORIZED);
    pub const NOT_FOUND: Self = Self::Status(StatusCode::NOT_FOUND);

    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Message {
            status,
            code,
            message,
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub fn field(field: &str, message: impl Into<String>) -> Self {
        let mut errors = FieldErrors::default();
        errors.add(field, message);
        Self::Invalid(errors)
    }
}
