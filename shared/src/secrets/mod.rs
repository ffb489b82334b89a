//! Credentials from Secrets Manager, cached in the function.
//!
//! Source: the contract of this system. A secret is JSON; unknown keys are
//! ignored. It is kept for [`TIME_TO_LIVE`] and read again at once by whoever
//! finds that it opens nothing ([`Secrets::get_within`]). A secret that cannot
//! be read or understood is never kept, so that a repaired one counts at once;
//! that there is none is kept, because that is the answer for every vendor who
//! has a connector switched off.

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

/// How long a secret is used without being read again.
pub const TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);

/// Why a secret could not be had. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretError {
    /// Secrets Manager did not answer, or refused. It may answer later.
    #[error(
        "secret {name} could not be read ({reason}); check that Secrets Manager is reachable and that the function's role may read the secret"
    )]
    Unavailable {
        /// The secret's name.
        name: String,
        /// What the store says, without any value.
        reason: String,
    },
    /// The secret is there but is not what it must be. A person must mend it.
    #[error("secret {name} is malformed: {fault}; store it as the README describes")]
    Malformed {
        /// The secret's name.
        name: String,
        /// What is wrong with which key.
        fault: SecretFault,
    },
}

/// Credentials that a secret's JSON can be read into.
pub trait FromSecret: Sized + Send + Sync + 'static {
    /// Reads the secret's JSON.
    ///
    /// # Errors
    /// The first key that is missing or wrong.
    fn from_secret(json: &serde_json::Value) -> Result<Self, SecretFault>;
}

/// A secret as it was read, and when.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The credentials. `None` where there is no such secret.
    pub value: Option<T>,
    fingerprint: String,
    read_at: Instant,
}

impl<T> Loaded<T> {
    /// A digest of the secret's text, by which it is told from another version
    /// of itself. It does not give the text away, yet is of no use in a log.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// How long ago it was read.
    pub fn age(&self) -> Duration {
        self.read_at.elapsed()
    }
}

/// The secrets of one stack, cached. Made once per function instance.
pub struct Secrets {
    store: Box<dyn SecretStore>,
    prefix: String,
    kept: Cache<Arc<dyn Any + Send + Sync>>,
}

impl Secrets {
    /// Secrets whose names begin with `prefix` and a slash.
    pub fn new(store: impl SecretStore, prefix: impl Into<String>) -> Self {
        Self {
            store: Box::new(store),
            prefix: prefix.into(),
            kept: Cache::default(),
        }
    }

    /// The full name of the secret at `path` (`webhook`, `{vendorId}/sesamy`).
    pub fn name(&self, path: &str) -> String {
        format!("{}/{path}", self.prefix)
    }

    /// The secret at `path`, at most [`TIME_TO_LIVE`] old.
    ///
    /// # Errors
    /// [`SecretError`] where it cannot be read or understood.
    pub async fn get<T: FromSecret>(&self, path: &str) -> Result<Arc<Loaded<T>>, SecretError> {
        self.get_within(path, TIME_TO_LIVE).await
    }

    /// The secret at `path`, read again unless what is kept is younger than `max_age`.
    ///
    /// After a refusal pass the refused secret's own [`Loaded::age`]: of many
    /// syncs refused at once, the first then reads and the others use what it read.
    ///
    /// # Errors
    /// [`SecretError`] where it cannot be read or understood.
    pub async fn get_within<T: FromSecret>(
        &self,
        path: &str,
        max_age: Duration,
    ) -> Result<Arc<Loaded<T>>, SecretError> {
        let name = self.name(path);
        let mut kept = self.kept.lock(&name).await;
        if let Some(loaded) = kept
            .clone()
            .and_then(|any| any.downcast::<Loaded<T>>().ok())
            && loaded.age() < max_age
        {
            return Ok(loaded);
        }
        // Before the call: a secret that changes while it is read counts as old.
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
            // What is kept stays: it may serve others until its time is up.
            Err(reason) => return Err(SecretError::Unavailable { name, reason }),
        };
        let loaded = Arc::new(Loaded {
            value,
            fingerprint,
            read_at,
        });
        *kept = Some(loaded.clone());
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex as StdMutex;

    use secrecy::SecretString;

    use super::*;

    /// A store that answers what it was told, in order, and the last answer for ever.
    struct Script(StdMutex<VecDeque<Result<Option<&'static str>, &'static str>>>);

    impl SecretStore for Script {
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
            Ok(Self(Keys::of(json)?.text("key")?.to_owned()))
        }
    }

    fn secrets(
        answers: impl IntoIterator<Item = Result<Option<&'static str>, &'static str>>,
    ) -> Secrets {
        Secrets::new(Script(StdMutex::new(answers.into_iter().collect())), "test")
    }

    async fn key(secrets: &Secrets) -> Option<String> {
        let loaded = secrets.get::<Key>("v/rule").await.unwrap();
        loaded.value.as_ref().map(|key| key.0.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_kept_for_five_minutes() {
        let secrets = secrets([Ok(Some(r#"{"key":"old"}"#)), Ok(Some(r#"{"key":"new"}"#))]);
        assert_eq!(key(&secrets).await.as_deref(), Some("old"));
        tokio::time::advance(TIME_TO_LIVE - Duration::from_secs(1)).await;
        assert_eq!(key(&secrets).await.as_deref(), Some("old"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(key(&secrets).await.as_deref(), Some("new"));
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_refused_at_once_the_first_reads_for_all() {
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
    async fn that_there_is_no_secret_is_kept_too() {
        let secrets = secrets([Ok(None), Ok(Some(r#"{"key":"new"}"#))]);
        assert_eq!(key(&secrets).await, None);
        assert_eq!(key(&secrets).await, None);
        tokio::time::advance(TIME_TO_LIVE).await;
        assert_eq!(key(&secrets).await.as_deref(), Some("new"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_secret_is_not_kept_and_its_error_holds_no_value() {
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
