//! Responses of the APIs, before they become HTTP.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

#[derive(Clone, Debug)]
pub(crate) enum ResponseBody {
    Empty,
    Json(Value),
    Text(&'static str, String),
    Bytes(&'static str, Vec<u8>),
}

#[derive(Clone, Debug)]
pub(crate) struct ApiResponse {
    pub status: StatusCode,
    pub headers: Vec<(String, String)>,
    pub body: ResponseBody,
}

impl ApiResponse {
    pub fn new(status: StatusCode, body: ResponseBody) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
        }
    }

    pub fn json(status: StatusCode, body: Value) -> Self {
        Self::new(status, ResponseBody::Json(body))
    }

    pub fn ok(body: Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub fn text(status: StatusCode, content_type: &'static str, body: impl Into<String>) -> Self {
        Self::new(status, ResponseBody::Text(content_type, body.into()))
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        match &self.body {
            ResponseBody::Empty => Vec::new(),
            ResponseBody::Json(value) => value.to_string().into_bytes(),
            ResponseBody::Text(_, text) => text.clone().into_bytes(),
            ResponseBody::Bytes(_, bytes) => bytes.clone(),
        }
    }

    /// Status and headers of this response, with another body.
    pub fn into_response_with(self, body: Body) -> Response {
        let content_type = match &self.body {
            ResponseBody::Empty => None,
            ResponseBody::Json(_) => Some("application/json"),
            ResponseBody::Text(kind, _) | ResponseBody::Bytes(kind, _) => Some(*kind),
        };
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        if let Some(kind) = content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, value) in &self.headers {
            // Only a fault can have an invalid header. Its other headers still apply.
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            ) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl IntoResponse for ApiResponse {
    fn into_response(self) -> Response {
        let bytes = self.bytes();
        self.into_response_with(Body::from(bytes))
    }
}
