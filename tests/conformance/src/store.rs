use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use shared::secrets::{ReadResult, SecretStore};

/// Secrets in memory. `Err` is a secret whose reads fail.
#[derive(Clone, Default)]
pub struct MemorySecrets(Arc<Mutex<HashMap<String, Result<String, String>>>>);

impl MemorySecrets {
    pub fn put(&self, name: &str, content: &str) {
        self.0
            .lock()
            .unwrap()
            .insert(name.into(), Ok(content.into()));
    }

    pub fn remove(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }

    pub fn fail(&self, name: &str) {
        self.0
            .lock()
            .unwrap()
            .insert(name.into(), Err("timed out".into()));
    }
}

impl SecretStore for MemorySecrets {
    fn read<'a>(&'a self, name: &'a str) -> ReadResult<'a> {
        let content = self.0.lock().unwrap().get(name).cloned();
        Box::pin(async move { content.transpose().map(|text| text.map(SecretString::from)) })
    }
}
