//! The state of every connector: what waits, and what failed why.
//!
//! SQS's numbers are approximate. Of the dead-letter messages a bounded sample is
//! received, kept in flight until the sample is complete so that each receive
//! brings others, and then made visible at once. Because the queue is FIFO, a user
//! with many messages shows the first ten.
//!
//! The age of the oldest waiting message is left out. SQS has it only as a
//! CloudWatch metric, and receiving messages to find it would keep them from the
//! connector and miss the oldest, which are in flight.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::consumer::attribute;
use shared::identity::VendorId;
use shared::request::ErrorAnswer;
use shared::sqs::{Depth, MAX_BATCH, SqsQueue, failures};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::connectors::ConnectorQueues;
use crate::dead_letters::{DeadLetter, receive};
use crate::deadline::Deadline;
use crate::handler::Operator;
use crate::unavailable::Unavailable;

/// Receives per connector, which bring 100 messages at most.
const MAX_RECEIVES: usize = 10;

/// The time for the sample of one connector.
const MAX_SAMPLE_TIME: Duration = Duration::from_secs(8);

/// If the function crashes, the sample is visible again after this. Longer than
/// [`MAX_SAMPLE_TIME`] and a call begun at its end.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(15);

/// Per vendor and kind of error.
const MAX_SAMPLES: usize = 3;

/// Cuts foreign attributes only: this system's own messages are shorter.
const MAX_CHARACTERS: usize = 500;

impl Operator {
    pub(crate) async fn status(&self, deadline: Deadline) -> Value {
        let connectors = self.connectors.iter().map(async |(name, queues)| {
            let status = connector_status(queues, deadline).await;
            let status = status.unwrap_or_else(|error| {
                warn!(connector = name, %error, "A connector's queues do not answer.");
                json!({ "error": ErrorAnswer::from(error) })
            });
            (name, status)
        });
        let connectors = join_all(connectors).await;
        json!({
            "action": "status",
            "connectors": connectors.into_iter().collect::<BTreeMap<_, _>>(),
            "notes": [
                "SQS counts approximately; its numbers may lag by a minute.",
                "The age of the oldest waiting message is in CloudWatch: metric ApproximateAgeOfOldestMessage of AWS/SQS. Its alarm rings from 15 minutes.",
            ],
        })
    }
}

async fn connector_status(
    queues: &ConnectorQueues,
    deadline: Deadline,
) -> Result<Value, Unavailable> {
    let unknown = Unavailable::queue("asking how many messages a queue holds");
    let queue = queues.queue.depth().await.map_err(&unknown)?;
    let depth = queues.dead_letter_queue.depth().await.map_err(&unknown)?;
    let messages = match depth.total() {
        0 => Vec::new(),
        _ => sample(&queues.dead_letter_queue, deadline).await?,
    };
    Ok(json!({
        "queue": {
            "waiting": queue.visible,
            "delayed": queue.delayed,
            "inFlight": queue.in_flight,
        },
        "deadLetters": dead_letter_status(depth, messages),
    }))
}

/// Receives a sample of the dead-letter messages and makes them visible again.
async fn sample(queue: &SqsQueue, deadline: Deadline) -> Result<Vec<DeadLetter>, Unavailable> {
    let until = deadline.work.min(Instant::now() + MAX_SAMPLE_TIME);
    let mut messages = Vec::new();
    for _ in 0..MAX_RECEIVES {
        let more = receive(queue, VISIBILITY_TIMEOUT).await?;
        let was_empty = more.is_empty();
        messages.extend(more);
        if was_empty || Instant::now() >= until {
            break;
        }
    }
    let receipts = messages.iter().map(DeadLetter::receipt);
    let now: Vec<_> = receipts.map(|receipt| (receipt, Duration::ZERO)).collect();
    let results = timeout_at(deadline.end, queue.set_visibility(&now)).await;
    if results.is_err() || results.is_ok_and(|results| failures(&results).is_some()) {
        warn!("Not all dead-letter messages were made visible at once; their timeout does it.");
    }
    Ok(messages)
}

fn dead_letter_status(depth: Depth, messages: Vec<DeadLetter>) -> Value {
    let looked_at = messages.len();
    // A full sample may have left some, whatever SQS counted.
    let full = looked_at == MAX_RECEIVES * MAX_BATCH;
    let times = messages.iter();
    let times = times.filter_map(|one| died_at(one).or(one.received.sent_at));
    let oldest = times.min();
    let mut groups: BTreeMap<(String, Option<VendorId>), Vec<DeadLetter>> = BTreeMap::new();
    for dead_letter in messages {
        let vendor_id = dead_letter.message.as_ref().map(|m| &m.user.vendor_id);
        let group = (shortened(dead_letter.error_kind()), vendor_id.cloned());
        groups.entry(group).or_default().push(dead_letter);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, messages)| Reverse(messages.len()));
    let groups = groups.iter().map(|((error_kind, vendor_id), messages)| {
        json!({
            "errorKind": error_kind,
            // `null` if the body is not a message.
            "vendorId": vendor_id,
            "count": messages.len(),
            "samples": messages.iter().take(MAX_SAMPLES).map(shown).collect::<Vec<_>>(),
        })
    });
    json!({
        "total": depth.total(),
        // Received by others when this run began, such as a redrive under way.
        "inFlight": depth.in_flight,
        "lookedAt": looked_at,
        // Whether the groups count all messages.
        "complete": !full && looked_at as u64 >= depth.total(),
        "oldest": oldest,
        "groups": groups.collect::<Vec<_>>(),
    })
}

/// A body that is not a message may hold anything, so it is never shown.
fn shown(dead_letter: &DeadLetter) -> Value {
    let message = dead_letter.message.as_ref();
    json!({
        "messageId": dead_letter.received.id,
        "eventId": message.map(|m| &m.event_id),
        "userId": message.map(|m| &m.user.user_id),
        "status": dead_letter.attribute(attribute::STATUS).map(shortened),
        "message": dead_letter.attribute(attribute::MESSAGE).map(shortened),
        "diedAt": died_at(dead_letter),
        "sentAt": dead_letter.received.sent_at,
    })
}

/// When the consumer gave it up; unknown for messages that SQS moved itself.
fn died_at(dead_letter: &DeadLetter) -> Option<Timestamp> {
    dead_letter.attribute(attribute::DIED_AT)?.parse().ok()
}

fn shortened(text: &str) -> String {
    let mut shortened: String = text.chars().take(MAX_CHARACTERS).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    shortened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!(shortened(&"å".repeat(500)), "å".repeat(500));
        assert_eq!(shortened(&"å".repeat(501)), "å".repeat(500) + "…");
    }
}
