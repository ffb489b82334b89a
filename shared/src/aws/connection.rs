//! How the AWS SDK's calls reach the network: through the HTTP client that all
//! other calls go through.
//!
//! The SDK's own client would be a second one in every binary, and reads the
//! platform's root certificates at its first use; what that costs is in
//! `docs/performance.md`.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use reqwest::redirect::Policy;
use reqwest::{Client, Request};

use crate::http::{HttpSetupError, IDLE_TIMEOUT};
use crate::tls;

/// Connections to AWS, kept open from call to call.
#[derive(Debug, Clone)]
pub(super) struct Connections(Client);

impl Connections {
    /// None yet; each is waited for so long. Whole calls and retries are the SDK's to end.
    pub(super) fn new(connect: Duration) -> Result<Self, HttpSetupError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::config()?)
            .connect_timeout(connect)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .build()?;
        Ok(Self(client))
    }

    async fn call(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = read(request)?;
        let mut response = self.0.execute(request).await.map_err(broken)?;
        let mut answer = http::Response::new(());
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        let body = response.bytes().await.map_err(broken)?;
        HttpResponse::try_from(answer.map(|()| SdkBody::from(body)))
            .map_err(|error| ConnectorError::other(error.into(), None))
    }
}

impl HttpClient for Connections {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connections {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().call(request))
    }
}

/// The SDK's request in the client's words. All that is sent is in memory.
fn read(request: HttpRequest) -> Result<Request, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    let (head, body) = request.into_parts();
    let body = body
        .bytes()
        .ok_or_else(|| ConnectorError::user("a body that is not in memory".into()))?
        .to_vec();
    Request::try_from(http::Request::from_parts(head, body))
        .map_err(|error| ConnectorError::user(error.into()))
}

/// Why there was no whole answer. The SDK tries again after either of the first two.
fn broken(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_builder() {
        ConnectorError::user(error.into())
    } else {
        ConnectorError::io(error.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// A server that gives one answer and ends the connection, and the address
    /// and the request it was sent.
    fn answering(answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let served = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            while !request.ends_with("{\"a\":1}") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).unwrap();
                request.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
            stream.write_all(answer.as_bytes()).unwrap();
            request
        });
        (url, served)
    }

    async fn call(url: &str) -> Result<HttpResponse, ConnectorError> {
        call_by(&Connections::new(Duration::from_secs(1)).unwrap(), url).await
    }

    async fn call_by(connections: &Connections, url: &str) -> Result<HttpResponse, ConnectorError> {
        let request = http::Request::post(url)
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .body(SdkBody::from("{\"a\":1}"))
            .unwrap();
        HttpConnector::call(connections, request.try_into().unwrap()).await
    }

    #[tokio::test]
    async fn a_call_goes_out_as_it_is_and_any_answer_comes_back_whole() {
        let (url, served) = answering(
            "HTTP/1.1 400 Bad Request\r\nx-amzn-requestid: 7\r\ncontent-length: 5\r\n\r\nwrong",
        );
        let answer = call(&url).await.unwrap();
        assert_eq!(answer.status().as_u16(), 400);
        assert_eq!(answer.headers().get("x-amzn-requestid"), Some("7"));
        assert_eq!(answer.body().bytes(), Some(b"wrong".as_slice()));
        let request = served.join().unwrap();
        assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("x-amz-target: AmazonSQS.SendMessage\r\n"),
            "{request}"
        );
    }

    /// A server that answers every request on as many connections as are made,
    /// and its address and the number of the connection of each request.
    fn serving() -> (String, mpsc::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (mut stream, sender) = (stream.unwrap(), sender.clone());
                thread::spawn(move || {
                    let mut bytes = [0; 1024];
                    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
                        sender.send(number).unwrap();
                        stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                            .unwrap();
                    }
                });
            }
        });
        (url, requests)
    }

    #[tokio::test]
    async fn a_connection_that_a_freeze_may_have_broken_is_not_used_again() {
        for (idle, connection) in [(1, 0), (14, 0), (16, 1), (89, 1)] {
            let (url, requests) = serving();
            let connections = Connections::new(Duration::from_secs(1)).unwrap();
            call_by(&connections, &url).await.unwrap();
            assert_eq!(requests.recv().unwrap(), 0);
            // Let the connection come back to the client, then only its clock move on.
            tokio::time::sleep(Duration::from_millis(20)).await;
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(idle)).await;
            tokio::time::resume();
            call_by(&connections, &url).await.unwrap();
            assert_eq!(requests.recv().unwrap(), connection, "{idle} s idle");
        }
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_not_followed() {
        let (url, served) = answering(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        );
        assert_eq!(call(&url).await.unwrap().status().as_u16(), 307);
        served.join().unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_fails_or_breaks_is_worth_another_try() {
        let refused = call("http://127.0.0.1:1/").await.unwrap_err();
        assert!(refused.is_io(), "{refused:?}");
        for half in ["", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nha"] {
            let (url, served) = answering(half);
            let broken = call(&url).await.unwrap_err();
            assert!(broken.is_io(), "{half:?}: {broken:?}");
            served.join().unwrap();
        }
    }
}
