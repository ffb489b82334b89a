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

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::{join, join_all};
use jiff::Timestamp;
use serde::Serialize;
use shared::request::ErrorAnswer;
use shared::sqs::{Depth, MAX_BATCH};
use tokio::time::Instant;
use tracing::warn;

use crate::connectors::Connectors;
use crate::dead_letters::{ConnectorQueues, Receipt, ReceivedDeadLetter, Unavailable};
use crate::deadline::Deadline;
use crate::resync::{Platform, Resyncs, RunProgress};

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

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StackStatus {
    action: &'static str,
    /// By name.
    connectors: BTreeMap<String, OrError<ConnectorStatus>>,
    /// By vendor, including runs that ended.
    resyncs: OrError<BTreeMap<String, RunProgress>>,
    notes: [&'static str; 2],
}

/// A part of the status, or why it could not be read.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum OrError<T> {
    Known(T),
    Unknown { error: ErrorAnswer },
}

impl<T, E: Into<ErrorAnswer>> From<Result<T, E>> for OrError<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::Unknown {
                error: error.into(),
            },
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectorStatus {
    queue: QueueStatus,
    dead_letters: DeadLetterStatus,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueStatus {
    waiting: u64,
    delayed: u64,
    in_flight: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetterStatus {
    total: u64,
    /// Received by others when this run began, such as a redrive under way.
    in_flight: u64,
    looked_at: usize,
    /// Whether the groups count all messages.
    complete: bool,
    /// When the oldest message looked at was given up, or else sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<Timestamp>,
    groups: Vec<ErrorGroup>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorGroup {
    error_kind: String,
    /// `None` if the body is not a message.
    vendor_id: Option<String>,
    count: usize,
    samples: Vec<DeadLetterSample>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetterSample {
    message_id: String,
    event_id: Option<String>,
    user_id: Option<String>,
    status: Option<String>,
    message: Option<String>,
    /// When the consumer gave it up; unknown for messages that SQS moved itself.
    died_at: Option<Timestamp>,
    sent_at: Option<Timestamp>,
}

pub async fn run<Q: ConnectorQueues, P: Platform>(
    connectors: &Connectors<Q>,
    resyncs: &Resyncs<'_, Q, P>,
    deadline: Deadline,
) -> StackStatus {
    let connectors = connectors.iter().map(async |connector| {
        let name = connector.name.to_string();
        let status = connector_status(&connector.queues, deadline).await;
        if let Err(error) = &status {
            warn!(connector = name, %error, "A connector's queues do not answer.");
        }
        (name, status.into())
    });
    let (connectors, resyncs) = join(join_all(connectors), resyncs.runs()).await;
    StackStatus {
        action: "status",
        connectors: connectors.into_iter().collect(),
        resyncs: resyncs.into(),
        notes: [
            "SQS counts approximately; its numbers may lag by a minute.",
            "The age of the oldest waiting message is in CloudWatch: metric ApproximateAgeOfOldestMessage of AWS/SQS. Its alarm rings from 15 minutes.",
        ],
    }
}

async fn connector_status<Q: ConnectorQueues>(
    queues: &Q,
    deadline: Deadline,
) -> Result<ConnectorStatus, Unavailable> {
    let queue = queues.queue_depth().await?;
    let depth = queues.dead_letter_depth().await?;
    let (messages, error) = if depth.total() == 0 {
        (Vec::new(), None)
    } else {
        sample(queues, deadline).await
    };
    Ok(ConnectorStatus {
        queue: QueueStatus {
            waiting: queue.visible,
            delayed: queue.delayed,
            in_flight: queue.in_flight,
        },
        dead_letters: dead_letter_status(depth, messages, error),
    })
}

/// Receives a sample of the dead-letter messages and makes them visible again.
async fn sample<Q: ConnectorQueues>(
    queues: &Q,
    deadline: Deadline,
) -> (Vec<ReceivedDeadLetter>, Option<Unavailable>) {
    let until = deadline.work.min(Instant::now() + MAX_SAMPLE_TIME);
    let mut messages: Vec<ReceivedDeadLetter> = Vec::new();
    let mut error = None;
    for _ in 0..MAX_RECEIVES {
        if Instant::now() >= until {
            break;
        }
        match queues.receive(VISIBILITY_TIMEOUT).await {
            Ok(more) if more.is_empty() => break,
            Ok(more) => messages.extend(more),
            Err(unavailable) => {
                error = Some(unavailable);
                break;
            }
        }
    }
    let receipts: Vec<Receipt> = messages.iter().map(|one| one.receipt.clone()).collect();
    let made_visible = queues.make_visible(&receipts);
    if tokio::time::timeout_at(deadline.end, made_visible)
        .await
        .is_err()
    {
        warn!("There was no time to make all dead-letter messages visible; their timeout does.");
    }
    (messages, error)
}

fn dead_letter_status(
    depth: Depth,
    messages: Vec<ReceivedDeadLetter>,
    error: Option<Unavailable>,
) -> DeadLetterStatus {
    let looked_at = messages.len();
    let times = messages
        .iter()
        .filter_map(|one| one.died_at.or(one.sent_at));
    let oldest = times.min();
    let mut groups: BTreeMap<(String, Option<String>), ErrorGroup> = BTreeMap::new();
    for dead_letter in messages {
        let message = dead_letter.message();
        let vendor_id = message.as_ref().map(|m| m.user.vendor_id.to_string());
        let error_kind = dead_letter.error_kind.as_str().to_owned();
        let group = groups
            .entry((error_kind.clone(), vendor_id.clone()))
            .or_insert_with(|| ErrorGroup {
                error_kind,
                vendor_id,
                count: 0,
                samples: Vec::new(),
            });
        group.count += 1;
        if group.samples.len() < MAX_SAMPLES {
            group.samples.push(DeadLetterSample {
                message_id: dead_letter.id,
                event_id: message.as_ref().map(|m| m.event_id.to_string()),
                user_id: message.map(|m| m.user.user_id.to_string()),
                status: dead_letter.error_status.map(shortened),
                message: dead_letter.error_message.map(shortened),
                died_at: dead_letter.died_at,
                sent_at: dead_letter.sent_at,
            });
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    // A full sample may have left some, whatever SQS counted.
    let full = looked_at == MAX_RECEIVES * MAX_BATCH;
    DeadLetterStatus {
        total: depth.total(),
        in_flight: depth.in_flight,
        looked_at,
        complete: error.is_none() && !full && looked_at as u64 >= depth.total(),
        oldest,
        groups,
        error: error.map(ErrorAnswer::from),
    }
}

fn shortened(text: String) -> String {
    if text.chars().count() <= MAX_CHARACTERS {
        return text;
    }
    text.chars().take(MAX_CHARACTERS).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!(shortened("å".repeat(500)), "å".repeat(500));
        assert_eq!(shortened("å".repeat(501)), "å".repeat(500) + "…");
    }
}
