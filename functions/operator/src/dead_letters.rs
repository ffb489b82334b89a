//! A connector's dead-letter messages.

use std::time::Duration;

use shared::connector::DeadLetterKind;
use shared::consumer::attribute;
use shared::message::Message;
use shared::sqs::{OutgoingMessage, ReceivedMessage, SqsQueue};

use crate::unavailable::Unavailable;

/// The kind of messages that SQS moved itself after too many receives. They have none of
/// the consumer's attributes.
const EXHAUSTED: &str = "exhausted";

pub fn error_kinds() -> impl Iterator<Item = &'static str> {
    let kinds = DeadLetterKind::ALL.into_iter().map(DeadLetterKind::name);
    kinds.chain([EXHAUSTED])
}

#[derive(Debug)]
pub struct DeadLetter {
    pub received: ReceivedMessage,
    /// `None` if the body is not a message.
    pub message: Option<Message>,
}

/// Receives some dead-letter messages, and keeps them from others for the time.
pub async fn receive(
    queue: &SqsQueue,
    visibility_timeout: Duration,
) -> Result<Vec<DeadLetter>, Unavailable> {
    let received = queue.receive(visibility_timeout).await;
    let received = received.map_err(Unavailable::queue("receiving dead-letter messages"))?;
    let dead_letters = received.into_iter().map(|received| DeadLetter {
        message: Message::from_json(&received.body).ok(),
        received,
    });
    Ok(dead_letters.collect())
}

impl DeadLetter {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.received.attributes.get(name).map(String::as_str)
    }

    /// May be a foreign text.
    pub fn error_kind(&self) -> &str {
        self.attribute(attribute::ERROR_KIND).unwrap_or(EXHAUSTED)
    }

    pub fn receipt(&self) -> &str {
        &self.received.receipt
    }

    /// The FIFO group, one per user.
    pub fn group(&self) -> &str {
        let group = self.received.group.as_ref();
        group.unwrap_or(&self.received.id)
    }

    /// The message as it was queued first, without the attributes that were
    /// added when the consumer gave it up.
    pub fn redriven(&self) -> OutgoingMessage {
        OutgoingMessage {
            body: self.received.body.clone(),
            group: self.group().to_owned(),
            // If the function crashes before it deletes the dead-letter message, the
            // next redrive sends the same id, which SQS drops for five minutes. A
            // message that fails again gets another id, so it is not dropped.
            deduplication_id: format!("redrive-{}", self.received.id),
            attributes: Vec::new(),
            trace: self.received.trace.clone(),
        }
    }
}
