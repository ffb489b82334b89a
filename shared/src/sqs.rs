//! The adapter to Amazon SQS, for every function.

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{BuildError, ProvideErrorMetadata};
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue,
    MessageSystemAttributeName as SystemAttribute, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry,
};
use jiff::Timestamp;
use thiserror::Error as ThisError;

use crate::aws::reason;

/// The most messages in one call of any kind (documented).
pub const MAX_BATCH: usize = 10;

/// The most bytes of messages in one call. SQS accepts 1 MiB (documented),
/// formerly 256 KiB; our messages are below 1 KiB.
const MAX_BATCH_BYTES: usize = 200 * 1024;

/// How long a receive waits, in seconds. With any wait SQS queries all of its
/// servers, so an empty answer means an empty queue.
const RECEIVE_WAIT: i32 = 1;

const TEXT: &str = "String";

/// A message to send to a FIFO queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    pub body: String,
    pub group: String,
    /// SQS drops a second message of the same id within five minutes.
    pub deduplication_id: String,
    pub attributes: Vec<(&'static str, String)>,
    /// X-Ray's trace header. SQS refuses a message with a malformed one.
    pub trace: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// The same each time the message is received.
    pub id: String,
    /// Deletes the message or changes its visibility; new with each receive.
    pub receipt: String,
    pub body: String,
    pub group: Option<String>,
    pub trace: Option<String>,
    pub sent_at: Option<Timestamp>,
    pub attributes: HashMap<String, String>,
}

/// How many messages a queue holds. SQS counts approximately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    pub visible: u64,
    pub delayed: u64,
    pub in_flight: u64,
}

impl Depth {
    pub fn total(self) -> u64 {
        self.visible + self.delayed + self.in_flight
    }
}

/// Why a call to SQS failed: its error code, or the chain of causes. Never holds
/// content of a message.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{0}")]
pub struct SqsError(String);

impl SqsError {
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    fn from_sdk(error: &(impl Error + ProvideErrorMetadata)) -> Self {
        Self(reason(error))
    }
}

/// Sends a batch, and returns the ids of the successful entries and the failed
/// entries. A macro, because the SDK's batch calls have no type in common.
macro_rules! batch_call {
    ($request:expr, $entries:expr) => {{
        let answer = match $entries.collect() {
            Ok(entries) => $request.set_entries(Some(entries)).send().await,
            Err(error) => Err(BuildError::into(error)),
        };
        answer.map(|answer| {
            let done = answer.successful.into_iter().map(|entry| entry.id);
            (done.collect(), answer.failed)
        })
    }};
}

#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
}

impl SqsQueue {
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        let url = url.into();
        Self { client, url }
    }

    pub async fn send(&self, message: &OutgoingMessage) -> Result<(), SqsError> {
        let attributes = message.attributes();
        let attributes = attributes.map_err(|error| SqsError::new(error.to_string()))?;
        let request = self.client.send_message().queue_url(&self.url);
        let request = request
            .message_body(&message.body)
            .message_group_id(&message.group)
            .message_deduplication_id(&message.deduplication_id)
            .set_message_attributes(attributes)
            .set_message_system_attributes(message.system_attributes());
        let sent = request.send().await;
        sent.map(drop).map_err(|error| SqsError::from_sdk(&error))
    }

    /// Sends messages in their order, with as few calls as SQS allows. The
    /// results are in the same order.
    pub async fn send_all(&self, messages: &[OutgoingMessage]) -> Vec<Result<(), SqsError>> {
        let mut results = Vec::with_capacity(messages.len());
        let mut rest = messages;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(batch_len(rest.iter().map(OutgoingMessage::size)));
            let entries = batch.iter().enumerate().map(|(n, message)| {
                SendMessageBatchRequestEntry::builder()
                    .id(n.to_string())
                    .message_body(&message.body)
                    .message_group_id(&message.group)
                    .message_deduplication_id(&message.deduplication_id)
                    .set_message_attributes(message.attributes()?)
                    .set_message_system_attributes(message.system_attributes())
                    .build()
            });
            let request = self.client.send_message_batch().queue_url(&self.url);
            let answer = batch_call!(request, entries);
            results.extend(entry_results(batch.len(), answer));
            rest = later;
        }
        results
    }

    /// Makes each message visible again after a time, rounded up to seconds.
    pub async fn set_visibility(&self, messages: &[(&str, Duration)]) -> Vec<Result<(), SqsError>> {
        let mut results = Vec::with_capacity(messages.len());
        for batch in messages.chunks(MAX_BATCH) {
            let entries = batch.iter().enumerate().map(|(n, (receipt, timeout))| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(n.to_string())
                    .receipt_handle(*receipt)
                    .visibility_timeout(whole_seconds(*timeout))
                    .build()
            });
            let request = self.client.change_message_visibility_batch();
            let request = request.queue_url(&self.url);
            let answer = batch_call!(request, entries);
            results.extend(entry_results(batch.len(), answer));
        }
        results
    }

    pub async fn delete(&self, receipts: &[&str]) -> Vec<Result<(), SqsError>> {
        let mut results = Vec::with_capacity(receipts.len());
        for batch in receipts.chunks(MAX_BATCH) {
            let entries = batch.iter().enumerate().map(|(n, receipt)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(n.to_string())
                    .receipt_handle(*receipt)
                    .build()
            });
            let request = self.client.delete_message_batch().queue_url(&self.url);
            let answer = batch_call!(request, entries);
            results.extend(entry_results(batch.len(), answer));
        }
        results
    }

    /// Receives up to [`MAX_BATCH`] messages and keeps them from other
    /// receivers for the visibility timeout.
    pub async fn receive(
        &self,
        visibility_timeout: Duration,
    ) -> Result<Vec<ReceivedMessage>, SqsError> {
        let system_attributes = [
            SystemAttribute::MessageGroupId,
            SystemAttribute::SentTimestamp,
            SystemAttribute::AwsTraceHeader,
        ];
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(MAX_BATCH).unwrap_or(i32::MAX))
            .visibility_timeout(whole_seconds(visibility_timeout))
            .wait_time_seconds(RECEIVE_WAIT)
            .set_message_system_attribute_names(Some(system_attributes.to_vec()))
            .message_attribute_names("All")
            // If an answer is lost, the client's next attempt gets it again. Without
            // this id, its messages and groups would be locked for a while.
            .receive_request_attempt_id(format!("{:032x}", fastrand::u128(..)))
            .send()
            .await
            .map_err(|error| SqsError::from_sdk(&error))?;
        let messages = answer.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(received).collect())
    }

    pub async fn depth(&self) -> Result<Depth, SqsError> {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let request = request.set_attribute_names(Some(counts.to_vec()));
        let answer = request.send().await;
        let answer = answer.map_err(|error| SqsError::from_sdk(&error))?;
        let numbers = counts.map(|name| answer.attributes()?.get(&name)?.parse().ok());
        // A missing number is not zero.
        let [Some(visible), Some(delayed), Some(in_flight)] = numbers else {
            return Err(SqsError::new("the answer lacks a number"));
        };
        Ok(Depth {
            visible,
            delayed,
            in_flight,
        })
    }
}

/// Uses the user's message group. SQS drops a second message of the same event.
impl From<&crate::message::Message> for OutgoingMessage {
    fn from(message: &crate::message::Message) -> Self {
        Self {
            body: message.to_json(),
            group: message.user.message_group(),
            deduplication_id: message.event_id.to_string(),
            attributes: Vec::new(),
            trace: None,
        }
    }
}

impl OutgoingMessage {
    /// In bytes as SQS counts: body, and names, types and values of attributes.
    fn size(&self) -> usize {
        let attributes = self.attributes.iter();
        let sizes = attributes.map(|(name, value)| name.len() + TEXT.len() + value.len());
        self.body.len() + sizes.sum::<usize>()
    }

    fn attributes(&self) -> Result<Option<HashMap<String, MessageAttributeValue>>, BuildError> {
        let attributes = self.attributes.iter().map(|(name, value)| {
            let attribute = MessageAttributeValue::builder().data_type(TEXT);
            Ok(((*name).to_owned(), attribute.string_value(value).build()?))
        });
        let attributes: HashMap<_, _> = attributes.collect::<Result<_, BuildError>>()?;
        Ok((!attributes.is_empty()).then_some(attributes))
    }

    fn system_attributes(
        &self,
    ) -> Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>> {
        let trace = MessageSystemAttributeValue::builder().data_type(TEXT);
        let trace = trace.string_value(self.trace.as_deref()?).build().ok()?;
        let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
        Some(HashMap::from([(name, trace)]))
    }
}

/// `None` without id or receipt, which SQS always sends.
fn received(message: Message) -> Option<ReceivedMessage> {
    let mut system = message.attributes.unwrap_or_default();
    let sent_at = system.remove(&SystemAttribute::SentTimestamp);
    let attributes = message.message_attributes.unwrap_or_default();
    let attributes = attributes.into_iter();
    Some(ReceivedMessage {
        id: message.message_id?,
        receipt: message.receipt_handle?,
        body: message.body.unwrap_or_default(),
        group: system.remove(&SystemAttribute::MessageGroupId),
        trace: system.remove(&SystemAttribute::AwsTraceHeader),
        sent_at: sent_at.and_then(|millis| Timestamp::from_millisecond(millis.parse().ok()?).ok()),
        attributes: attributes
            .filter_map(|(name, value)| Some((name, value.string_value?)))
            .collect(),
    })
}

/// How many messages of these sizes fit into one call: at least the first.
fn batch_len(sizes: impl IntoIterator<Item = usize>) -> usize {
    let mut bytes = 0_usize;
    let sizes = sizes.into_iter().take(MAX_BATCH).enumerate();
    let fit = sizes.take_while(|(index, size)| {
        bytes = bytes.saturating_add(*size);
        *index == 0 || bytes <= MAX_BATCH_BYTES
    });
    fit.count()
}

/// Rounds up: SQS counts whole seconds, and a message that returns in the last
/// second of a pause would only be deferred again.
fn whole_seconds(time: Duration) -> i32 {
    let rounded_up = u64::from(time.subsec_nanos() > 0);
    let seconds = time.as_secs().saturating_add(rounded_up);
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// The result of each entry. An entry counts as done only if SQS says so.
fn entry_results<E: Error + ProvideErrorMetadata>(
    count: usize,
    answer: Result<(Vec<String>, Vec<BatchResultErrorEntry>), E>,
) -> impl Iterator<Item = Result<(), SqsError>> {
    let answer = answer.map_err(|error| SqsError::from_sdk(&error));
    (0..count).map(move |n| {
        let (done, failed) = answer.as_ref().map_err(SqsError::clone)?;
        let id = n.to_string();
        if done.contains(&id) {
            return Ok(());
        }
        let failure = failed.iter().find(|entry| entry.id == id);
        let reason = failure.map_or("the answer does not name it", |entry| &entry.code);
        Err(SqsError::new(reason))
    })
}

/// How many entries failed, and why the first one failed.
pub fn failures(results: &[Result<(), SqsError>]) -> Option<(usize, &SqsError)> {
    let mut errors = results.iter().filter_map(|result| result.as_ref().err());
    let first = errors.next()?;
    Some((1 + errors.count(), first))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;
    use serde_json::{Value, json};

    use super::*;

    /// Records the calls; `Action` is the operation.
    #[derive(Debug, Clone, Default)]
    struct FakeSqs {
        calls: Arc<Mutex<Vec<Value>>>,
        /// By default every entry succeeds.
        answer: Option<(u16, Value)>,
    }

    impl FakeSqs {
        fn answering(status: u16, answer: &Value) -> Self {
            Self {
                answer: Some((status, answer.clone())),
                ..Self::default()
            }
        }

        fn queue(&self) -> SqsQueue {
            let connector = SharedHttpConnector::new(self.clone());
            let config = aws_sdk_sqs::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("eu-north-1"))
                .credentials_provider(Credentials::for_tests())
                .http_client(http_client_fn(move |_, _| connector.clone()))
                .build();
            SqsQueue::new(Client::from_conf(config), "https://queue")
        }

        fn calls(&self) -> Vec<Value> {
            self.calls.lock().unwrap().clone()
        }
    }

    impl HttpConnector for FakeSqs {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let target = request.headers().get("x-amz-target").unwrap();
            let action = target.strip_prefix("AmazonSQS.").unwrap().to_owned();
            let mut call: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let success = |entry: &Value| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "d"});
            let entries = call["Entries"].as_array().into_iter().flatten();
            let successful: Vec<_> = entries.map(success).collect();
            let all = (200, json!({"Successful": successful, "Failed": []}));
            let (status, answer) = self.answer.clone().unwrap_or(all);
            call["Action"] = action.into();
            self.calls.lock().unwrap().push(call);
            let body = SdkBody::from(answer.to_string());
            let status = status.try_into().unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body)))
        }
    }

    fn messages(count: usize, bytes: usize) -> Vec<OutgoingMessage> {
        let message = |n| OutgoingMessage {
            body: "x".repeat(bytes),
            group: format!("group-{n}"),
            deduplication_id: format!("dedup-{n}"),
            attributes: vec![("errorKind", "bug".to_owned())],
            trace: None,
        };
        (0..count).map(message).collect()
    }

    #[tokio::test]
    async fn batches_take_as_few_calls_as_sqs_allows() {
        let receipts = vec!["r"; 12];
        let changes = vec![("r", Duration::from_millis(1_001)); 12];
        struct Case {
            messages: Vec<OutgoingMessage>,
            entries: Vec<usize>,
        }
        let case = |messages, entries| Case { messages, entries };
        let cases = [
            case(messages(0, 0), vec![]),
            case(messages(1, 100), vec![1]),
            case(messages(10, 700), vec![10]),
            case(messages(12, 700), vec![10, 2]),
            case(messages(3, 150 * 1024), vec![1, 1, 1]),
            case(messages(4, 99 * 1024), vec![2, 2]),
        ];
        let entries = |sqs: &FakeSqs| {
            let calls = sqs.calls();
            assert!(calls.iter().all(|call| call["QueueUrl"] == "https://queue"));
            let entries = calls.iter().map(|call| call["Entries"].as_array().unwrap());
            entries.map(Vec::len).collect::<Vec<_>>()
        };
        for case in cases {
            let sqs = FakeSqs::default();
            let results = sqs.queue().send_all(&case.messages).await;
            assert_eq!(results, vec![Ok(()); case.messages.len()]);
            assert_eq!(entries(&sqs), case.entries);
        }
        let sqs = FakeSqs::default();
        assert_eq!(sqs.queue().delete(&receipts).await, [const { Ok(()) }; 12]);
        assert_eq!(entries(&sqs), [10, 2]);
        let sqs = FakeSqs::default();
        let changed = sqs.queue().set_visibility(&changes).await;
        assert_eq!(changed, [const { Ok(()) }; 12]);
        assert_eq!(entries(&sqs), [10, 2]);
        let change = json!({"Id": "0", "ReceiptHandle": "r", "VisibilityTimeout": 2});
        assert_eq!(sqs.calls()[0]["Entries"][0], change);
    }

    #[tokio::test]
    async fn sent_message_keeps_its_group_ids_attributes_and_trace() {
        let message = OutgoingMessage {
            body: "xxx".to_owned(),
            group: "group-a".to_owned(),
            deduplication_id: "dedup-a".to_owned(),
            attributes: vec![
                ("errorKind", "rejected_by_api".to_owned()),
                ("status", "422".to_owned()),
            ],
            trace: Some("Root=1-a".to_owned()),
        };
        let text = |value: &str| json!({"DataType": "String", "StringValue": value});
        let expected = json!({
            "MessageBody": "xxx",
            "MessageGroupId": "group-a",
            "MessageDeduplicationId": "dedup-a",
            "MessageAttributes": {"errorKind": text("rejected_by_api"), "status": text("422")},
            "MessageSystemAttributes": {"AWSTraceHeader": text("Root=1-a")},
        });
        let sqs = FakeSqs::default();
        let sent = sqs.queue().send_all(std::slice::from_ref(&message)).await;
        assert_eq!(sent, [Ok(())]);
        let mut entry = expected.clone();
        entry["Id"] = "0".into();
        assert_eq!(sqs.calls()[0]["Entries"], json!([entry]));

        let sqs = FakeSqs::answering(200, &json!({"MessageId": "m"}));
        sqs.queue().send(&message).await.unwrap();
        let mut call = expected;
        call["QueueUrl"] = "https://queue".into();
        call["Action"] = "SendMessage".into();
        assert_eq!(sqs.calls(), [call]);
    }

    #[tokio::test]
    async fn entry_counts_as_done_only_if_sqs_names_it() {
        let done = |id: &str| json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": "d"});
        let failed = |id: &str| json!({"Id": id, "Code": "InternalError", "SenderFault": false});
        let error = |reason: &str| Err(SqsError::new(reason));
        struct Case {
            status: u16,
            answer: Value,
            results: [Result<(), SqsError>; 3],
        }
        let cases = [
            Case {
                status: 200,
                answer: json!({"Successful": [done("2"), done("0")], "Failed": [failed("1")]}),
                results: [Ok(()), error("InternalError"), Ok(())],
            },
            Case {
                status: 200,
                answer: json!({"Successful": [done("0"), done("x"), done("3")], "Failed": [failed("7")]}),
                results: [
                    Ok(()),
                    error("the answer does not name it"),
                    error("the answer does not name it"),
                ],
            },
            Case {
                status: 400,
                answer: json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "none"}),
                results: [(); 3].map(|()| error("QueueDoesNotExist")),
            },
        ];
        for case in cases {
            let sqs = FakeSqs::answering(case.status, &case.answer);
            let sent = sqs.queue().send_all(&messages(3, 10)).await;
            assert_eq!(sent, case.results, "{}", case.answer);
            let deleted = sqs.queue().delete(&["a", "b", "c"]).await;
            assert_eq!(deleted, case.results, "{}", case.answer);
        }
    }

    #[tokio::test]
    async fn received_messages_carry_what_was_sent() {
        let message = json!({
            "MessageId": "m", "ReceiptHandle": "r", "Body": "xxx",
            "Attributes": {
                "MessageGroupId": "g", "SentTimestamp": "1800000000000", "AWSTraceHeader": "Root=1-a",
            },
            "MessageAttributes": {"errorKind": {"DataType": "String", "StringValue": "bug"}},
        });
        let bare = json!({"MessageId": "m2", "ReceiptHandle": "r2"});
        let sqs = FakeSqs::answering(200, &json!({"Messages": [message, {"Body": "x"}, bare]}));
        let received = sqs.queue().receive(Duration::from_millis(30_500)).await;
        let expected = ReceivedMessage {
            id: "m".to_owned(),
            receipt: "r".to_owned(),
            body: "xxx".to_owned(),
            group: Some("g".to_owned()),
            trace: Some("Root=1-a".to_owned()),
            sent_at: Some(Timestamp::constant(1_800_000_000, 0)),
            attributes: HashMap::from([("errorKind".to_owned(), "bug".to_owned())]),
        };
        let bare = ReceivedMessage {
            id: "m2".to_owned(),
            receipt: "r2".to_owned(),
            body: String::new(),
            group: None,
            trace: None,
            sent_at: None,
            attributes: HashMap::new(),
        };
        assert_eq!(received, Ok(vec![expected, bare]));
        let call = &sqs.calls()[0];
        assert_eq!(call["VisibilityTimeout"], 31);
        let attempt = call["ReceiveRequestAttemptId"].as_str().unwrap();
        assert_eq!(attempt.len(), 32);
    }

    #[tokio::test]
    async fn missing_count_is_an_error_and_not_zero() {
        let numbers = json!({
            "ApproximateNumberOfMessages": "1",
            "ApproximateNumberOfMessagesDelayed": "2",
            "ApproximateNumberOfMessagesNotVisible": "3",
        });
        let depth = async |numbers: &Value| {
            let sqs = FakeSqs::answering(200, &json!({ "Attributes": numbers }));
            sqs.queue().depth().await.map(Depth::total)
        };
        assert_eq!(depth(&numbers).await, Ok(6));
        for name in numbers.as_object().unwrap().keys() {
            let mut incomplete = numbers.clone();
            incomplete.as_object_mut().unwrap().remove(name);
            let error = SqsError::new("the answer lacks a number");
            assert_eq!(depth(&incomplete).await, Err(error), "{name}");
        }
    }

    #[test]
    fn batch_fits_what_sqs_takes_and_is_never_empty() {
        struct Case {
            sizes: Vec<usize>,
            fit: usize,
        }
        let case = |sizes, fit| Case { sizes, fit };
        for case in [
            case(vec![], 0),
            case(vec![1; 12], 10),
            case(vec![MAX_BATCH_BYTES, 1], 1),
            case(vec![MAX_BATCH_BYTES + 1, 1], 1),
            case(vec![MAX_BATCH_BYTES / 2, MAX_BATCH_BYTES / 2, 1], 2),
            case(vec![usize::MAX, usize::MAX], 1),
        ] {
            assert_eq!(batch_len(case.sizes.clone()), case.fit, "{:?}", case.sizes);
        }
    }

    #[test]
    fn times_are_rounded_up_to_whole_seconds() {
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
