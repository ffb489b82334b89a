//! Settles records with SQS: done, retried, or moved to the dead-letter queue.

use std::time::Duration;

use aws_lambda_events::sqs::BatchItemFailure;
use jiff::Timestamp;
use tracing::error;

use super::batch::Record;
use super::metrics::SyncMetrics;
use super::queue::{Queue, attribute};
use super::retry::{RetryReason, delay};
use crate::connector::{Connector, DeadLetterReason};
use crate::digest::digest;
use crate::sqs::{OutgoingMessage, SqsError};

/// The part of an invocation's time that is kept for settling: two calls to the user
/// table, and two to SQS, one to the dead-letter queue and one to change
/// visibility timeouts.
pub(super) const RESERVE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) enum Disposition {
    Done,
    Retry(RetryReason),
    DeadLetter(DeadLetterReason),
}

#[derive(Default)]
pub(super) struct Settled {
    /// Receipts of the records that are done.
    pub done: Vec<String>,
    /// The records that Lambda must not delete.
    pub failures: Vec<BatchItemFailure>,
}

pub(super) async fn settle<C: Connector>(
    queue: &impl Queue,
    metrics: &SyncMetrics,
    dispositions: Vec<(Record, Disposition)>,
    now: Timestamp,
) -> Settled {
    if dispositions.is_empty() {
        return Settled::default();
    }
    let (mut done, mut retried) = (Vec::new(), Vec::new());
    let (mut dead, mut messages) = (Vec::new(), Vec::new());
    for (record, disposition) in dispositions {
        match disposition {
            Disposition::Done => done.push(record.receipt_handle),
            Disposition::Retry(reason) => retried.push((record, reason)),
            Disposition::DeadLetter(reason) => {
                messages.push(dead_letter_message::<C>(&record, &reason, now));
                dead.push(record);
            }
        }
    }
    let mut sent = queue.send_dead_letters(messages).await.into_iter();
    for record in dead {
        let missing = || Err(SqsError::new("there is no result for it"));
        if let Err(error) = sent.next().unwrap_or_else(missing) {
            // Not lost: it stays in the queue and is retried.
            error!(connector = C::NAME, message_id = record.message_id, %error, "A dead-letter message could not be moved.");
            retried.push((record, RetryReason::Transient));
        } else {
            done.push(record.receipt_handle);
        }
    }
    let waits = retried
        .iter()
        .map(|(record, reason)| {
            metrics.record_retry(record.age(now));
            let wait = delay(*reason, record.age(now), fastrand::f64());
            (record.receipt_handle.clone(), wait)
        })
        .collect();
    queue.set_visibility(waits).await;
    let failures = retried.into_iter().map(|(record, _)| {
        let mut failure = BatchItemFailure::default();
        failure.item_identifier = record.message_id;
        failure
    });
    Settled {
        done,
        failures: failures.collect(),
    }
}

fn dead_letter_message<C: Connector>(
    record: &Record,
    reason: &DeadLetterReason,
    now: Timestamp,
) -> OutgoingMessage {
    let mut attributes = vec![
        (attribute::CONNECTOR, C::NAME.to_owned()),
        (attribute::ERROR_KIND, reason.kind.name().to_owned()),
        (attribute::MESSAGE, reason.message.clone()),
        (attribute::DIED_AT, now.to_string()),
    ];
    let status = reason.status;
    attributes.extend(status.map(|status| (attribute::STATUS, status.to_string())));
    let own_group = || digest(&[&record.message_id]);
    OutgoingMessage {
        body: record.body.clone(),
        group: record.group.clone().unwrap_or_else(own_group),
        // Includes the receipt: a redriven message that fails again must not be
        // dropped as a duplicate of its first failure.
        deduplication_id: digest(&[&record.message_id, &record.receipt_handle]),
        attributes,
        trace: record.trace.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::AwsTimeouts;

    #[test]
    fn four_calls_fit_into_the_reserve() {
        assert!(4 * AwsTimeouts::PROMPT.operation < RESERVE);
    }
}
