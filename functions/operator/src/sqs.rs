//! A connector's queues at Amazon SQS.

use std::time::Duration;

use aws_sdk_sqs::Client;
use shared::consumer::attribute;
use shared::sqs::{Depth, OutgoingMessage, ReceivedMessage, SqsError, SqsQueue, failures};
use tracing::warn;

use crate::dead_letters::{ConnectorQueues, ErrorKind, Receipt, ReceivedDeadLetter, Unavailable};

#[derive(Debug, Clone)]
pub struct SqsConnectorQueues {
    queue: SqsQueue,
    dead_letter_queue: SqsQueue,
}

impl SqsConnectorQueues {
    pub fn new(client: Client, queue_url: String, dead_letter_queue_url: String) -> Self {
        Self {
            queue: SqsQueue::new(client.clone(), queue_url),
            dead_letter_queue: SqsQueue::new(client, dead_letter_queue_url),
        }
    }
}

impl ConnectorQueues for SqsConnectorQueues {
    async fn queue_depth(&self) -> Result<Depth, Unavailable> {
        self.queue.depth().await.map_err(unknown_depth)
    }

    async fn dead_letter_depth(&self) -> Result<Depth, Unavailable> {
        self.dead_letter_queue.depth().await.map_err(unknown_depth)
    }

    async fn receive(
        &self,
        visibility_timeout: Duration,
    ) -> Result<Vec<ReceivedDeadLetter>, Unavailable> {
        let messages = self.dead_letter_queue.receive(visibility_timeout).await;
        let messages = messages.map_err(unavailable("receiving dead-letter messages"))?;
        Ok(messages.into_iter().map(dead_letter).collect())
    }

    async fn make_visible(&self, receipts: &[Receipt]) {
        let now = receipts.iter().map(|receipt| (&*receipt.0, Duration::ZERO));
        let now: Vec<_> = now.collect();
        let results = self.dead_letter_queue.set_visibility(&now).await;
        if let Some((hidden, reason)) = failures(&results) {
            warn!(
                hidden,
                %reason,
                "Dead-letter messages could not be made visible at once; they are within a minute."
            );
        }
    }

    async fn send(&self, messages: &[OutgoingMessage]) -> Vec<Result<(), SqsError>> {
        self.queue.send_all(messages).await
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Result<(), SqsError>> {
        let receipts: Vec<_> = receipts.iter().map(|receipt| &*receipt.0).collect();
        self.dead_letter_queue.delete(&receipts).await
    }
}

fn unavailable(what: &'static str) -> impl Fn(SqsError) -> Unavailable {
    move |error| Unavailable {
        what,
        reason: error.to_string(),
    }
}

fn unknown_depth(error: SqsError) -> Unavailable {
    unavailable("asking how many messages a queue holds")(error)
}

fn dead_letter(mut message: ReceivedMessage) -> ReceivedDeadLetter {
    let mut attribute = |name: &str| message.attributes.remove(name);
    ReceivedDeadLetter {
        error_kind: ErrorKind::of_attribute(attribute(attribute::ERROR_KIND).as_deref()),
        error_status: attribute(attribute::STATUS),
        error_message: attribute(attribute::MESSAGE),
        died_at: attribute(attribute::DIED_AT).and_then(|time| time.parse().ok()),
        group: message.group.unwrap_or_else(|| message.id.clone()),
        id: message.id,
        receipt: Receipt(message.receipt),
        body: message.body,
        trace: message.trace,
        sent_at: message.sent_at,
    }
}
