//! A connector's queue and dead-letter queue, as far as the commands need them.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use shared::connector::DeadLetterKind;
use shared::message::Message;
use shared::request::ErrorAnswer;
use shared::sqs::{Depth, OutgoingMessage, SqsError};
use thiserror::Error;

/// Both queues are FIFO: while one message of a group is in flight, SQS hands
/// out none of the later ones.
pub trait ConnectorQueues: Send + Sync + 'static {
    fn queue_depth(&self) -> impl Future<Output = Result<Depth, Unavailable>> + Send;

    fn dead_letter_depth(&self) -> impl Future<Output = Result<Depth, Unavailable>> + Send;

    /// Receives up to [`MAX_BATCH`](shared::sqs::MAX_BATCH) dead-letter messages.
    fn receive(
        &self,
        visibility_timeout: Duration,
    ) -> impl Future<Output = Result<Vec<ReceivedDeadLetter>, Unavailable>> + Send;

    /// Makes any number of dead-letter messages visible at once. Best effort:
    /// where it fails, they become visible when their timeout ends.
    fn make_visible(&self, receipts: &[Receipt]) -> impl Future<Output = ()> + Send;

    /// Sends up to [`MAX_BATCH`](shared::sqs::MAX_BATCH) messages to the connector's queue. Returns a
    /// result for each.
    fn send(
        &self,
        messages: &[OutgoingMessage],
    ) -> impl Future<Output = Vec<Result<(), SqsError>>> + Send;

    /// Deletes up to [`MAX_BATCH`](shared::sqs::MAX_BATCH) dead-letter messages. Returns a result for each.
    fn delete(
        &self,
        receipts: &[Receipt],
    ) -> impl Future<Output = Vec<Result<(), SqsError>>> + Send;
}

/// A call to AWS failed. Holds no content of any message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{what} failed: {reason}; check that it exists and that the role of OperatorFunction may use it, then try again"
)]
pub struct Unavailable {
    pub what: &'static str,
    /// AWS's code, or the chain of causes.
    pub reason: String,
}

impl From<Unavailable> for ErrorAnswer {
    fn from(unavailable: Unavailable) -> Self {
        Self::new("queue_unavailable", unavailable.to_string())
    }
}

/// SQS's receipt handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedDeadLetter {
    /// SQS's message id, the same at each receive.
    pub id: String,
    pub receipt: Receipt,
    /// The FIFO group, one per user.
    pub group: String,
    pub body: String,
    pub trace: Option<String>,
    /// When it came into the dead-letter queue.
    pub sent_at: Option<Timestamp>,
    pub error_kind: ErrorKind,
    /// The HTTP status, where an API answered.
    pub error_status: Option<String>,
    pub error_message: Option<String>,
    /// When the consumer gave the message up.
    pub died_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ErrorKind(String);

impl ErrorKind {
    /// For messages that SQS moved itself after too many receives. They have
    /// none of the consumer's attributes.
    const EXHAUSTED: &str = "exhausted";

    /// Cuts foreign attributes only: this system's own kinds are shorter.
    const MAX_CHARACTERS: usize = 64;

    pub fn of_attribute(attribute: Option<&str>) -> Self {
        let kind = attribute.unwrap_or(Self::EXHAUSTED);
        Self(kind.chars().take(Self::MAX_CHARACTERS).collect())
    }

    fn known() -> impl Iterator<Item = &'static str> {
        let kinds = DeadLetterKind::ALL.into_iter().map(DeadLetterKind::name);
        kinds.chain([Self::EXHAUSTED])
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not an error kind; known are: {known}", known = ErrorKind::known().collect::<Vec<_>>().join(", "))]
pub struct UnknownErrorKind(String);

impl TryFrom<String> for ErrorKind {
    type Error = UnknownErrorKind;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if Self::known().any(|known| known == name) {
            Ok(Self(name))
        } else {
            Err(UnknownErrorKind(name))
        }
    }
}

impl ReceivedDeadLetter {
    pub fn message(&self) -> Option<Message> {
        Message::from_json(&self.body).ok()
    }

    /// The message as it was queued first, without the attributes that were
    /// added when the consumer gave it up.
    pub fn redriven(&self) -> OutgoingMessage {
        OutgoingMessage {
            body: self.body.clone(),
            group: self.group.clone(),
            // If the function crashes before it deletes the dead-letter message, the
            // next redrive sends the same id, which SQS drops for five minutes. A
            // message that fails again gets another id, so it is not dropped.
            deduplication_id: format!("redrive-{}", self.id),
            attributes: Vec::new(),
            trace: self.trace.clone(),
        }
    }
}
