//! A batch of records, sorted into one job per reader. Pure.

use std::collections::HashSet;
use std::time::Duration;

use aws_lambda_events::sqs::SqsMessage;
use jiff::Timestamp;

use crate::message::{Event, Message, MessageError, Reader};

/// After so many receives a message is handled beside others no more: it may be
/// what the function died of each time, with all that it was working on. An API
/// that is out brings any message there within minutes, which costs no more
/// than that its readers are synced one after the other. Decided.
const RECEIVES_BESIDE_OTHERS: u32 = 3;

/// One record of the queue, whatever its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// SQS's id of the message, by which a batch's failures are reported.
    pub(super) message_id: String,
    /// What the message's visibility is changed by.
    pub(super) receipt_handle: String,
    /// The body as it was queued.
    pub(super) body: String,
    /// The FIFO group it was queued in, where SQS says.
    pub(super) group: Option<String>,
    /// When it was queued.
    pub(super) sent_at: Timestamp,
    /// How many times it was received, this time included.
    pub(super) receive_count: u32,
    /// X-Ray's trace header, where there is one.
    pub(super) trace: Option<String>,
}

impl Record {
    /// Reads what SQS sends. Nothing of it may fail the batch: what is missing
    /// or odd is replaced by what does no harm.
    fn read(message: SqsMessage, now: Timestamp) -> Self {
        let attribute = |name: &str| message.attributes.get(name).cloned();
        let sent_at = attribute("SentTimestamp")
            .and_then(|millis| Timestamp::from_millisecond(millis.parse().ok()?).ok())
            .unwrap_or(now);
        Self {
            group: attribute("MessageGroupId"),
            receive_count: attribute("ApproximateReceiveCount")
                .and_then(|count| count.parse().ok())
                .unwrap_or(1),
            trace: attribute("AWSTraceHeader"),
            sent_at,
            message_id: message.message_id.unwrap_or_default(),
            receipt_handle: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
        }
    }

    /// How long ago the record was queued.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.sent_at)).unwrap_or_default()
    }
}

/// Everything a batch holds for one reader: one sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReaderBatch {
    pub(super) reader: Reader,
    /// The records with their messages, oldest first.
    pub(super) entries: Vec<(Record, Message)>,
}

impl ReaderBatch {
    /// The distinct events, in the order of the queue.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut seen = HashSet::new();
        self.entries
            .iter()
            .filter(|(_, message)| seen.insert(&message.event_id))
            .filter_map(|(_, message)| message.event.clone())
            .collect()
    }

    /// When the newest of the messages was about the user: when its event
    /// occurred, but not later than it was received, or when it was queued.
    pub(super) fn announced(&self) -> Timestamp {
        let moments = self.entries.iter().map(|(_, message)| {
            let occurred = message.event.as_ref().map(|event| event.occurred_at);
            occurred.map_or(message.received_at, |at| at.min(message.received_at))
        });
        moments.max().unwrap_or(Timestamp::MIN)
    }

    /// Whether any of the messages was received so often that it is to be
    /// handled alone.
    pub(super) fn is_suspect(&self) -> bool {
        let mut records = self.entries.iter().map(|(record, _)| record);
        records.any(|record| record.receive_count > RECEIVES_BESIDE_OTHERS)
    }

    /// The records, oldest first.
    pub(super) fn into_records(self) -> impl Iterator<Item = Record> {
        self.entries.into_iter().map(|(record, _)| record)
    }

    /// Splits the records into those that are done once the first `delivered`
    /// distinct events are, and the rest.
    pub(super) fn split_after(self, delivered: usize) -> (Vec<Record>, Self) {
        let mut seen = HashSet::new();
        let mut done = Vec::new();
        let mut rest = Vec::new();
        for (record, message) in self.entries {
            if message.event.is_some() {
                seen.insert(message.event_id.clone());
            }
            // A record without an event asks for the state alone, which is synced
            // before the first event is delivered. In a FIFO queue whatever
            // follows a record that is put back is put back with it.
            if delivered > 0 && seen.len() <= delivered && rest.is_empty() {
                done.push(record);
            } else {
                rest.push((record, message));
            }
        }
        let rest = Self {
            reader: self.reader,
            entries: rest,
        };
        (done, rest)
    }
}

/// A batch, sorted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Batch {
    /// One per reader, in the order of each one's first record.
    pub(super) readers: Vec<ReaderBatch>,
    /// Records whose body is no message.
    pub(super) unreadable: Vec<(Record, MessageError)>,
}

impl Batch {
    /// Sorts the records of an invocation.
    pub(super) fn sort(messages: Vec<SqsMessage>, now: Timestamp) -> Self {
        let mut batch = Self::default();
        for record in messages.into_iter().map(|m| Record::read(m, now)) {
            match Message::from_json(&record.body) {
                Ok(message) => batch.add(record, message),
                Err(error) => batch.unreadable.push((record, error)),
            }
        }
        batch
    }

    fn add(&mut self, record: Record, message: Message) {
        match self.readers.iter_mut().find(|r| r.reader == message.reader) {
            Some(known) => known.entries.push((record, message)),
            None => self.readers.push(ReaderBatch {
                reader: message.reader.clone(),
                entries: vec![(record, message)],
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    /// A record of the event `event` (none for a resync) of the reader `user`.
    fn message(id: &str, user: &str, event: Option<&str>) -> SqsMessage {
        let event_part = event.map_or(String::new(), |_| {
            r#","event":{"eventType":"contract.1#update","occurredAt":"2026-01-01T00:00:00Z"}"#
                .to_owned()
        });
        let event_id = event.unwrap_or(id);
        let body = format!(
            r#"{{"version":"1","eventId":"{event_id}","vendorId":"v","userId":"{user}","receivedAt":"2026-01-01T00:00:01Z"{event_part}}}"#
        );
        raw(id, &body)
    }

    fn raw(id: &str, body: &str) -> SqsMessage {
        let mut message = SqsMessage::default();
        message.message_id = Some(id.into());
        message.receipt_handle = Some(format!("receipt-{id}"));
        message.body = Some(body.into());
        message.attributes = HashMap::from([
            ("SentTimestamp".into(), "1799999940000".into()),
            ("ApproximateReceiveCount".into(), "3".into()),
            ("MessageGroupId".into(), "group".into()),
        ]);
        message
    }

    fn ids(records: &[Record]) -> Vec<&str> {
        records.iter().map(|r| r.message_id.as_str()).collect()
    }

    #[test]
    fn messages_of_one_reader_become_one_job_in_the_order_of_the_queue() {
        let batch = Batch::sort(
            vec![
                message("1", "a", Some("e1")),
                message("2", "b", Some("e2")),
                message("3", "a", Some("e3")),
                message("4", "a", None),
            ],
            NOW,
        );
        let jobs: Vec<_> = batch
            .readers
            .iter()
            .map(|job| {
                let records: Vec<_> = job.entries.iter().map(|(r, _)| r.clone()).collect();
                (
                    job.reader.user_id.as_str(),
                    ids(&records).join(","),
                    job.events().len(),
                )
            })
            .collect();
        assert_eq!(
            jobs,
            [("a", "1,3,4".to_owned(), 2), ("b", "2".to_owned(), 1)]
        );
        assert_eq!(
            batch.readers[0].entries[0].0.age(NOW),
            Duration::from_secs(60)
        );
    }

    #[test]
    fn one_message_that_was_received_many_times_makes_its_reader_suspect() {
        let received = |counts: &[&str]| {
            let records = counts.iter().enumerate().map(|(n, count)| {
                let mut record = message(&n.to_string(), "a", None);
                let count = (*count).to_owned();
                record
                    .attributes
                    .insert("ApproximateReceiveCount".into(), count);
                record
            });
            Batch::sort(records.collect(), NOW).readers.remove(0)
        };
        let cases: [(&[&str], bool); 5] = [
            (&["1"], false),
            (&["3", "1"], false),
            (&["4"], true),
            (&["1", "900"], true),
            (&["many"], false),
        ];
        for (counts, suspect) in cases {
            assert_eq!(received(counts).is_suspect(), suspect, "{counts:?}");
        }
    }

    #[test]
    fn an_event_that_came_twice_is_one_event() {
        let batch = Batch::sort(
            vec![message("1", "a", Some("e1")), message("2", "a", Some("e1"))],
            NOW,
        );
        assert_eq!(batch.readers[0].events().len(), 1);
    }

    #[test]
    fn a_malformed_record_never_fails_its_batch() {
        let bodies = ["", "null", "{}", "[]", "\u{0}", r#"{"version":"9"}"#];
        let mut messages: Vec<_> = bodies.iter().map(|body| raw(body, body)).collect();
        messages.push(SqsMessage::default());
        messages.push(message("good", "a", Some("e1")));
        let batch = Batch::sort(messages, NOW);
        assert_eq!(batch.unreadable.len(), bodies.len() + 1);
        assert_eq!(batch.readers.len(), 1);
    }

    #[test]
    fn what_was_delivered_is_done_and_the_rest_keeps_its_order() {
        // Records as (event), how many events were delivered, who is done, who is left.
        type Case = (
            &'static [Option<&'static str>],
            usize,
            &'static [&'static str],
            &'static [&'static str],
        );
        let cases: [Case; 7] = [
            (&[Some("a"), Some("b"), Some("c")], 0, &[], &["0", "1", "2"]),
            (&[Some("a"), Some("b"), Some("c")], 2, &["0", "1"], &["2"]),
            (&[Some("a"), Some("b")], 2, &["0", "1"], &[]),
            (&[Some("a"), Some("a"), Some("b")], 1, &["0", "1"], &["2"]),
            (&[Some("a"), Some("b"), Some("a")], 1, &["0"], &["1", "2"]),
            (&[None, Some("a"), Some("b")], 1, &["0", "1"], &["2"]),
            (&[None, Some("a")], 0, &[], &["0", "1"]),
        ];
        for (events, delivered, done, left) in cases {
            let messages = events
                .iter()
                .enumerate()
                .map(|(n, event)| message(&n.to_string(), "u", *event))
                .collect();
            let job = Batch::sort(messages, NOW).readers.remove(0);
            let (is_done, is_left) = job.split_after(delivered);
            let is_left: Vec<_> = is_left.into_records().collect();
            assert_eq!(
                (ids(&is_done), ids(&is_left)),
                (done.to_vec(), left.to_vec()),
                "{events:?} {delivered}"
            );
        }
    }
}
