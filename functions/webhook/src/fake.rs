//! Fakes of Secrets Manager and SQS for unit tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use shared::secrets::{ReadResult, SecretStore};
use shared::sqs::OutgoingMessage;

use crate::queues::QueueService;

/// How a fake misbehaves.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    Fail,
    Delay(Duration),
    Panic,
}

impl Behaviour {
    async fn perform(self, failure: &str) -> Result<(), String> {
        match self {
            Self::Fail => Err(failure.to_owned()),
            Self::Panic => panic!("a bug"),
            Self::Delay(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
        }
    }
}

/// One secret, under any name. Clones share it.
#[derive(Clone)]
pub struct SecretFake(Arc<Mutex<SecretState>>);

struct SecretState {
    answer: Result<Option<String>, Behaviour>,
    reads: usize,
}

impl SecretFake {
    pub fn new(answer: Result<Option<&str>, Behaviour>) -> Self {
        let answer = answer.map(|secret| secret.map(str::to_owned));
        Self(Arc::new(Mutex::new(SecretState { answer, reads: 0 })))
    }

    pub fn with_secret(secret: &str) -> Self {
        Self::new(Ok(Some(secret)))
    }

    pub fn set_secret(&self, secret: &str) {
        self.0.lock().unwrap().answer = Ok(Some(secret.to_owned()));
    }

    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.0.lock().unwrap().answer = Err(behaviour);
    }

    pub fn reads(&self) -> usize {
        self.0.lock().unwrap().reads
    }
}

impl SecretStore for SecretFake {
    fn read<'a>(&'a self, _: &'a str) -> ReadResult<'a> {
        let mut state = self.0.lock().unwrap();
        state.reads += 1;
        let answer = state.answer.clone();
        Box::pin(async move {
            match answer {
                Ok(secret) => Ok(secret.map(SecretString::from)),
                Err(behaviour) => behaviour.perform("timed out").await.map(|()| None),
            }
        })
    }
}

/// Queues by name. Clones share them.
#[derive(Clone, Default)]
pub struct QueueFake(Arc<Mutex<QueueState>>);

#[derive(Default)]
struct QueueState {
    behaviours: HashMap<String, Behaviour>,
    sent: Vec<(String, OutgoingMessage)>,
}

impl QueueFake {
    pub fn set_behaviour(&self, queue: &str, behaviour: Behaviour) {
        let mut state = self.0.lock().unwrap();
        state.behaviours.insert(queue.to_owned(), behaviour);
    }

    /// Queue names and messages.
    pub fn sent(&self) -> Vec<(String, OutgoingMessage)> {
        self.0.lock().unwrap().sent.clone()
    }

    /// The names of the queues that hold messages, sorted.
    pub fn filled_queues(&self) -> Vec<String> {
        let mut names: Vec<_> = self.sent().into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }
}

impl QueueService for QueueFake {
    async fn send(&self, url: &str, message: &OutgoingMessage) -> Result<(), String> {
        let name = url.rsplit('/').next().unwrap().to_owned();
        let behaviour = self.0.lock().unwrap().behaviours.get(&name).copied();
        if let Some(behaviour) = behaviour {
            behaviour.perform("ServiceUnavailable").await?;
        }
        self.0.lock().unwrap().sent.push((name, message.clone()));
        Ok(())
    }
}
