//! [`DeadLetters`] of Amazon SQS.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
    DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName as Attribute,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use jiff::Timestamp;
use shared::aws::batch::fitting;
use shared::aws::reason;
use shared::consumer::attribute;
use tracing::warn;

use crate::letters::{
    DeadLetters, Depth, ErrorKind, Failed, Letter, MOST_AT_ONCE, Outgoing, Receipt, Unavailable,
    Why,
};

/// How long a receive waits for a letter, in seconds. With any wait SQS asks all
/// of its servers, so that "none" means none.
const WAIT: i32 = 1;

/// The queues of one connector.
#[derive(Debug, Clone)]
pub struct Sqs {
    client: Client,
    queue_url: String,
    dead_letter_queue_url: String,
}

impl Sqs {
    /// The queue and the dead-letter queue at these addresses.
    pub fn new(client: Client, queue_url: String, dead_letter_queue_url: String) -> Self {
        Self {
            client,
            queue_url,
            dead_letter_queue_url,
        }
    }

    async fn depth(&self, url: &str) -> Result<Depth, Unavailable> {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .set_attribute_names(Some(counts.to_vec()))
            .send()
            .await
            .map_err(|error| Unavailable {
                what: "asking how many messages a queue holds",
                reason: reason(&error),
            })?;
        // A number that is missing is no zero.
        let [visible, delayed, in_flight] = counts.map(|name| {
            let number = answer.attributes()?.get(&name)?;
            number.parse().ok()
        });
        match (visible, delayed, in_flight) {
            (Some(visible), Some(delayed), Some(in_flight)) => Ok(Depth {
                visible,
                delayed,
                in_flight,
            }),
            _ => Err(Unavailable {
                what: "asking how many messages a queue holds",
                reason: "the answer lacks a number".to_owned(),
            }),
        }
    }

    async fn send_together(&self, messages: &[Outgoing]) -> Vec<Failed> {
        let entries: Result<Vec<_>, _> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| {
                SendMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .message_body(&message.body)
                    .message_group_id(&message.group)
                    .message_deduplication_id(&message.deduplication_id)
                    .set_message_system_attributes(trace(message))
                    .build()
            })
            .collect();
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return all_failed(messages.len(), &error.to_string()),
        };
        let sent = self
            .client
            .send_message_batch()
            .queue_url(&self.queue_url)
            .set_entries(Some(entries))
            .send()
            .await;
        match sent {
            Ok(answer) => failed(answer.failed(), messages.len()),
            Err(error) => all_failed(messages.len(), &reason(&error)),
        }
    }
}

impl DeadLetters for Sqs {
    async fn queue_depth(&self) -> Result<Depth, Unavailable> {
        self.depth(&self.queue_url).await
    }

    async fn dead_depth(&self) -> Result<Depth, Unavailable> {
        self.depth(&self.dead_letter_queue_url).await
    }

    async fn receive(&self, hide: Duration) -> Result<Vec<Letter>, Unavailable> {
        let seconds = hide.as_secs() + u64::from(hide.subsec_nanos() > 0);
        let names = [
            Attribute::MessageGroupId,
            Attribute::SentTimestamp,
            Attribute::AwsTraceHeader,
        ];
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.dead_letter_queue_url)
            .max_number_of_messages(i32::try_from(MOST_AT_ONCE).unwrap_or(i32::MAX))
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .wait_time_seconds(WAIT)
            .set_message_system_attribute_names(Some(names.to_vec()))
            .message_attribute_names("All")
            // An answer that got lost is given again when the client tries again;
            // without this its letters and their groups were out of reach for a while.
            .receive_request_attempt_id(attempt_id())
            .send()
            .await
            .map_err(|error| Unavailable {
                what: "receiving dead letters",
                reason: reason(&error),
            })?;
        let messages = answer.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(letter).collect())
    }

    async fn put_back(&self, receipts: &[Receipt]) {
        for chunk in receipts.chunks(MOST_AT_ONCE) {
            let entries = chunk.iter().enumerate().filter_map(|(index, receipt)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&receipt.0)
                    .visibility_timeout(0)
                    .build()
                    .ok()
            });
            let changed = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.dead_letter_queue_url)
                .set_entries(Some(entries.collect()))
                .send()
                .await;
            let (hidden, why) = match changed {
                Ok(answer) => (answer.failed().len(), None),
                Err(error) => (chunk.len(), Some(reason(&error))),
            };
            if hidden > 0 {
                warn!(
                    hidden,
                    reason = why,
                    "Dead letters could not be put back at once; they show again within a minute."
                );
            }
        }
    }

    async fn send(&self, messages: &[Outgoing]) -> Vec<Failed> {
        let mut failed = Vec::new();
        let mut rest = messages;
        let mut offset = 0;
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(fitting(rest.iter().map(|one| one.body.len())));
            let refused = self.send_together(chunk).await;
            failed.extend(refused.into_iter().map(|one| Failed {
                index: one.index + offset,
                ..one
            }));
            offset += chunk.len();
            rest = behind;
        }
        failed
    }

    async fn delete(&self, receipts: &[Receipt]) -> Vec<Failed> {
        let entries: Result<Vec<_>, _> = receipts
            .iter()
            .enumerate()
            .map(|(index, receipt)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(&receipt.0)
                    .build()
            })
            .collect();
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return all_failed(receipts.len(), &error.to_string()),
        };
        let deleted = self
            .client
            .delete_message_batch()
            .queue_url(&self.dead_letter_queue_url)
            .set_entries(Some(entries))
            .send()
            .await;
        match deleted {
            Ok(answer) => failed(answer.failed(), receipts.len()),
            Err(error) => all_failed(receipts.len(), &reason(&error)),
        }
    }
}

/// A name for one receive, of the 128 bits that make it unlike any other.
fn attempt_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn letter(message: Message) -> Option<Letter> {
    let system = |name: Attribute| message.attributes.as_ref()?.get(&name).cloned();
    let ours = |name: &str| {
        let value = message.message_attributes.as_ref()?.get(name)?;
        value.string_value().map(str::to_owned)
    };
    let why = Why {
        kind: ErrorKind::of_attribute(ours(attribute::ERROR_KIND).as_deref()),
        status: ours(attribute::STATUS),
        message: ours(attribute::MESSAGE),
        died_at: ours(attribute::DIED_AT).and_then(|time| time.parse().ok()),
    };
    let sent_at = system(Attribute::SentTimestamp)
        .and_then(|millis| Timestamp::from_millisecond(millis.parse().ok()?).ok());
    let group = system(Attribute::MessageGroupId);
    let trace = system(Attribute::AwsTraceHeader);
    // SQS always names both; what has neither could not be put back either.
    let (id, receipt) = (message.message_id?, message.receipt_handle?);
    Some(Letter {
        group: group.unwrap_or_else(|| id.clone()),
        id,
        receipt: Receipt(receipt),
        body: message.body.unwrap_or_default(),
        trace,
        sent_at,
        why,
    })
}

fn trace(
    message: &Outgoing,
) -> Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>> {
    let value = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(message.trace.as_deref()?)
        .build()
        .ok()?;
    let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
    Some(HashMap::from([(name, value)]))
}

/// The entries that failed. One that cannot be told by its id stands for all:
/// nothing may be taken for done that is not.
fn failed(entries: &[BatchResultErrorEntry], of: usize) -> Vec<Failed> {
    let indexed = entries.iter().map(|entry| {
        let index = entry.id().parse().ok().filter(|index| *index < of)?;
        let reason = entry.code().to_owned();
        Some(Failed { index, reason })
    });
    let indexed: Option<Vec<_>> = indexed.collect();
    indexed.unwrap_or_else(|| all_failed(of, "an answer about an unknown entry"))
}

fn all_failed(of: usize, reason: &str) -> Vec<Failed> {
    let failed = |index| Failed {
        index,
        reason: reason.to_owned(),
    };
    (0..of).map(failed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_cannot_be_told_makes_all_of_them_fail() {
        let entry = |id: &str| {
            let entry = BatchResultErrorEntry::builder();
            let entry = entry.id(id).code("InternalError").sender_fault(false);
            entry.build().unwrap()
        };
        let indices = |entries: &[BatchResultErrorEntry]| {
            let failed = failed(entries, 3).into_iter();
            failed.map(|one| one.index).collect::<Vec<_>>()
        };
        assert_eq!(indices(&[]), [] as [usize; 0]);
        assert_eq!(indices(&[entry("2")]), [2]);
        assert_eq!(indices(&[entry("2"), entry("3")]), [0, 1, 2]);
        assert_eq!(indices(&[entry("x")]), [0, 1, 2]);
    }
}
