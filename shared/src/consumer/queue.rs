//! What a consumer asks of its queue: to hide a message for a while, and to
//! take a dead letter. Receiving and deleting are Lambda's.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    SendMessageBatchRequestEntry,
};
use tracing::warn;

use crate::aws::batch::{MOST_ENTRIES, fitting};
use crate::aws::reason;

/// A connector's queue and its dead-letter queue.
pub trait Queue: Send + Sync + 'static {
    /// Hides each message for so long. Best effort: a message that could not be
    /// hidden comes back when its visibility timeout ends.
    fn hide(&self, messages: Vec<(String, Duration)>) -> impl Future<Output = ()> + Send;

    /// Deletes messages that are done, by their receipts, before Lambda does.
    /// Best effort: one that could not be deleted is deleted by Lambda, or comes
    /// back. Assumed: Lambda does not mind that a message is deleted already.
    fn delete(&self, receipts: Vec<String>) -> impl Future<Output = ()> + Send;

    /// Sends messages to the dead-letter queue, in their order. What became of
    /// each, in the same order: [`QueueError`] where the queue did not take it,
    /// whose message must then stay.
    fn send_dead_letters(
        &self,
        messages: Vec<DeadLetterMessage>,
    ) -> impl Future<Output = Vec<Result<(), QueueError>>> + Send;
}

/// The names of a dead letter's attributes, which operators and their tools read.
pub mod attribute {
    /// The connector that gave the message up.
    pub const CONNECTOR: &str = "connector";
    /// What kind of error, by [`DeadLetterKind::name`](super::super::DeadLetterKind::name).
    pub const ERROR_KIND: &str = "errorKind";
    /// The HTTP status, where an API answered.
    pub const STATUS: &str = "status";
    /// What, where and what to do.
    pub const MESSAGE: &str = "message";
    /// When the message was given up.
    pub const DIED_AT: &str = "diedAt";
}

/// A message on its way to the dead-letter queue, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterMessage {
    /// The body as it was queued.
    pub body: String,
    /// The FIFO group it was queued in.
    pub group: String,
    /// An id of its own: a message that comes back a second time must not be
    /// taken for its first time.
    pub deduplication_id: String,
    /// Attributes by name: why it is here. No personal data.
    pub attributes: Vec<(&'static str, String)>,
    /// X-Ray's trace header, where there is one.
    pub trace: Option<String>,
}

impl DeadLetterMessage {
    /// Its size in bytes as SQS counts: body, and names, types and values of attributes.
    fn size(&self) -> usize {
        let attributes = self.attributes.iter();
        let sizes = attributes.map(|(name, value)| name.len() + TEXT.len() + value.len());
        self.body.len() + sizes.sum::<usize>()
    }
}

/// The type of attributes that are texts.
const TEXT: &str = "String";

/// The queue did not take a message.
#[derive(Debug, thiserror::Error)]
#[error("the queue did not take the message: {0}")]
pub struct QueueError(String);

impl QueueError {
    /// An error for this reason, which must hold no personal data.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    queue_url: String,
    dead_letter_queue_url: String,
}

impl SqsQueue {
    /// The queue and the dead-letter queue at these addresses.
    pub fn new(
        client: Client,
        queue_url: impl Into<String>,
        dead_letter_queue_url: impl Into<String>,
    ) -> Self {
        Self {
            client,
            queue_url: queue_url.into(),
            dead_letter_queue_url: dead_letter_queue_url.into(),
        }
    }
}

/// A wait in whole seconds, which is all SQS knows, rounded up: who comes back
/// within the last second of a pause is only sent away again, and with a wait
/// of nothing over and over.
fn whole_seconds(wait: Duration) -> i32 {
    let seconds = wait
        .as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

impl Queue for SqsQueue {
    async fn hide(&self, messages: Vec<(String, Duration)>) {
        for chunk in messages.chunks(MOST_ENTRIES) {
            let entries = chunk.iter().enumerate().filter_map(|(n, (receipt, wait))| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(n.to_string())
                    .receipt_handle(receipt)
                    .visibility_timeout(whole_seconds(*wait))
                    .build()
                    .ok()
            });
            let changed = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.queue_url)
                .set_entries(Some(entries.collect()))
                .send()
                .await;
            warn_of_failed(
                changed.map(|answer| answer.failed().len()),
                chunk.len(),
                "Messages could not be hidden; they come back with the queue's own timeout.",
            );
        }
    }

    async fn delete(&self, receipts: Vec<String>) {
        for chunk in receipts.chunks(MOST_ENTRIES) {
            let entries = chunk.iter().enumerate().filter_map(|(n, receipt)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(n.to_string())
                    .receipt_handle(receipt)
                    .build()
                    .ok()
            });
            let deleted = self
                .client
                .delete_message_batch()
                .queue_url(&self.queue_url)
                .set_entries(Some(entries.collect()))
                .send()
                .await;
            warn_of_failed(
                deleted.map(|answer| answer.failed().len()),
                chunk.len(),
                "Messages that are done could not be deleted early.",
            );
        }
    }

    async fn send_dead_letters(
        &self,
        messages: Vec<DeadLetterMessage>,
    ) -> Vec<Result<(), QueueError>> {
        let mut sent = Vec::with_capacity(messages.len());
        let mut rest = messages.as_slice();
        while !rest.is_empty() {
            let (together, behind) =
                rest.split_at(fitting(rest.iter().map(DeadLetterMessage::size)));
            sent.extend(self.send_dead_letter_batch(together).await);
            rest = behind;
        }
        sent
    }
}

impl SqsQueue {
    /// Sends messages to the dead-letter queue by one call, so that a batch's
    /// messages take the time of one.
    async fn send_dead_letter_batch(
        &self,
        messages: &[DeadLetterMessage],
    ) -> Vec<Result<(), QueueError>> {
        let entries = messages
            .iter()
            .enumerate()
            .map(|(n, message)| entry(n, message));
        let entries: Result<Vec<_>, _> = entries.collect();
        let request = self.client.send_message_batch();
        let request = request.queue_url(&self.dead_letter_queue_url);
        let sent = match entries {
            Ok(entries) => request.set_entries(Some(entries)).send().await,
            Err(error) => Err(error.into()),
        };
        let verdict = |n: usize| {
            let answer = sent.as_ref().map_err(|error| QueueError(reason(error)))?;
            let id = n.to_string();
            if answer.successful().iter().any(|taken| taken.id() == id) {
                return Ok(());
            }
            let refused = answer.failed().iter().find(|refused| refused.id() == id);
            let reason = refused.map_or("the answer does not name it", |refused| refused.code());
            Err(QueueError::new(reason))
        };
        (0..messages.len()).map(verdict).collect()
    }
}

/// Warns where a call failed for some of its `count` messages, or for all.
fn warn_of_failed(
    failed: Result<usize, impl Error + ProvideErrorMetadata>,
    count: usize,
    what: &str,
) {
    let (failed, error) = match failed {
        Ok(0) => return,
        Ok(failed) => (failed, String::new()),
        Err(error) => (count, reason(&error)),
    };
    warn!(failed, error, "{what}");
}

/// A message as the `n`th of a call.
fn entry(
    n: usize,
    message: &DeadLetterMessage,
) -> Result<SendMessageBatchRequestEntry, BuildError> {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(n.to_string())
        .message_body(&message.body)
        .message_group_id(&message.group)
        .message_deduplication_id(&message.deduplication_id)
        .set_message_system_attributes(message.trace.as_deref().and_then(trace_attribute));
    for (name, value) in &message.attributes {
        let value = MessageAttributeValue::builder()
            .data_type(TEXT)
            .string_value(value)
            .build()?;
        entry = entry.message_attributes(*name, value);
    }
    entry.build()
}

/// X-Ray's trace header as a system attribute of a message, so that the trace goes on.
fn trace_attribute(
    trace: &str,
) -> Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>> {
    let value = MessageSystemAttributeValue::builder()
        .data_type(TEXT)
        .string_value(trace)
        .build()
        .ok()?;
    let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
    Some(HashMap::from([(name, value)]))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
    use aws_smithy_types::body::SdkBody;
    use serde_json::{Value, json};

    use super::*;

    /// SQS that answers each call to send a batch, and keeps the calls.
    #[derive(Debug, Clone, Default)]
    struct Sqs {
        calls: Arc<Mutex<Vec<Value>>>,
        /// What it answers; else it takes all.
        answer: Option<(u16, Value)>,
    }

    impl Sqs {
        fn queue(&self) -> SqsQueue {
            let config = aws_sdk_sqs::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("eu-north-1"))
                .credentials_provider(Credentials::for_tests())
                .http_client(self.clone())
                .build();
            SqsQueue::new(Client::from_conf(config), "https://q", "https://dead")
        }

        fn calls(&self) -> Vec<Value> {
            self.calls.lock().unwrap().clone()
        }
    }

    impl HttpClient for Sqs {
        fn http_connector(
            &self,
            _: &HttpConnectorSettings,
            _: &RuntimeComponents,
        ) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for Sqs {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let target = request.headers().get("x-amz-target");
            assert_eq!(target, Some("AmazonSQS.SendMessageBatch"));
            let call: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let taken = |entry: &Value| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "d"});
            let entries = call["Entries"].as_array().unwrap();
            let taken: Vec<_> = entries.iter().map(taken).collect();
            let all = (200, json!({"Successful": taken, "Failed": []}));
            let (status, answer) = self.answer.clone().unwrap_or(all);
            self.calls.lock().unwrap().push(call);
            let body = SdkBody::from(answer.to_string());
            let status = status.try_into().unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body)))
        }
    }

    fn message(name: &str, bytes: usize) -> DeadLetterMessage {
        DeadLetterMessage {
            body: "x".repeat(bytes),
            group: format!("group-{name}"),
            deduplication_id: format!("dedup-{name}"),
            attributes: vec![(attribute::ERROR_KIND, "bug".to_owned())],
            trace: None,
        }
    }

    fn messages(count: usize, bytes: usize) -> Vec<DeadLetterMessage> {
        (0..count).map(|n| message(&n.to_string(), bytes)).collect()
    }

    /// What became of each message: nothing where it was taken.
    async fn told(queue: &SqsQueue, messages: Vec<DeadLetterMessage>) -> Vec<Option<String>> {
        let sent = queue.send_dead_letters(messages).await.into_iter();
        sent.map(|sent| sent.err().map(|error| error.0)).collect()
    }

    #[tokio::test]
    async fn the_letters_of_a_batch_are_sent_by_as_few_calls_as_sqs_allows() {
        let cases = [
            (messages(0, 0), vec![]),
            (messages(1, 100), vec![1]),
            (messages(10, 700), vec![10]),
            (messages(12, 700), vec![10, 2]),
            (messages(3, 150 * 1024), vec![1, 1, 1]),
            (messages(4, 99 * 1024), vec![2, 2]),
        ];
        for (messages, expected) in cases {
            let (sqs, count) = (Sqs::default(), messages.len());
            assert_eq!(told(&sqs.queue(), messages).await, vec![None; count]);
            let calls = sqs.calls();
            let entries = calls.iter().map(|call| call["Entries"].as_array().unwrap());
            assert_eq!(entries.map(Vec::len).collect::<Vec<_>>(), expected);
            assert!(calls.iter().all(|call| call["QueueUrl"] == "https://dead"));
        }
    }

    #[tokio::test]
    async fn a_letter_says_why_it_is_there_and_keeps_its_group_id_and_trace() {
        let sqs = Sqs::default();
        let message = DeadLetterMessage {
            attributes: vec![
                (attribute::ERROR_KIND, "rejected_by_api".to_owned()),
                (attribute::STATUS, "422".to_owned()),
            ],
            trace: Some("Root=1-a".to_owned()),
            ..message("a", 3)
        };
        assert_eq!(told(&sqs.queue(), vec![message]).await, [None]);
        let text = |value: &str| json!({"DataType": "String", "StringValue": value});
        let expected = json!({
            "Id": "0",
            "MessageBody": "xxx",
            "MessageGroupId": "group-a",
            "MessageDeduplicationId": "dedup-a",
            "MessageAttributes": {"errorKind": text("rejected_by_api"), "status": text("422")},
            "MessageSystemAttributes": {"AWSTraceHeader": text("Root=1-a")},
        });
        assert_eq!(sqs.calls()[0]["Entries"], json!([expected]));
    }

    #[tokio::test]
    async fn no_letter_is_taken_for_buried_that_sqs_does_not_say_it_took() {
        let taken = |id: &str| json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": "d"});
        let failed = |id: &str| json!({"Id": id, "Code": "InternalError", "SenderFault": false});
        let unsaid = Some("the answer does not name it".to_owned());
        let refused = Some("InternalError".to_owned());
        let cases = [
            (
                200,
                json!({"Successful": [taken("2"), taken("0")], "Failed": [failed("1")]}),
                [None, refused, None],
            ),
            (
                200,
                json!({"Successful": [taken("0"), taken("x"), taken("3")], "Failed": [failed("7")]}),
                [None, unsaid.clone(), unsaid],
            ),
            (
                400,
                json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "none"}),
                [(); 3].map(|()| Some("QueueDoesNotExist".to_owned())),
            ),
        ];
        for (status, answer, expected) in cases {
            let sqs = Sqs {
                answer: Some((status, answer.clone())),
                ..Sqs::default()
            };
            assert_eq!(
                told(&sqs.queue(), messages(3, 10)).await,
                expected,
                "{answer}"
            );
        }
    }

    #[test]
    fn no_wait_is_shortened_to_whole_seconds() {
        let cases = [
            (0, 0),
            (1, 1),
            (999, 1),
            (1_000, 1),
            (1_001, 2),
            (43_200_000, 43_200),
        ];
        for (millis, seconds) in cases {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
        assert_eq!(whole_seconds(Duration::MAX), i32::MAX);
    }
}
