//! A queue in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::consumer::{DeadLetterMessage, Queue, QueueError};

/// A queue in memory.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    hidden: Vec<(String, Duration)>,
    deleted: Vec<String>,
    dead_letters: Vec<DeadLetterMessage>,
    dead_letter_calls: usize,
    refused_groups: Vec<String>,
}

impl Memory {
    /// Receipt and wait of each message that was hidden.
    pub fn hidden(&self) -> Vec<(String, Duration)> {
        self.0.lock().unwrap().hidden.clone()
    }

    /// Receipt of each message that was deleted before the batch ended.
    pub fn deleted(&self) -> Vec<String> {
        self.0.lock().unwrap().deleted.clone()
    }

    /// Message id, error kind and status of each dead letter.
    pub fn dead_letters(&self) -> Vec<(String, String, Option<String>)> {
        let contents = self.0.lock().unwrap();
        let messages = contents.dead_letters.iter().map(|message| {
            let attribute = |name: &str| {
                let found = message.attributes.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| value.clone())
            };
            let id = message.group.strip_prefix("group-").unwrap().to_owned();
            (id, attribute("errorKind").unwrap(), attribute("status"))
        });
        messages.collect()
    }

    /// The deduplication id of each dead letter.
    pub fn deduplication_ids(&self) -> Vec<String> {
        let contents = self.0.lock().unwrap();
        contents
            .dead_letters
            .iter()
            .map(|l| l.deduplication_id.clone())
            .collect()
    }

    /// How often dead letters were sent, however many at once.
    pub fn dead_letter_calls(&self) -> usize {
        self.0.lock().unwrap().dead_letter_calls
    }

    /// Takes no dead letter of the message of this id from now on.
    pub fn refuse_letter(&self, id: &str) {
        let mut contents = self.0.lock().unwrap();
        contents.refused_groups.push(format!("group-{id}"));
    }
}

impl Queue for Memory {
    async fn hide(&self, messages: Vec<(String, Duration)>) {
        self.0.lock().unwrap().hidden.extend(messages);
    }

    async fn delete(&self, receipts: Vec<String>) {
        self.0.lock().unwrap().deleted.extend(receipts);
    }

    async fn send_dead_letters(
        &self,
        messages: Vec<DeadLetterMessage>,
    ) -> Vec<Result<(), QueueError>> {
        let mut contents = self.0.lock().unwrap();
        contents.dead_letter_calls += 1;
        let send = |message: DeadLetterMessage| {
            if contents.refused_groups.contains(&message.group) {
                return Err(QueueError::new("refused"));
            }
            contents.dead_letters.push(message);
            Ok(())
        };
        messages.into_iter().map(send).collect()
    }
}
