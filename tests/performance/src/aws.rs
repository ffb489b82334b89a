//! As much of Secrets Manager and SQS as the functions use, answering at once.
//!
//! Both speak AWS's JSON protocol: the operation is a header, the input and the
//! output are JSON (documented). Signatures are not checked. The answers lack
//! the MD5 of the body, which the SDK does not look at.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::serve::Server;

/// The running stand-in.
pub struct Aws {
    server: Server,
    shared: Arc<Mutex<Contents>>,
}

#[derive(Default)]
struct Contents {
    secrets: HashMap<String, String>,
    calls: usize,
}

impl Aws {
    /// Starts it without any secret, on a free port.
    ///
    /// # Errors
    /// When no port can be bound or no thread started.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::<Mutex<Contents>>::default();
        let router = Router::new().fallback(call).with_state(shared.clone());
        Ok(Self {
            server: Server::start("aws", router)?,
            shared,
        })
    }

    /// Its address, for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    /// Stores a secret.
    pub fn put_secret(&self, name: &str, content: &Value) {
        let mut contents = self.shared.lock().unwrap();
        contents.secrets.insert(name.into(), content.to_string());
    }

    /// How many calls it has had.
    pub fn calls(&self) -> usize {
        self.shared.lock().unwrap().calls
    }
}

async fn call(
    State(shared): State<Arc<Mutex<Contents>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut contents = shared.lock().unwrap();
    contents.calls += 1;
    let operation = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    let input: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, protocol, output) = match operation {
        Some("secretsmanager.GetSecretValue") => {
            let name = input.get("SecretId").and_then(Value::as_str);
            match name.and_then(|name| contents.secrets.get(name)) {
                Some(secret) => (
                    StatusCode::OK,
                    "application/x-amz-json-1.1",
                    json!({
                        "ARN": "arn:aws:secretsmanager:eu-north-1:123456789012:secret:measured",
                        "Name": name,
                        "VersionId": "0b1a2c3d-0000-4000-8000-000000000000",
                        "SecretString": secret,
                        "VersionStages": ["AWSCURRENT"],
                        "CreatedDate": 1_768_469_401.25,
                    }),
                ),
                None => (
                    StatusCode::BAD_REQUEST,
                    "application/x-amz-json-1.1",
                    json!({ "__type": "ResourceNotFoundException" }),
                ),
            }
        }
        Some("AmazonSQS.SendMessage") => (
            StatusCode::OK,
            "application/x-amz-json-1.0",
            json!({
                "MessageId": "00000000-0000-4000-8000-000000000001",
                "SequenceNumber": "18850000000000000001",
            }),
        ),
        Some(
            "AmazonSQS.ChangeMessageVisibilityBatch"
            | "AmazonSQS.DeleteMessageBatch"
            | "AmazonSQS.SendMessageBatch",
        ) => {
            let entries = input.get("Entries").and_then(Value::as_array).into_iter();
            // Only what is sent is answered with an id of the message.
            let taken = |entry: &Value| json!({ "Id": entry.get("Id"), "MessageId": "1" });
            let ids = entries.flatten().map(taken);
            let output = json!({ "Successful": ids.collect::<Vec<_>>(), "Failed": [] });
            (StatusCode::OK, "application/x-amz-json-1.0", output)
        }
        Some("AmazonSQS.GetQueueAttributes") => (
            StatusCode::OK,
            "application/x-amz-json-1.0",
            json!({ "Attributes": {
                "ApproximateNumberOfMessages": "0",
                "ApproximateNumberOfMessagesDelayed": "0",
                "ApproximateNumberOfMessagesNotVisible": "0",
            } }),
        ),
        Some("AmazonSQS.ReceiveMessage") => {
            (StatusCode::OK, "application/x-amz-json-1.0", json!({}))
        }
        _ => (
            StatusCode::BAD_REQUEST,
            "application/x-amz-json-1.0",
            json!({ "__type": "UnknownOperationException" }),
        ),
    };
    (
        status,
        [(header::CONTENT_TYPE, protocol)],
        output.to_string(),
    )
        .into_response()
}
