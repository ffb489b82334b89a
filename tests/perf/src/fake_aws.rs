//! A fake of Secrets Manager, SQS, DynamoDB, EventBridge Scheduler and Lambda with the
//! operations that the functions use. Its table forgets everything.
//!
//! All but Scheduler and Lambda use AWS's JSON protocol: a header names the operation, and input and
//! output are JSON (documented). The fake does not check signatures, and it leaves out
//! SQS's MD5 of the body, which the SDK does not check.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::server::Server;

type Secrets = Arc<Mutex<HashMap<String, String>>>;

pub(crate) struct FakeAws {
    server: Server,
    secrets: Secrets,
}

impl FakeAws {
    pub(crate) fn start() -> io::Result<Self> {
        let secrets = Secrets::default();
        let router = Router::new().fallback(call).with_state(secrets.clone());
        Ok(Self {
            server: Server::start("aws", router)?,
            secrets,
        })
    }

    /// For `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.server.port())
    }

    pub(crate) fn put_secret(&self, name: &str, content: &Value) {
        let mut secrets = self.secrets.lock().unwrap();
        secrets.insert(name.into(), content.to_string());
    }
}

async fn call(
    State(secrets): State<Secrets>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let operation = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok());
    let operation = operation.unwrap_or_default();
    let input: Value = serde_json::from_slice(&body).unwrap_or_default();
    let content_type = if operation.starts_with("secretsmanager.") {
        "application/x-amz-json-1.1"
    } else {
        "application/x-amz-json-1.0"
    };
    let output = if uri.path().ends_with("/invocations") {
        // The operator's function, asked for runs.
        Ok(json!({ "action": "runs", "runs": [], "more": 0 }))
    } else {
        output(operation, &input, &secrets)
    };
    let (status, output) = match output {
        Ok(output) => (StatusCode::OK, output),
        Err(code) => (StatusCode::BAD_REQUEST, json!({ "__type": code })),
    };
    (
        status,
        [(header::CONTENT_TYPE, content_type)],
        output.to_string(),
    )
}

fn output(operation: &str, input: &Value, secrets: &Secrets) -> Result<Value, &'static str> {
    Ok(match operation {
        "secretsmanager.GetSecretValue" => {
            let name = input.get("SecretId").and_then(Value::as_str);
            let secrets = secrets.lock().unwrap();
            let secret = name.and_then(|name| secrets.get(name));
            json!({
                "ARN": "arn:aws:secretsmanager:eu-north-1:123456789012:secret:measured",
                "Name": name,
                "VersionId": "0b1a2c3d-0000-4000-8000-000000000000",
                "SecretString": secret.ok_or("ResourceNotFoundException")?,
                "VersionStages": ["AWSCURRENT"],
                "CreatedDate": 1_768_469_401.25,
            })
        }
        "AmazonSQS.SendMessage" => json!({
            "MessageId": "00000000-0000-4000-8000-000000000001",
            "SequenceNumber": "18850000000000000001",
        }),
        "AmazonSQS.ChangeMessageVisibilityBatch"
        | "AmazonSQS.DeleteMessageBatch"
        | "AmazonSQS.SendMessageBatch" => {
            let entries = input.get("Entries").and_then(Value::as_array);
            let entries = entries.into_iter().flatten();
            // Only sent messages have a message id; the SDK ignores it for the others.
            let successful =
                entries.map(|entry| json!({ "Id": entry.get("Id"), "MessageId": "1" }));
            json!({ "Successful": successful.collect::<Vec<_>>(), "Failed": [] })
        }
        "AmazonSQS.GetQueueAttributes" => json!({ "Attributes": {
            "ApproximateNumberOfMessages": "0",
            "ApproximateNumberOfMessagesDelayed": "0",
            "ApproximateNumberOfMessagesNotVisible": "0",
        } }),
        "AmazonSQS.ReceiveMessage"
        | "DynamoDB_20120810.GetItem"
        | "DynamoDB_20120810.PutItem"
        | "DynamoDB_20120810.DeleteItem" => json!({}),
        // Scheduler names its operations by method and path.
        "" => json!({ "ScheduleArn": "arn:aws:scheduler:eu-north-1:1:schedule/wake-ups/user" }),
        _ => return Err("UnknownOperationException"),
    })
}
