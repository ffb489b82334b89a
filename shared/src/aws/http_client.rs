//! Sends the AWS SDK's requests through reqwest, which all other calls use.
//!
//! The SDK's own client would be a second one in every binary, and reads the
//! platform's root certificates at its first use. `docs/performance.md` says
//! what that costs.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use reqwest::redirect::Policy;
use reqwest::{Client, Request};

use crate::http::{HttpSetupError, IDLE_TIMEOUT};
use crate::tls;

#[derive(Debug, Clone)]
pub(super) struct AwsHttpClient(Client);

impl AwsHttpClient {
    /// The SDK itself limits the time of whole calls and retries them.
    pub(super) fn new(connect_timeout: Duration) -> Result<Self, HttpSetupError> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls::config()?)
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .build()?;
        Ok(Self(client))
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = into_reqwest(request)?;
        let mut response = self.0.execute(request).await.map_err(connector_error)?;
        let mut head = http::Response::new(());
        *head.status_mut() = response.status();
        *head.headers_mut() = std::mem::take(response.headers_mut());
        let body = response.bytes().await.map_err(connector_error)?;
        HttpResponse::try_from(head.map(|()| SdkBody::from(body)))
            .map_err(|error| ConnectorError::other(error.into(), None))
    }
}

impl HttpConnector for AwsHttpClient {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

fn into_reqwest(request: HttpRequest) -> Result<Request, ConnectorError> {
    let request = request
        .try_into_http1x()
        .map_err(|error| ConnectorError::user(error.into()))?;
    let (head, body) = request.into_parts();
    // No call of ours streams its body.
    let body = body
        .bytes()
        .ok_or_else(|| ConnectorError::user("the body is not in memory".into()))?
        .to_vec();
    Request::try_from(http::Request::from_parts(head, body))
        .map_err(|error| ConnectorError::user(error.into()))
}

/// The SDK retries after timeouts and I/O errors.
fn connector_error(error: reqwest::Error) -> ConnectorError {
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

    fn listen() -> (String, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        (url, listener)
    }

    /// Serves one response, then closes the connection. The handle returns the
    /// request.
    fn serve_once(response: &'static str) -> (String, thread::JoinHandle<String>) {
        let (url, listener) = listen();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            while !request.ends_with("{\"a\":1}") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).unwrap();
                request.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
            stream.write_all(response.as_bytes()).unwrap();
            request
        });
        (url, server)
    }

    /// Serves any number of requests. The receiver gets the number of the
    /// connection of each.
    fn serve() -> (String, mpsc::Receiver<usize>) {
        let (url, listener) = listen();
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

    fn client() -> AwsHttpClient {
        AwsHttpClient::new(Duration::from_secs(1)).unwrap()
    }

    async fn post(client: &AwsHttpClient, url: &str) -> Result<HttpResponse, ConnectorError> {
        let request = http::Request::post(url)
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .body(SdkBody::from("{\"a\":1}"))
            .unwrap();
        client.call(request.try_into().unwrap()).await
    }

    #[tokio::test]
    async fn requests_and_responses_pass_unchanged() {
        let (url, server) = serve_once(
            "HTTP/1.1 400 Bad Request\r\nx-amzn-requestid: 7\r\ncontent-length: 5\r\n\r\nwrong",
        );
        let response = post(&client(), &url).await.unwrap();
        assert_eq!(response.status().as_u16(), 400);
        assert_eq!(response.headers().get("x-amzn-requestid"), Some("7"));
        assert_eq!(response.body().bytes(), Some(b"wrong".as_slice()));
        let request = server.join().unwrap();
        assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("x-amz-target: AmazonSQS.SendMessage\r\n"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn connections_idle_for_over_15_seconds_are_not_reused() {
        for (idle, connection) in [(1, 0), (14, 0), (16, 1), (89, 1)] {
            let (url, requests) = serve();
            let client = client();
            post(&client, &url).await.unwrap();
            assert_eq!(requests.recv().unwrap(), 0);
            // Let the connection return to the pool in real time, then advance the clock.
            tokio::time::sleep(Duration::from_millis(20)).await;
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(idle)).await;
            tokio::time::resume();
            post(&client, &url).await.unwrap();
            assert_eq!(requests.recv().unwrap(), connection, "{idle} s idle");
        }
    }

    #[tokio::test]
    async fn redirects_are_not_followed() {
        let (url, server) = serve_once(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        );
        let response = post(&client(), &url).await.unwrap();
        assert_eq!(response.status().as_u16(), 307);
        server.join().unwrap();
    }

    #[tokio::test]
    async fn connection_failures_are_retryable() {
        let refused = post(&client(), "http://127.0.0.1:1/").await.unwrap_err();
        assert!(refused.is_io(), "{refused:?}");
        for part in ["", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nha"] {
            let (url, server) = serve_once(part);
            let broken = post(&client(), &url).await.unwrap_err();
            assert!(broken.is_io(), "{part:?}: {broken:?}");
            server.join().unwrap();
        }
    }
}
