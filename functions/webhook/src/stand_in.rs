//! Stand-ins for Secrets Manager and SQS, for tests.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use shared::secrets::SecretStore;

use crate::queues::{Entry, QueueService};

/// A store with one secret, whatever its name. Clones are one store.
#[derive(Clone)]
pub struct SecretStandIn(Arc<Mutex<Store>>);

struct Store {
    answer: Result<Option<String>, Behaviour>,
    reads: usize,
}

/// What a stand-in does instead of what it should.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    /// It answers with an error.
    Fail,
    /// It takes so long.
    Take(Duration),
    /// It panics.
    Panic,
}

impl SecretStandIn {
    pub fn new(secret: Option<&str>) -> Self {
        Self(Arc::new(Mutex::new(Store {
            answer: Ok(secret.map(str::to_owned)),
            reads: 0,
        })))
    }

    pub fn holding(secret: &str) -> Self {
        Self::new(Some(secret))
    }

    pub fn down() -> Self {
        let store = Self::new(None);
        store.fail();
        store
    }

    pub fn hold(&self, secret: &str) {
        self.0.lock().unwrap().answer = Ok(Some(secret.to_owned()));
    }

    pub fn fail(&self) {
        self.behave(Behaviour::Fail);
    }

    pub fn behave(&self, behaviour: Behaviour) {
        self.0.lock().unwrap().answer = Err(behaviour);
    }

    /// How often it was read.
    pub fn reads(&self) -> usize {
        self.0.lock().unwrap().reads
    }
}

impl SecretStore for SecretStandIn {
    fn read<'a>(
        &'a self,
        _: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<Option<SecretString>, String>> + Send + 'a>> {
        let answer = {
            let mut store = self.0.lock().unwrap();
            store.reads += 1;
            store.answer.clone()
        };
        Box::pin(async move {
            match answer {
                Ok(secret) => Ok(secret.map(SecretString::from)),
                Err(Behaviour::Fail) => Err("timed out".to_owned()),
                Err(Behaviour::Panic) => panic!("a bug"),
                Err(Behaviour::Take(time)) => {
                    tokio::time::sleep(time).await;
                    Ok(None)
                }
            }
        })
    }
}

/// Queues by name. Clones are one service.
#[derive(Clone, Default)]
pub struct QueueStandIn(Arc<Mutex<QueueState>>);

#[derive(Default)]
struct QueueState {
    behaviours: HashMap<String, Behaviour>,
    sent: Vec<(String, Entry)>,
}

impl QueueStandIn {
    pub fn behave(&self, queue: &str, behaviour: Behaviour) {
        let mut state = self.0.lock().unwrap();
        state.behaviours.insert(queue.to_owned(), behaviour);
    }

    /// What was sent, and to which queue.
    pub fn sent(&self) -> Vec<(String, Entry)> {
        self.0.lock().unwrap().sent.clone()
    }

    /// The names of the queues that were sent to, in order.
    pub fn holding(&self) -> Vec<String> {
        let mut names: Vec<_> = self.sent().into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }
}

impl QueueService for QueueStandIn {
    async fn send(&self, url: &str, entry: &Entry) -> Result<(), String> {
        let name = url.rsplit('/').next().unwrap().to_owned();
        let behaviour = self.0.lock().unwrap().behaviours.get(&name).copied();
        match behaviour {
            Some(Behaviour::Fail) => return Err("ServiceUnavailable".to_owned()),
            Some(Behaviour::Panic) => panic!("a bug"),
            Some(Behaviour::Take(time)) => tokio::time::sleep(time).await,
            None => {}
        }
        self.0.lock().unwrap().sent.push((name, entry.clone()));
        Ok(())
    }
}
