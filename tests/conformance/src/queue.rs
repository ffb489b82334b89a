use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::consumer::Queue;
use shared::sqs::{OutgoingMessage, SqsError};

#[derive(Clone, Default)]
pub struct MemoryQueue(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    visibility_changes: Vec<(String, Duration)>,
    deleted: Vec<String>,
    dead_letters: Vec<OutgoingMessage>,
    dead_letter_calls: usize,
    refused_groups: Vec<String>,
}

impl MemoryQueue {
    /// Receipts and visibility timeouts.
    pub fn visibility_changes(&self) -> Vec<(String, Duration)> {
        self.0.lock().unwrap().visibility_changes.clone()
    }

    /// Receipts of messages that were deleted before the batch ended.
    pub fn deleted(&self) -> Vec<String> {
        self.0.lock().unwrap().deleted.clone()
    }

    /// Message id, error kind and status of each dead-letter message.
    pub fn dead_letters(&self) -> Vec<(String, String, Option<String>)> {
        let contents = self.0.lock().unwrap();
        let messages = contents.dead_letters.iter().map(|message| {
            let attribute = |name: &str| {
                let mut attributes = message.attributes.iter();
                let (_, value) = attributes.find(|(n, _)| *n == name)?;
                Some(value.clone())
            };
            let id = message.group.strip_prefix("group-").unwrap().to_owned();
            (id, attribute("errorKind").unwrap(), attribute("status"))
        });
        messages.collect()
    }

    pub fn deduplication_ids(&self) -> Vec<String> {
        let contents = self.0.lock().unwrap();
        contents
            .dead_letters
            .iter()
            .map(|message| message.deduplication_id.clone())
            .collect()
    }

    /// The number of calls, each with one or more dead-letter messages.
    pub fn dead_letter_calls(&self) -> usize {
        self.0.lock().unwrap().dead_letter_calls
    }

    /// From now on, refuses to store a dead-letter message of this id.
    pub fn refuse_dead_letter(&self, id: &str) {
        let mut contents = self.0.lock().unwrap();
        contents.refused_groups.push(format!("group-{id}"));
    }
}

impl Queue for MemoryQueue {
    async fn set_visibility(&self, messages: Vec<(String, Duration)>) {
        let mut contents = self.0.lock().unwrap();
        contents.visibility_changes.extend(messages);
    }

    async fn delete(&self, receipts: Vec<String>) {
        self.0.lock().unwrap().deleted.extend(receipts);
    }

    async fn send_dead_letters(&self, messages: Vec<OutgoingMessage>) -> Vec<Result<(), SqsError>> {
        let mut contents = self.0.lock().unwrap();
        contents.dead_letter_calls += 1;
        let send = |message: OutgoingMessage| {
            if contents.refused_groups.contains(&message.group) {
                return Err(SqsError::new("refused"));
            }
            contents.dead_letters.push(message);
            Ok(())
        };
        messages.into_iter().map(send).collect()
    }
}
