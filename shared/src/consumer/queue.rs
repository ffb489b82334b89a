//! What a consumer asks of its queue: to hide a message for a while, and to
//! take a dead letter. Receiving and deleting are Lambda's.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};
use thiserror::Error;
use tracing::warn;

use crate::aws::reason;

/// A connector's queue and its dead-letter queue.
pub trait Queue: Send + Sync + 'static {
    /// Hides each message for so long. Best effort: a message that could not be
    /// hidden comes back when its visibility timeout ends.
    fn hide(&self, messages: Vec<(String, Duration)>) -> impl Future<Output = ()> + Send;

    /// Sends a letter to the dead-letter queue.
    ///
    /// # Errors
    /// [`QueueError`] where the queue did not take it. The message must then stay.
    fn bury(&self, letter: Letter) -> impl Future<Output = Result<(), QueueError>> + Send;
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
pub struct Letter {
    /// The body as it was queued.
    pub body: String,
    /// The FIFO group it was queued in.
    pub group: String,
    /// An id of its own: a letter that comes back a second time must not be
    /// taken for its first time.
    pub deduplication_id: String,
    /// Attributes by name: why it is here. No personal data.
    pub attributes: Vec<(&'static str, String)>,
    /// X-Ray's trace header, where there is one.
    pub trace: Option<String>,
}

/// The queue did not take a message.
#[derive(Debug, Error)]
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

/// How many messages one call to SQS changes at most (documented).
const BATCH: usize = 10;

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
        for chunk in messages.chunks(BATCH) {
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
            let failed = match &changed {
                Ok(answer) => answer.failed().len(),
                Err(_) => chunk.len(),
            };
            if failed > 0 {
                let error = changed
                    .err()
                    .map(|error| reason(&error))
                    .unwrap_or_default();
                warn!(
                    failed,
                    error,
                    "Messages could not be hidden; they come back with the queue's own timeout."
                );
            }
        }
    }

    async fn bury(&self, letter: Letter) -> Result<(), QueueError> {
        let mut request = self
            .client
            .send_message()
            .queue_url(&self.dead_letter_queue_url)
            .message_body(letter.body)
            .message_group_id(letter.group)
            .message_deduplication_id(letter.deduplication_id);
        for (name, value) in letter.attributes {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
                .map_err(|error| QueueError(error.to_string()))?;
            request = request.message_attributes(name, value);
        }
        if let Some(trace) = letter.trace {
            request = request.set_message_system_attributes(trace_attribute(&trace));
        }
        request
            .send()
            .await
            .map(|_| ())
            .map_err(|error| QueueError(reason(&error)))
    }
}

/// X-Ray's trace header as a system attribute of a message, so that the trace goes on.
fn trace_attribute(
    trace: &str,
) -> Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>> {
    let value = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(trace)
        .build()
        .ok()?;
    let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
    Some(HashMap::from([(name, value)]))
}

#[cfg(test)]
mod tests {
    use super::*;

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
