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

use crate::http::HttpSetupError;
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
