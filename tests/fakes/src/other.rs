//! A CRM whose fake a test brings along: the test answers the calls.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    rejection::Rejection, request::ApiRequest, response::ApiResponse, violations::Reporter,
};

/// A request that is well-formed and carries the credential of an account.
pub struct Call {
    pub method: String,
    /// The decoded segments.
    pub path: Vec<String>,
    /// Null if there is none.
    pub body: Value,
}

pub struct Reply {
    pub status: u16,
    pub body: Value,
}

type Answer = Box<dyn FnMut(&Call) -> Reply + Send>;

/// By name, which is also the bearer token.
#[derive(Default)]
pub(crate) struct OtherAccounts(BTreeMap<String, Answer>);

impl OtherAccounts {
    pub fn add(&mut self, name: &str, answer: impl FnMut(&Call) -> Reply + Send + 'static) {
        self.0.insert(name.to_owned(), Box::new(answer));
    }

    pub fn authorized(&self, request: &ApiRequest<'_>) -> Option<String> {
        let name = request.bearer()?;
        self.0.contains_key(name).then(|| name.to_owned())
    }

    pub fn answer(&mut self, request: &ApiRequest<'_>, reporter: &Reporter<'_>) -> ApiResponse {
        let account = reporter.account.as_ref();
        let Some(answer) = account.and_then(|name| self.0.get_mut(name)) else {
            return rejected(StatusCode::UNAUTHORIZED);
        };
        match call(request) {
            Ok(call) => {
                let Reply { status, body } = answer(&call);
                let status = StatusCode::from_u16(status);
                ApiResponse::json(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
            }
            Err(Rejection::Status(status) | Rejection::Message { status, .. }) => rejected(status),
            Err(Rejection::Invalid(_)) => rejected(StatusCode::BAD_REQUEST),
        }
    }
}

fn call(request: &ApiRequest<'_>) -> Result<Call, Rejection> {
    let body = match request.body {
        [] => Value::Null,
        _ => request.json()?,
    };
    Ok(Call {
        method: request.method.to_string(),
        path: request.segments().map_err(Rejection::bad_request)?,
        body,
    })
}

fn rejected(status: StatusCode) -> ApiResponse {
    ApiResponse::json(status, error_body(status))
}

pub(crate) fn error_body(status: StatusCode) -> Value {
    json!({ "error": status.canonical_reason() })
}
