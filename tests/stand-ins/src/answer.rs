//! What an API answers.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

/// The body of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Empty,
    Json(Value),
    Text(&'static str, String),
    Bytes(&'static str, Vec<u8>),
}

/// Status, headers and body, before they become a response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(String, String)>,
    pub content: Content,
}

impl Answer {
    pub fn json(status: StatusCode, body: Value) -> Self {
        Self::new(status, Content::Json(body))
    }

    pub fn ok(body: Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub fn text(status: StatusCode, content_type: &'static str, body: impl Into<String>) -> Self {
        Self::new(status, Content::Text(content_type, body.into()))
    }

    pub fn new(status: StatusCode, content: Content) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content,
        }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The body's bytes as they go out.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.content {
            Content::Empty => Vec::new(),
            Content::Json(value) => value.to_string().into_bytes(),
            Content::Text(_, text) => text.clone().into_bytes(),
            Content::Bytes(_, bytes) => bytes.clone(),
        }
    }

    /// The answer with another body in its place.
    pub fn into_response_with(self, body: Body) -> Response {
        let content_type = match &self.content {
            Content::Empty => None,
            Content::Json(_) => Some("application/json"),
            Content::Text(kind, _) | Content::Bytes(kind, _) => Some(*kind),
        };
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        if let Some(kind) = content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            // A header that cannot be sent was asked for by a fault only; the
            // rest of the fault is still worth having.
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let bytes = self.bytes();
        self.into_response_with(Body::from(bytes))
    }
}
