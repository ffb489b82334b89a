//! A bounded cache whose entries are each made by one task while others wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// How many entries are kept at most. A vendor has a handful; beyond this the
/// cache starts anew rather than growing for ever.
const MAX_ENTRIES: usize = 10_000;

type Slot<V> = Arc<AsyncMutex<Option<V>>>;

/// What is kept under a key, locked.
pub type Entry<V> = OwnedMutexGuard<Option<V>>;

/// Entries by key. Whoever holds an entry's lock makes it for all who wait.
#[derive(Debug)]
pub struct Cache<V>(Mutex<HashMap<String, Slot<V>>>);

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V> Cache<V> {
    /// Locks the entry of `key`: what is kept there, to be used or replaced.
    pub async fn lock(&self, key: &str) -> Entry<V> {
        self.slot(key).lock_owned().await
    }

    fn slot(&self, key: &str) -> Slot<V> {
        // A poisoned lock holds a map that is whole: nothing below panics half-way.
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_ENTRIES && !slots.contains_key(key) {
            slots.clear();
        }
        slots.entry(key.to_owned()).or_default().clone()
    }
}

/// Work that is done once per key and function instance, such as defining the
/// fields of an account. What failed is tried again by the next.
#[derive(Debug, Default)]
pub struct Once(Cache<()>);

impl Once {
    /// Runs `work` unless it has succeeded for this key before.
    ///
    /// # Errors
    /// What `work` fails with.
    pub async fn ensure<E>(
        &self,
        key: &str,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let mut done = self.0.lock(key).await;
        if done.is_none() {
            work.await?;
            *done = Some(());
        }
        Ok(())
    }

    /// Runs `work` unless it has succeeded for this key before, and does not
    /// remember that it did: for work that only pretends.
    ///
    /// # Errors
    /// What `work` fails with.
    pub async fn rehearse<E>(
        &self,
        key: &str,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        // The lock is not held meanwhile: nobody has to wait for a pretence.
        let done = self.0.lock(key).await.is_some();
        if done { Ok(()) } else { work.await }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_is_done_once_per_key_and_again_after_a_failure() {
        let once = Once::default();
        let calls = AtomicUsize::new(0);
        let work = async |outcome: Result<(), ()>| {
            calls.fetch_add(1, Ordering::Relaxed);
            outcome
        };
        assert_eq!(once.ensure("a", work(Err(()))).await, Err(()));
        assert_eq!(once.ensure("a", work(Ok(()))).await, Ok(()));
        assert_eq!(once.ensure("a", work(Err(()))).await, Ok(()));
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert_eq!(once.ensure("b", work(Ok(()))).await, Ok(()));
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn rehearsed_work_is_still_to_be_done_and_done_work_is_not_rehearsed() {
        let once = Once::default();
        let calls = AtomicUsize::new(0);
        let work = async || {
            calls.fetch_add(1, Ordering::Relaxed);
            Ok::<(), ()>(())
        };
        once.rehearse("a", work()).await.unwrap();
        once.ensure("a", work()).await.unwrap();
        once.rehearse("a", work()).await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }
}
