//! A FIFO queue as SQS's: a group is locked while a message of it is in flight, and a
//! deduplication id is known for five minutes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Value, json};
use shared::message::Message;
use shared::sqs::MAX_BATCH;
use tokio::time::Instant;

/// How long a FIFO queue knows a deduplication id (documented).
pub const DEDUPLICATION: Duration = Duration::from_secs(300);

/// The delay of a connector's queue, as in the template.
const DELAY: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Stored {
    number: usize,
    /// As it was sent.
    entry: Value,
    visible_at: Instant,
    receives: u32,
}

#[derive(Debug, Default)]
pub struct Fifo {
    messages: Vec<Stored>,
    known: HashMap<(String, String), Instant>,
    sent: usize,
    /// Hands out the oldest message first, as some emulators do; SQS fills a receive with
    /// one group before it begins the next.
    pub by_age: bool,
    /// Bodies that cannot be sent or deleted.
    pub refused: HashSet<String>,
    /// From when on a connector takes each message once it is visible.
    pub consumed_from: Option<Instant>,
    /// The users that a connector synced, and when.
    pub synced: Vec<(Instant, String)>,
    /// Visible, delayed and in flight: of others.
    pub others: [usize; 3],
    pub max_waiting: usize,
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

impl Stored {
    fn group(&self) -> &str {
        text(&self.entry, "MessageGroupId")
    }

    fn receipt(&self) -> String {
        format!("{}/{}", self.number, self.receives)
    }
}

impl Fifo {
    pub fn act(&mut self, action: &str, input: &Value, entries: usize) -> Value {
        self.consume();
        let timeout = |value: &Value| {
            Duration::from_secs(value["VisibilityTimeout"].as_u64().unwrap_or_default())
        };
        match action {
            "ReceiveMessage" => json!({ "Messages": self.receive(timeout(input)) }),
            "GetQueueAttributes" => {
                let now = Instant::now();
                let hidden = self.messages.iter().filter(|one| one.visible_at > now);
                let (delayed, in_flight): (Vec<_>, Vec<_>) =
                    hidden.partition(|one| one.receives == 0);
                let visible = self.messages.len() - delayed.len() - in_flight.len();
                json!({ "Attributes": {
                    "ApproximateNumberOfMessages": (visible + self.others[0]).to_string(),
                    "ApproximateNumberOfMessagesDelayed": (delayed.len() + self.others[1]).to_string(),
                    "ApproximateNumberOfMessagesNotVisible": (in_flight.len() + self.others[2]).to_string(),
                }})
            }
            _ => {
                let batch = input["Entries"].as_array().unwrap();
                assert!(batch.len() <= MAX_BATCH);
                let (mut successful, mut failed) = (Vec::new(), Vec::new());
                for entry in batch.iter().take(entries) {
                    let id = text(entry, "Id");
                    let is_done = match action {
                        "SendMessageBatch" => self.send(entry.clone(), DELAY),
                        "DeleteMessageBatch" => self.delete(entry),
                        "ChangeMessageVisibilityBatch" => self.hide(entry, timeout(entry)),
                        _ => unreachable!("{action}"),
                    };
                    match is_done {
                        true => successful
                            .push(json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": "d"})),
                        false => failed
                            .push(json!({"Id": id, "SenderFault": false, "Code": "InternalError"})),
                    }
                }
                json!({"Successful": successful, "Failed": failed})
            }
        }
    }

    /// Without a kind, as SQS moves a message itself. Returns its id.
    pub fn add(&mut self, group: &str, body: &str, kind: Option<&str>) -> String {
        let mut entry = json!({"MessageBody": body, "MessageGroupId": group});
        if let Some(kind) = kind {
            let died_at = "2026-01-15T09:30:00Z";
            let attributes = [
                ("errorKind", kind),
                ("status", "422"),
                ("message", "fix it"),
                ("diedAt", died_at),
            ];
            for (name, value) in attributes {
                entry["MessageAttributes"][name] =
                    json!({"DataType": "String", "StringValue": value});
            }
        }
        let id = format!("message-{}", self.sent);
        entry["MessageDeduplicationId"] = json!(id);
        let trace = json!({"DataType": "String", "StringValue": format!("Root=1-{id}")});
        entry["MessageSystemAttributes"]["AWSTraceHeader"] = trace;
        assert!(self.send(entry, Duration::ZERO));
        id
    }

    fn send(&mut self, entry: Value, delay: Duration) -> bool {
        if self.refused.contains(text(&entry, "MessageBody")) {
            return false;
        }
        let now = Instant::now();
        let id =
            ["MessageGroupId", "MessageDeduplicationId"].map(|key| text(&entry, key).to_owned());
        let sent_at = self.known.entry(id.into()).or_insert(now);
        if *sent_at == now || now >= *sent_at + DEDUPLICATION {
            *sent_at = now;
            self.messages.push(Stored {
                number: self.sent,
                entry,
                visible_at: now + delay,
                receives: 0,
            });
            self.sent += 1;
            self.max_waiting = self.max_waiting.max(self.messages.len());
        }
        true
    }

    fn receive(&mut self, timeout: Duration) -> Vec<Value> {
        let now = Instant::now();
        let in_flight = self.messages.iter().filter(|one| one.visible_at > now);
        let locked: HashSet<_> = in_flight.map(Stored::group).collect();
        let all = self.messages.iter().enumerate();
        let mut found: Vec<_> = all
            .filter(|(_, one)| !locked.contains(one.group()))
            .collect();
        if !self.by_age {
            let mut first = HashMap::new();
            for (index, one) in &found {
                first.entry(one.group()).or_insert(*index);
            }
            found.sort_by_key(|(index, one)| (first[one.group()], *index));
        }
        let found: Vec<_> = found
            .into_iter()
            .take(MAX_BATCH)
            .map(|(index, _)| index)
            .collect();
        let received = found.into_iter().map(|index| {
            let one = &mut self.messages[index];
            one.visible_at = now + timeout;
            one.receives += 1;
            json!({
                "MessageId": format!("message-{}", one.number),
                "ReceiptHandle": one.receipt(),
                "Body": one.entry["MessageBody"],
                "Attributes": {
                    "MessageGroupId": one.group(),
                    "AWSTraceHeader": one.entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"],
                },
                "MessageAttributes": one.entry["MessageAttributes"],
            })
        });
        received.collect()
    }

    /// The index of the message, unless it was received again since.
    fn index_of(&self, entry: &Value) -> Option<usize> {
        let receipt = text(entry, "ReceiptHandle");
        let number: usize = receipt.split_once('/')?.0.parse().ok()?;
        let index = self
            .messages
            .binary_search_by_key(&number, |one| one.number);
        index
            .ok()
            .filter(|index| self.messages[*index].receipt() == receipt)
    }

    fn delete(&mut self, entry: &Value) -> bool {
        let index = self.index_of(entry);
        let index = index.filter(|index| {
            let body = text(&self.messages[*index].entry, "MessageBody");
            !self.refused.contains(body)
        });
        index.map(|index| self.messages.remove(index)).is_some()
    }

    fn hide(&mut self, entry: &Value, timeout: Duration) -> bool {
        let index = self.index_of(entry);
        index
            .map(|index| self.messages[index].visible_at = Instant::now() + timeout)
            .is_some()
    }

    /// Lets the connector sync the users whose messages are visible by now.
    pub fn consume(&mut self) {
        let now = Instant::now();
        if let Some(from) = self.consumed_from.filter(|from| *from <= now) {
            let visible = self.messages.extract_if(.., |one| one.visible_at <= now);
            self.synced.extend(visible.map(|one| {
                let message = Message::from_json(text(&one.entry, "MessageBody")).unwrap();
                (one.visible_at.max(from), message.user.user_id.to_string())
            }));
        }
    }

    /// Takes all messages.
    pub fn take(&mut self) -> Vec<Value> {
        self.messages.drain(..).map(|one| one.entry).collect()
    }

    pub fn bodies(&self) -> Vec<String> {
        let bodies = self
            .messages
            .iter()
            .map(|one| text(&one.entry, "MessageBody"));
        bodies.map(str::to_owned).collect()
    }

    pub fn in_flight(&self) -> usize {
        let now = Instant::now();
        let hidden = self.messages.iter().filter(|one| one.visible_at > now);
        hidden.count()
    }

    /// How often the most received message was received.
    pub fn max_receives(&self) -> u32 {
        let receives = self.messages.iter().map(|one| one.receives);
        receives.max().unwrap_or(0)
    }
}
