//! Credentials from Secrets Manager, cached per function instance.
//!
//! A secret is cached for [`TIME_TO_LIVE`]. After refused credentials it is read
//! again immediately ([`Secrets::get_within`]). Unreadable and malformed secrets
//! are never cached, so that a fix takes effect immediately. A missing secret is
//! cached, because every vendor without this connector has none.

mod keys;
mod store;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use thiserror::Error;
use tokio::time::Instant;

use crate::cache::Cache;
use crate::digest::digest;

pub use keys::{Keys, SecretFault};
pub use store::{ReadResult, SecretStore, SecretsManager};

pub const TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);

/// Never holds a value of the secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    /// May succeed later.
    #[error(
        "secret {name} could not be read ({reason}); check that Secrets Manager is reachable and that the function's role may read the secret"
    )]
    Unavailable { name: String, reason: String },
    /// An operator must fix the secret.
    #[error("secret {name} is malformed: {fault}; store it as the README describes")]
    Malformed { name: String, fault: SecretFault },
}

pub trait FromSecret: Sized + Send + Sync + 'static {
    fn from_secret(json: &serde_json::Value) -> Result<Self, SecretFault>;
}

#[derive(Debug)]
pub struct Loaded<T> {
    /// `None` if there is no such secret.
    pub value: Option<T>,
    fingerprint: String,
    read_at: Instant,
}

impl<T> Loaded<T> {
    /// A digest that identifies this version of the secret.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    pub fn age(&self) -> Duration {
        self.read_at.elapsed()
    }
}

/// The secrets of one stack. Create once per function instance.
pub struct Secrets {
    store: Box<dyn SecretStore>,
    prefix: String,
    cache: Cache<Arc<dyn Any + Send + Sync>>,
}

impl Secrets {
    /// Names of secrets start with `prefix` and a slash.
    pub fn new(store: impl SecretStore, prefix: impl Into<String>) -> Self {
        Self {
            store: Box::new(store),
            prefix: prefix.into(),
            cache: Cache::default(),
        }
    }

    /// `path` is `webhook` or, for example, `{vendorId}/sesamy`.
    pub fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.prefix)
    }

    pub async fn get<T: FromSecret>(&self, path: &str) -> Result<Arc<Loaded<T>>, SecretError> {
        self.get_within(path, TIME_TO_LIVE).await
    }

    /// Reads the secret again unless the cached one is younger than `max_age`.
    ///
    /// After a refusal, pass the refused secret's [`Loaded::age`]: if many syncs
    /// are refused together, the first one reads the secret for all.
    pub async fn get_within<T: FromSecret>(
        &self,
        path: &str,
        max_age: Duration,
    ) -> Result<Arc<Loaded<T>>, SecretError> {
        let name = self.name(path);
        let mut cached = self.cache.lock(&name).await;
        if let Some(loaded) = cached
            .clone()
            .and_then(|any| any.downcast::<Loaded<T>>().ok())
            && loaded.age() < max_age
        {
            return Ok(loaded);
        }
        // Taken before the call, so that a secret that changes during it expires early.
        let read_at = Instant::now();
        let (value, fingerprint) = match self.store.read(&name).await {
            Ok(None) => (None, String::new()),
            Ok(Some(text)) => {
                let malformed = |fault| SecretError::Malformed {
                    name: name.clone(),
                    fault,
                };
                let json = serde_json::from_str(text.expose_secret())
                    .map_err(|_| malformed(SecretFault::NotJson))?;
                let value = T::from_secret(&json).map_err(malformed)?;
                (Some(value), digest(&[text.expose_secret()]))
            }
            // The cached secret stays: it may still be fresh enough for others.
            Err(reason) => return Err(SecretError::Unavailable { name, reason }),
        };
        let loaded = Arc::new(Loaded {
            value,
            fingerprint,
            read_at,
        });
        *cached = Some(loaded.clone());
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex as StdMutex;

    use secrecy::SecretString;

    use super::*;

    /// Returns its answers in order, then repeats the last one.
    struct ScriptedStore(StdMutex<VecDeque<Result<Option<&'static str>, &'static str>>>);

    impl SecretStore for ScriptedStore {
        fn read<'a>(&'a self, _: &'a str) -> ReadResult<'a> {
            let mut answers = self.0.lock().unwrap();
            let answer = match answers.len() {
                1 => answers[0],
                _ => answers.pop_front().expect("an answer"),
            };
            Box::pin(async move {
                answer
                    .map(|text| text.map(SecretString::from))
                    .map_err(str::to_owned)
            })
        }
    }

    #[derive(Debug, PartialEq)]
    struct Key(String);

    impl FromSecret for Key {
        fn from_secret(json: &serde_json::Value) -> Result<Self, SecretFault> {
            Ok(Self(Keys::new(json)?.text("key")?.to_owned()))
        }
    }

    fn secrets(
        answers: impl IntoIterator<Item = Result<Option<&'static str>, &'static str>>,
    ) -> Secrets {
        Secrets::new(
            ScriptedStore(StdMutex::new(answers.into_iter().collect())),
            "test",
        )
    }

    async fn key(secrets: &Secrets) -> Option<String> {
        let loaded = secrets.get::<Key>("v/rule").await.unwrap();
        loaded.value.as_ref().map(|key| key.0.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn secret_is_cached_for_five_minutes() {
        let secrets = secrets([Ok(Some(r#"{"key":"old"}"#)), Ok(Some(r#"{"key":"new"}"#))]);
        assert_eq!(key(&secrets).await.as_deref(), Some("old"));
        tokio::time::advance(TIME_TO_LIVE - Duration::from_secs(1)).await;
        assert_eq!(key(&secrets).await.as_deref(), Some("old"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(key(&secrets).await.as_deref(), Some("new"));
    }

    #[tokio::test(start_paused = true)]
    async fn first_of_many_refused_syncs_reads_the_secret_for_all() {
        let secrets = secrets([
            Ok(Some(r#"{"key":"1"}"#)),
            Ok(Some(r#"{"key":"2"}"#)),
            Ok(Some(r#"{"key":"3"}"#)),
        ]);
        let refused = secrets.get::<Key>("v/rule").await.unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let first = secrets.get_within::<Key>("v/rule", refused.age()).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = secrets.get_within::<Key>("v/rule", refused.age()).await;
        assert_eq!(first.unwrap().value, Some(Key("2".into())));
        assert_eq!(second.unwrap().value, Some(Key("2".into())));
    }

    #[tokio::test(start_paused = true)]
    async fn missing_secret_is_cached() {
        let secrets = secrets([Ok(None), Ok(Some(r#"{"key":"new"}"#))]);
        assert_eq!(key(&secrets).await, None);
        assert_eq!(key(&secrets).await, None);
        tokio::time::advance(TIME_TO_LIVE).await;
        assert_eq!(key(&secrets).await.as_deref(), Some("new"));
    }

    #[tokio::test(start_paused = true)]
    async fn bad_secret_is_not_cached_and_its_error_holds_no_value() {
        let secrets = secrets([
            Ok(Some("s3cret")),
            Ok(Some(r#"["s3cret"]"#)),
            Ok(Some(r#"{"other":"s3cret"}"#)),
            Ok(Some(r#"{"key":["s3cret"]}"#)),
            Err("timed out"),
            Ok(Some(r#"{"key":"good"}"#)),
        ]);
        let errors = [
            "secret test/v/rule is malformed: it is not JSON",
            "secret test/v/rule is malformed: it is not a JSON object",
            "secret test/v/rule is malformed: key \"key\" is missing",
            "secret test/v/rule is malformed: key \"key\" must be a text that is not empty",
            "secret test/v/rule could not be read (timed out)",
        ];
        for expected in errors {
            let error = secrets.get::<Key>("v/rule").await.unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert_eq!(key(&secrets).await.as_deref(), Some("good"));
    }
}
