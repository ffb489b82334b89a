//! Secrets in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use shared::secrets::{ReadResult, SecretStore};

/// Secrets in memory. `Err` is a store that does not answer.
#[derive(Clone, Default)]
pub struct Store(Arc<Mutex<HashMap<String, Result<String, String>>>>);

impl Store {
    /// Stores a secret.
    pub fn put(&self, name: &str, content: &str) {
        self.0
            .lock()
            .unwrap()
            .insert(name.into(), Ok(content.into()));
    }

    /// Takes a secret away.
    pub fn remove(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }

    /// Makes every read of a secret fail.
    pub fn fail(&self, name: &str) {
        self.0
            .lock()
            .unwrap()
            .insert(name.into(), Err("timed out".into()));
    }
}

impl SecretStore for Store {
    fn read<'a>(&'a self, name: &'a str) -> ReadResult<'a> {
        let found = self.0.lock().unwrap().get(name).cloned();
        Box::pin(async move { found.transpose().map(|text| text.map(SecretString::from)) })
    }
}
