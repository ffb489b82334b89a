//! How requests reach an API, and how responses are read.

use std::fmt::Debug;
use std::pin::Pin;

use reqwest::{Request, Response};

use super::budget::{MAX_BODY, MAX_ERROR_BODY};
use super::error::ApiErrorKind;

/// A response with its whole body.
pub type RawResponse = http::Response<Vec<u8>>;

pub type ResponseFuture = Pin<Box<dyn Future<Output = Result<RawResponse, ApiErrorKind>> + Send>>;

/// Replaces the network in simulations.
pub trait Transport: Debug + Send + Sync + 'static {
    /// [`Http`](super::Http) applies its own timeout to the future.
    fn send(&self, request: Request) -> ResponseFuture;
}

/// Reads a response with its body, up to the size limit. The body of an error
/// is left empty if it is too large or incomplete, because the status is enough.
pub(super) async fn read(response: reqwest::Result<Response>) -> Result<RawResponse, ApiErrorKind> {
    let mut response = response.map_err(transport_error)?;
    let status = response.status();
    let body = if status.is_success() {
        read_body(&mut response, MAX_BODY).await?
    } else {
        let body = read_body(&mut response, MAX_ERROR_BODY).await;
        body.unwrap_or_default()
    };
    let mut raw = RawResponse::new(body);
    *raw.status_mut() = status;
    *raw.headers_mut() = std::mem::take(response.headers_mut());
    Ok(raw)
}

async fn read_body(response: &mut Response, limit: usize) -> Result<Vec<u8>, ApiErrorKind> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport_error)? {
        if body.len() + chunk.len() > limit {
            return Err(ApiErrorKind::Malformed("the body is larger than 2 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn transport_error(error: reqwest::Error) -> ApiErrorKind {
    if error.is_timeout() {
        ApiErrorKind::Timeout
    } else {
        ApiErrorKind::Connection
    }
}
