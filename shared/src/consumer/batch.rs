//! Sorts a batch of records into one sync per user. Pure.

use std::collections::HashSet;
use std::time::Duration;

use aws_lambda_events::sqs::SqsMessage;
use jiff::Timestamp;

use crate::connector::EventStream;
use crate::identity::EventId;
use crate::message::{Event, Message, MessageError, UserKey};

/// A message that was received more often is handled alone: it may have killed
/// the function each time, together with all other work. During an outage every
/// message gets there within minutes, which only costs parallelism. Decided.
const MAX_SHARED_RECEIVES: u32 = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Names the record in a batch's failures.
    pub(super) message_id: String,
    pub(super) receipt_handle: String,
    pub(super) body: String,
    pub(super) group: Option<String>,
    pub(super) sent_at: Timestamp,
    pub(super) receive_count: u32,
    pub(super) trace: Option<String>,
}

impl Record {
    /// A missing or malformed attribute gets a harmless default, because it must
    /// not fail the batch.
    fn new(message: SqsMessage, now: Timestamp) -> Self {
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

    pub(super) fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.sent_at)).unwrap_or_default()
    }
}

/// One user's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserBatch {
    pub(super) user: UserKey,
    /// Oldest first.
    pub(super) entries: Vec<(Record, Message)>,
}

impl UserBatch {
    /// Distinct, in the order of the queue.
    pub(super) fn events(&self) -> Vec<(EventId, Event)> {
        let mut seen = HashSet::new();
        self.entries
            .iter()
            .filter(|(_, message)| seen.insert(&message.event_id))
            .filter_map(|(_, message)| Some((message.event_id.clone(), message.event.clone()?)))
            .collect()
    }

    /// When the last of the webhooks was received. `None` if a message is not of a
    /// webhook.
    pub(super) fn received_at(&self) -> Option<Timestamp> {
        let messages = self.entries.iter().map(|(_, message)| message);
        let received = messages.map(|message| message.event.as_ref().map(|_| message.received_at));
        received.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The time of the newest message: when its event occurred, or when it was
    /// received if that is earlier.
    pub(super) fn announced_at(&self) -> Timestamp {
        let times = self.entries.iter().map(|(_, message)| {
            let occurred = message.event.as_ref().map(|event| event.occurred_at);
            occurred.map_or(message.received_at, |at| at.min(message.received_at))
        });
        times.max().unwrap_or(Timestamp::MIN)
    }

    /// The times of the messages that are not of webhooks.
    pub(super) fn wake_ups(&self) -> Vec<Timestamp> {
        let messages = self.entries.iter().map(|(_, message)| message);
        let others = messages.filter(|message| message.event.is_none());
        others.map(|message| message.received_at).collect()
    }

    /// Whether a message may have killed the function before.
    pub(super) fn is_suspect(&self) -> bool {
        let mut records = self.entries.iter().map(|(record, _)| record);
        records.any(|record| record.receive_count > MAX_SHARED_RECEIVES)
    }

    /// Oldest first.
    pub(super) fn into_records(self) -> impl Iterator<Item = Record> {
        self.entries.into_iter().map(|(record, _)| record)
    }

    /// Splits off the records that are done although the sync failed, because it
    /// had delivered their events.
    pub(super) fn split_after(self, events: &EventStream) -> (Vec<Record>, Self) {
        // The state is synced before the first event is delivered.
        let is_synced = !events.delivered_now().is_empty();
        let mut done = Vec::new();
        let mut rest = Vec::new();
        for (record, message) in self.entries {
            let has_no_event = message.event.is_none();
            // To keep the order of the FIFO queue, everything after a retried
            // record is retried too.
            if is_synced
                && (has_no_event || events.is_delivered(&message.event_id))
                && rest.is_empty()
            {
                done.push(record);
            } else {
                rest.push((record, message));
            }
        }
        let rest = Self {
            user: self.user,
            entries: rest,
        };
        (done, rest)
    }
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Batch {
    /// In the order of each user's first record.
    pub(super) users: Vec<UserBatch>,
    /// Records whose body is not a message.
    pub(super) unreadable: Vec<(Record, MessageError)>,
}

impl Batch {
    pub(super) fn sort(messages: Vec<SqsMessage>, now: Timestamp) -> Self {
        let mut batch = Self::default();
        for record in messages.into_iter().map(|m| Record::new(m, now)) {
            match Message::from_json(&record.body) {
                Ok(message) => batch.add(record, message),
                Err(error) => batch.unreadable.push((record, error)),
            }
        }
        batch
    }

    fn add(&mut self, record: Record, message: Message) {
        match self.users.iter_mut().find(|user| user.user == message.user) {
            Some(known) => known.entries.push((record, message)),
            None => self.users.push(UserBatch {
                user: message.user.clone(),
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

    /// A message without an event is a resync.
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
    fn messages_of_one_user_become_one_sync_in_the_order_of_the_queue() {
        let batch = Batch::sort(
            vec![
                message("1", "a", Some("e1")),
                message("2", "b", Some("e2")),
                message("3", "a", Some("e3")),
                message("4", "a", None),
            ],
            NOW,
        );
        let syncs: Vec<_> = batch
            .users
            .iter()
            .map(|user| {
                let records: Vec<_> = user.entries.iter().map(|(r, _)| r.clone()).collect();
                let user_id = user.user.user_id.as_str();
                (user_id, ids(&records).join(","), user.events().len())
            })
            .collect();
        assert_eq!(
            syncs,
            [("a", "1,3,4".to_owned(), 2), ("b", "2".to_owned(), 1)]
        );
        assert_eq!(
            batch.users[0].entries[0].0.age(NOW),
            Duration::from_secs(60)
        );
    }

    #[test]
    fn often_received_message_makes_its_user_suspect() {
        let received = |counts: &[&str]| {
            let records = counts.iter().enumerate().map(|(n, count)| {
                let mut record = message(&n.to_string(), "a", None);
                let count = (*count).to_owned();
                record
                    .attributes
                    .insert("ApproximateReceiveCount".into(), count);
                record
            });
            Batch::sort(records.collect(), NOW).users.remove(0)
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
    fn duplicate_event_is_one_event() {
        let batch = Batch::sort(
            vec![message("1", "a", Some("e1")), message("2", "a", Some("e1"))],
            NOW,
        );
        assert_eq!(batch.users[0].events().len(), 1);
    }

    #[test]
    fn malformed_record_never_fails_its_batch() {
        let bodies = ["", "null", "{}", "[]", "\u{0}", r#"{"version":"9"}"#];
        let mut messages: Vec<_> = bodies.iter().map(|body| raw(body, body)).collect();
        messages.push(SqsMessage::default());
        messages.push(message("good", "a", Some("e1")));
        let batch = Batch::sort(messages, NOW);
        assert_eq!(batch.unreadable.len(), bodies.len() + 1);
        assert_eq!(batch.users.len(), 1);
    }

    #[test]
    fn delivered_events_are_done_and_the_others_keep_their_order() {
        struct Case {
            events: &'static [Option<&'static str>],
            delivered: usize,
            done: &'static [&'static str],
            rest: &'static [&'static str],
        }
        let case = |events, delivered, done, rest| Case {
            events,
            delivered,
            done,
            rest,
        };
        for case in [
            case(&[Some("a"), Some("b"), Some("c")], 0, &[], &["0", "1", "2"]),
            case(&[Some("a"), Some("b"), Some("c")], 2, &["0", "1"], &["2"]),
            case(&[Some("a"), Some("b")], 2, &["0", "1"], &[]),
            case(&[Some("a"), Some("a"), Some("b")], 1, &["0", "1"], &["2"]),
            case(&[Some("a"), Some("b"), Some("a")], 1, &["0"], &["1", "2"]),
            case(&[None, Some("a"), Some("b")], 1, &["0", "1"], &["2"]),
            case(&[None, Some("a")], 0, &[], &["0", "1"]),
        ] {
            let events = case.events.iter().enumerate();
            let messages = events.map(|(n, event)| message(&n.to_string(), "u", *event));
            let user = Batch::sort(messages.collect(), NOW).users.remove(0);
            let events = EventStream::new(user.events());
            (0..case.delivered).for_each(|_| events.mark_delivered());
            let (done, rest) = user.split_after(&events);
            let rest: Vec<_> = rest.into_records().collect();
            let name = format!("{:?} {}", case.events, case.delivered);
            assert_eq!(
                (&*ids(&done), &*ids(&rest)),
                (case.done, case.rest),
                "{name}"
            );
        }
    }
}
