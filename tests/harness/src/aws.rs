//! A client that signs its calls to the local AWS.
//!
//! The tests use about a dozen operations, nearly all of them JSON. Signing them here
//! compiles faster than AWS's own clients.

use std::{path::Path, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
pub use reqwest::Method;
use serde_json::Value;

use crate::{Error, Result};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

pub const REGION: &str = "eu-north-1";

/// The access key id and also its secret. The local AWS treats it as the account's root.
pub const ACCESS_KEY: &str = "test";

/// A service whose protocol names the operation in a header.
#[derive(Clone, Copy, Debug)]
pub enum Service {
    Secrets,
    Sqs,
    Logs,
    Metrics,
    Trail,
    StepFunctions,
    DynamoDb,
}

impl Service {
    /// Its name in signatures, the prefix of its operations, and its JSON version.
    const fn protocol(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Secrets => ("secretsmanager", "secretsmanager", "1.1"),
            Self::Sqs => ("sqs", "AmazonSQS", "1.0"),
            Self::StepFunctions => ("states", "AWSStepFunctions", "1.0"),
            Self::DynamoDb => ("dynamodb", "DynamoDB_20120810", "1.0"),
            Self::Logs => ("logs", "Logs_20140328", "1.1"),
            Self::Metrics => ("monitoring", "GraniteServiceVersion20100801", "1.0"),
            Self::Trail => (
                "cloudtrail",
                "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101",
                "1.1",
            ),
        }
    }
}

#[derive(Debug)]
pub(crate) struct ServiceError {
    /// For example `ResourceNotFoundException`; empty if the local AWS did not answer.
    pub code: String,
    pub error: Error,
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        error.error
    }
}

impl From<Error> for ServiceError {
    fn from(error: Error) -> Self {
        let code = String::new();
        Self { code, error }
    }
}

/// A client of the local AWS.
#[derive(Clone)]
pub struct Aws {
    http: Client,
    endpoint: String,
    credentials: Credentials,
}

impl Aws {
    /// A client that acts as the account's root and trusts only this authority.
    pub(crate) fn new(endpoint: String, authority: &Path) -> Result<Self> {
        let client = || -> std::result::Result<_, AnyError> {
            let authority = reqwest::Certificate::from_pem(&std::fs::read(authority)?)?;
            let builder = Client::builder()
                .tls_certs_only([authority])
                .timeout(std::time::Duration::from_secs(60));
            Ok(builder.build()?)
        };
        let http = client().map_err(|error| {
            let message = format!("the client for the local AWS could not be built: {error}");
            Error::new(message)
        })?;
        Ok(Self {
            http,
            endpoint,
            credentials: Credentials::from_keys(ACCESS_KEY, ACCESS_KEY, None),
        })
    }

    pub(crate) fn with_credentials(&self, credentials: Credentials) -> Self {
        Self {
            credentials,
            ..self.clone()
        }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The HTTP client, for unsigned calls.
    pub(crate) fn http(&self) -> &Client {
        &self.http
    }

    /// Whether the caller may use an operation. A call that fails for another reason
    /// counts as permitted.
    pub async fn permits(&self, service: Service, operation: &str, input: &Value) -> Result<bool> {
        permitted(self.try_call(service, operation, input).await)
    }

    /// The same for EventBridge Scheduler.
    pub async fn permits_schedule(
        &self,
        method: Method,
        path: &str,
        input: &Value,
    ) -> Result<bool> {
        permitted(self.try_scheduler(method, path, input).await)
    }

    pub async fn call(&self, service: Service, operation: &str, input: &Value) -> Result<Value> {
        Ok(self.try_call(service, operation, input).await?)
    }

    pub(crate) async fn try_call(
        &self,
        service: Service,
        operation: &str,
        input: &Value,
    ) -> std::result::Result<Value, ServiceError> {
        let (name, prefix, version) = service.protocol();
        let headers = [
            ("content-type", format!("application/x-amz-json-{version}")),
            ("x-amz-target", format!("{prefix}.{operation}")),
        ];
        self.send(name, Method::POST, "/", &headers, input.to_string())
            .await
            .map(json)
    }

    /// Calls IAM, which takes a form and answers in XML.
    pub(crate) async fn iam(&self, action: &str, input: &[(&str, &str)]) -> Result<String> {
        let mut form = format!("Action={action}&Version=2010-05-08");
        for (name, value) in input {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            form.push_str(&format!("&{name}={value}"));
        }
        let content_type = "application/x-www-form-urlencoded".to_owned();
        let headers = [("content-type", content_type)];
        Ok(self.send("iam", Method::POST, "/", &headers, form).await?)
    }

    /// Calls EventBridge Scheduler, which is REST: the path names the operation.
    pub async fn scheduler(&self, method: Method, path: &str, input: &Value) -> Result<Value> {
        Ok(self.try_scheduler(method, path, input).await?)
    }

    pub(crate) async fn try_scheduler(
        &self,
        method: Method,
        path: &str,
        input: &Value,
    ) -> std::result::Result<Value, ServiceError> {
        self.rest("scheduler", method, path, input).await
    }

    /// Calls Lambda's API, which is REST too.
    pub async fn lambda(&self, method: Method, path: &str, input: &Value) -> Result<Value> {
        Ok(self.try_lambda(method, path, input).await?)
    }

    /// Invokes a function by its name, or by `name:alias`. An error that the function
    /// returns counts as an answer. `None` means that the caller may not invoke it.
    pub async fn invoke(&self, function: &str, event: &Value) -> Result<Option<Value>> {
        let path = format!("/functions/{function}/invocations");
        match self.try_lambda(Method::POST, &path, event).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.code.starts_with("AccessDenied") => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn try_lambda(
        &self,
        method: Method,
        path: &str,
        input: &Value,
    ) -> std::result::Result<Value, ServiceError> {
        let path = format!("/2015-03-31{path}");
        self.rest("lambda", method, &path, input).await
    }

    async fn rest(
        &self,
        service: &'static str,
        method: Method,
        path: &str,
        input: &Value,
    ) -> std::result::Result<Value, ServiceError> {
        let has_body = matches!(method, Method::POST | Method::PUT);
        let body = if has_body {
            input.to_string()
        } else {
            String::new()
        };
        let headers = [("content-type", "application/json".to_owned())];
        let answer = self.send(service, method, path, &headers, body).await?;
        Ok(json(answer))
    }

    async fn send(
        &self,
        service: &'static str,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: String,
    ) -> std::result::Result<String, ServiceError> {
        let url = format!("{}{path}", self.endpoint);
        let what = format!("{service} of the local AWS, {method} {path}");
        let failed = |reason: String| Error::new(format!("{what}: {reason}"));

        let mut request = self.http.request(method.clone(), &url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let signed = self.signature(service, &method, &url, headers, &body);
        for (name, value) in signed.map_err(|error| failed(error.to_string()))? {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await;
        let answer = answer.map_err(|error| failed(format!("no answer: {error:?}")))?;
        let status = answer.status();
        let body = answer.text().await;
        let body = body.map_err(|error| failed(format!("incomplete answer: {error}")))?;
        if status.is_success() {
            return Ok(body);
        }
        let value = json(&body);
        let target = headers.last().map_or("", |(_, value)| value);
        let code = text(&value, "/__type").unwrap_or_default();
        Err(ServiceError {
            code: code.rsplit('#').next().unwrap_or_default().to_owned(),
            error: failed(format!("{target} failed with {status}: {body}")),
        })
    }

    fn signature(
        &self,
        service: &'static str,
        method: &Method,
        url: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> std::result::Result<Vec<(String, String)>, AnyError> {
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let request = SignableRequest::new(
            method.as_str(),
            url,
            headers,
            SignableBody::Bytes(body.as_bytes()),
        )?;
        let (instructions, _) = sign(request, &parameters)?.into_parts();
        let headers = instructions.headers();
        Ok(headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

/// Whether IAM allowed a call. A failure for another reason counts as permitted.
fn permitted(result: std::result::Result<Value, ServiceError>) -> Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.code.is_empty() => Err(error.error),
        Err(error) => Ok(!error.code.starts_with("AccessDenied")),
    }
}

/// Null if the body is not JSON: some operations answer with an empty body.
fn json(body: impl AsRef<str>) -> Value {
    serde_json::from_str(body.as_ref()).unwrap_or_default()
}

/// The string at a JSON pointer.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// The list at a JSON pointer; empty if it is missing.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}
