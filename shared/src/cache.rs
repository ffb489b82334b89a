//! A bounded cache. One task fills an entry while others wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// A vendor has a handful of entries. A full cache is cleared.
const MAX_ENTRIES: usize = 10_000;

type Slot<V> = Arc<AsyncMutex<Option<V>>>;

/// A locked entry.
pub type Entry<V> = OwnedMutexGuard<Option<V>>;

/// The task that locks an entry fills it for all tasks that wait for it.
#[derive(Debug)]
pub struct Cache<V>(Mutex<HashMap<String, Slot<V>>>);

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V> Cache<V> {
    pub async fn lock(&self, key: &str) -> Entry<V> {
        self.slot(key).lock_owned().await
    }

    fn slot(&self, key: &str) -> Slot<V> {
        // A poisoned lock holds a whole map: nothing below panics half-way.
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_ENTRIES && !slots.contains_key(key) {
            slots.clear();
        }
        slots.entry(key.to_owned()).or_default().clone()
    }
}

/// Work that is done once per key and function instance, such as defining the
/// fields of an account, and its result. Failed work is retried by the next caller.
#[derive(Debug)]
pub struct Once<T = ()>(Cache<Arc<T>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Cache::default())
    }
}

impl<T> Once<T> {
    /// The result of `work`, which runs unless it succeeded for this key before.
    pub async fn ensure<E>(
        &self,
        key: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let mut done = self.0.lock(key).await;
        if let Some(result) = &*done {
            return Ok(result.clone());
        }
        Ok(done.insert(Arc::new(work.await?)).clone())
    }

    /// Like [`Once::ensure`], but does not remember the success, because the real
    /// work is not done yet.
    pub async fn dry_run<E>(
        &self,
        key: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        // Releases the lock first, so that no task waits for a dry run.
        let done = self.0.lock(key).await.clone();
        match done {
            Some(result) => Ok(result),
            None => work.await.map(Arc::new),
        }
    }

    /// The result, to read or replace while others wait for it.
    pub async fn lock(&self, key: &str) -> Entry<Arc<T>> {
        self.0.lock(key).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_is_done_once_per_key_and_retried_after_a_failure() {
        let once = Once::default();
        let calls = AtomicUsize::new(0);
        let work = async |outcome: Result<u8, ()>| {
            calls.fetch_add(1, Ordering::Relaxed);
            outcome
        };
        let result = |n| Ok(Arc::new(n));
        assert_eq!(once.ensure("a", work(Err(()))).await, Err(()));
        assert_eq!(once.ensure("a", work(Ok(1))).await, result(1));
        assert_eq!(once.ensure("a", work(Err(()))).await, result(1));
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert_eq!(once.ensure("b", work(Ok(2))).await, result(2));
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn dry_run_is_not_remembered_and_skips_finished_work() {
        let once = Once::default();
        let calls = AtomicUsize::new(0);
        let work = async || {
            calls.fetch_add(1, Ordering::Relaxed);
            Ok::<(), ()>(())
        };
        once.dry_run("a", work()).await.unwrap();
        once.ensure("a", work()).await.unwrap();
        once.dry_run("a", work()).await.unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }
}
