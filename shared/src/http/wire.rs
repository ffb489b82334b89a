//! What carries requests to the APIs, and reading what comes back.

use std::fmt::Debug;
use std::pin::Pin;

use reqwest::{Request, Response};

use super::error::Fault;
use super::memory::{LARGEST_ANSWER, LARGEST_ERROR};

/// An answer, read to its end.
pub type Answer = http::Response<Vec<u8>>;

/// An answer on its way.
pub type Carried = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;

/// What carries requests in place of the network.
pub trait Wire: Debug + Send + Sync + 'static {
    /// Carries a request and brings its answer. However long it takes, the
    /// call ends with the client's own timeout.
    fn carry(&self, request: Request) -> Carried;
}

/// Reads an answer to its end, up to the size allowed. Of an error the body is
/// left out that is too large or breaks off: the status says what counts.
pub(super) async fn read(answer: reqwest::Result<Response>) -> Result<Answer, Fault> {
    let mut answer = answer.map_err(broken)?;
    let status = answer.status();
    let body = match status.is_success() {
        true => read_body(&mut answer, LARGEST_ANSWER).await?,
        false => read_body(&mut answer, LARGEST_ERROR)
            .await
            .unwrap_or_default(),
    };
    let mut read = Answer::new(body);
    *read.status_mut() = status;
    *read.headers_mut() = std::mem::take(answer.headers_mut());
    Ok(read)
}

async fn read_body(answer: &mut Response, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > limit {
            return Err(Fault::Malformed("the body is larger than 2 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn broken(error: reqwest::Error) -> Fault {
    match error.is_timeout() {
        true => Fault::Timeout,
        false => Fault::Connection,
    }
}
