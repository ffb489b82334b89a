//! A queue in memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::consumer::{Letter, Queue, QueueError};

/// A queue in memory.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    hidden: Vec<(String, Duration)>,
    buried: Vec<Letter>,
    refuses_letters: bool,
}

impl Memory {
    /// Receipt and wait of each message that was hidden.
    pub fn hidden(&self) -> Vec<(String, Duration)> {
        self.0.lock().unwrap().hidden.clone()
    }

    /// Message id, error kind and status of each dead letter.
    pub fn buried(&self) -> Vec<(String, String, Option<String>)> {
        let contents = self.0.lock().unwrap();
        let letters = contents.buried.iter().map(|letter| {
            let attribute = |name: &str| {
                let found = letter.attributes.iter().find(|(n, _)| *n == name);
                found.map(|(_, value)| value.clone())
            };
            let id = letter.group.strip_prefix("group-").unwrap().to_owned();
            (id, attribute("errorKind").unwrap(), attribute("status"))
        });
        letters.collect()
    }

    /// The deduplication id of each dead letter.
    pub fn deduplication_ids(&self) -> Vec<String> {
        let contents = self.0.lock().unwrap();
        contents
            .buried
            .iter()
            .map(|l| l.deduplication_id.clone())
            .collect()
    }

    /// Takes no dead letter from now on.
    pub fn refuse_letters(&self) {
        self.0.lock().unwrap().refuses_letters = true;
    }
}

impl Queue for Memory {
    async fn hide(&self, messages: Vec<(String, Duration)>) {
        self.0.lock().unwrap().hidden.extend(messages);
    }

    async fn bury(&self, letter: Letter) -> Result<(), QueueError> {
        let mut contents = self.0.lock().unwrap();
        if contents.refuses_letters {
            return Err(QueueError::new("refused"));
        }
        contents.buried.push(letter);
        Ok(())
    }
}
