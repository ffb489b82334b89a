//! The queue operations that the consumer needs. Lambda itself receives messages
//! and deletes those that are done.

use std::time::Duration;

use tracing::warn;

use crate::sqs::{OutgoingMessage, SqsError, SqsQueue, failures};

/// A connector's queue and its dead-letter queue.
pub trait Queue: Send + Sync + 'static {
    /// Sets the visibility timeout of messages by their receipts. Best effort:
    /// on failure a message returns with the queue's own timeout.
    fn set_visibility(&self, messages: Vec<(String, Duration)>) -> impl Future<Output = ()> + Send;

    /// Deletes finished messages by their receipts before Lambda does. Best
    /// effort: on failure Lambda deletes them, or they return. Assumed: Lambda
    /// accepts that a message is already deleted.
    fn delete(&self, receipts: Vec<String>) -> impl Future<Output = ()> + Send;

    /// The results are in the order of the messages. A message that failed
    /// must stay in the queue.
    fn send_dead_letters(
        &self,
        messages: Vec<OutgoingMessage>,
    ) -> impl Future<Output = Vec<Result<(), SqsError>>> + Send;
}

/// The attributes of a dead-letter message, which operators and tools read.
pub mod attribute {
    pub const CONNECTOR: &str = "connector";
    /// See [`DeadLetterKind::name`](crate::connector::DeadLetterKind::name).
    pub const ERROR_KIND: &str = "errorKind";
    pub const STATUS: &str = "status";
    pub const MESSAGE: &str = "message";
    pub const DIED_AT: &str = "diedAt";
}

#[derive(Debug, Clone)]
pub struct SqsQueues {
    pub queue: SqsQueue,
    pub dead_letter_queue: SqsQueue,
}

impl Queue for SqsQueues {
    async fn set_visibility(&self, messages: Vec<(String, Duration)>) {
        let messages = messages.iter().map(|(receipt, wait)| (&**receipt, *wait));
        let messages: Vec<_> = messages.collect();
        let results = self.queue.set_visibility(&messages).await;
        if let Some((failed, error)) = failures(&results) {
            warn!(failed, %error, "Messages could not be hidden; they come back with the queue's own timeout.");
        }
    }

    async fn delete(&self, receipts: Vec<String>) {
        let receipts: Vec<_> = receipts.iter().map(String::as_str).collect();
        let results = self.queue.delete(&receipts).await;
        if let Some((failed, error)) = failures(&results) {
            warn!(failed, %error, "Messages that are done could not be deleted early.");
        }
    }

    async fn send_dead_letters(&self, messages: Vec<OutgoingMessage>) -> Vec<Result<(), SqsError>> {
        self.dead_letter_queue.send_all(&messages).await
    }
}
