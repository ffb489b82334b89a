//! Limits the memory that responses take.
//!
//! A response is larger in memory than on the wire: `{"":0}` has 6 bytes and
//! takes 660 as a map. So its parsed size is estimated before it is parsed. A
//! response that is too large fails; others wait until enough memory is free.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::CALL_TIMEOUT;
use super::error::ApiErrorKind;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Of a successful response, in bytes. Fits one page of 2,000 contracts of about
/// 1 kB each, the largest user that the system supports.
pub(super) const MAX_BODY: usize = 2 * MIB;

/// Of an error, in bytes.
pub(super) const MAX_ERROR_BODY: usize = 64 * KIB;

/// For all bodies at the same time: 24 of the largest. Five users with four
/// lists each need 20.
const MAX_BODIES: usize = 24 * MAX_BODY;

/// For all responses together, and for one user's responses if it is synced alone:
/// 2,000 contracts, entitlements and bills take about 30 MiB.
const MAX_PARSED: usize = 48 * MIB;

/// For one user's responses while others are synced: about 250 contracts. Five
/// such users, with what is derived from them, [`MAX_BODIES`] and
/// [`MAX_PARSED`] fit into 256 MB.
const MAX_PARSED_BESIDE_OTHERS: usize = 4 * MIB;

/// The smallest node of a map, with the allocator's overhead.
const OBJECT_SIZE: usize = 700;

/// Room for four values.
const LIST_SIZE: usize = 150;

/// The entry's share of a half-full node, a key and a text.
const ENTRY_SIZE: usize = 200;

/// The most bytes that a JSON text takes as [`serde_json::Value`]. Brackets and
/// commas inside strings count too, which only makes the estimate larger.
pub(super) fn parsed_size(body: &[u8]) -> usize {
    let parts = body.iter().map(|byte| match byte {
        b'{' => OBJECT_SIZE,
        b'[' => LIST_SIZE,
        b',' => ENTRY_SIZE,
        _ => 1,
    });
    parts.sum()
}

/// The memory that a function instance has for responses.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    bodies: Arc<Semaphore>,
    parsed: Arc<Semaphore>,
    is_shared: AtomicBool,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self {
            bodies: Arc::new(Semaphore::new(MAX_BODIES)),
            parsed: Arc::new(Semaphore::new(MAX_PARSED)),
            is_shared: AtomicBool::new(false),
        }
    }
}

/// Dropping it returns the memory to the budget.
#[derive(Debug)]
pub(super) struct Reservation(OwnedSemaphorePermit);

impl Reservation {
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let spare = self.0.num_permits().saturating_sub(bytes);
        drop(self.0.split(spare));
    }
}

impl MemoryBudget {
    /// See [`Http::share_memory`](super::Http::share_memory).
    pub(super) fn share(&self, is_shared: bool) {
        self.is_shared.store(is_shared, Ordering::Relaxed);
    }

    /// Call this before the request is sent, so that waiting for memory does
    /// not count as the API's latency.
    pub(super) async fn reserve_body(&self) -> Result<Reservation, ApiErrorKind> {
        reserve(&self.bodies, MAX_BODY).await
    }

    pub(super) async fn reserve_parsed(&self, bytes: usize) -> Result<Reservation, ApiErrorKind> {
        self.check(bytes)?;
        reserve(&self.parsed, bytes).await
    }

    /// Whether one user's responses may have this parsed size together.
    pub(super) fn check(&self, bytes: usize) -> Result<(), ApiErrorKind> {
        if bytes > MAX_PARSED {
            return Err(ApiErrorKind::Malformed(
                "it holds more than fits into memory",
            ));
        }
        if bytes > MAX_PARSED_BESIDE_OTHERS && self.is_shared.load(Ordering::Relaxed) {
            return Err(ApiErrorKind::OutOfMemory);
        }
        Ok(())
    }
}

/// The wait is limited because syncs that hold a reservation may wait for
/// another one, so that two of them could block each other forever.
async fn reserve(semaphore: &Arc<Semaphore>, bytes: usize) -> Result<Reservation, ApiErrorKind> {
    // Callers never ask for more than a semaphore has, which fits into 32 bits.
    let bytes = u32::try_from(bytes).map_err(|_| ApiErrorKind::OutOfMemory)?;
    match timeout(CALL_TIMEOUT, semaphore.clone().acquire_many_owned(bytes)).await {
        Ok(Ok(permit)) => Ok(Reservation(permit)),
        Ok(Err(_)) | Err(_) => Err(ApiErrorKind::OutOfMemory),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn the_parsed_size_is_never_estimated_too_small() {
        // The minimum size of the standard library's types on a 64-bit machine.
        let value = size_of::<serde_json::Value>();
        let node = 11 * (value + size_of::<String>());
        let cases = [
            (r#"{"":0}"#, node),
            (r#"{"":{"":{"":0}}}"#, 3 * node),
            ("[0]", 4 * value),
            ("[[0],[0]]", 3 * 4 * value),
            ("[0,0,0,0,0,0,0,0]", 8 * value),
            ("0", 0),
            ("", 0),
        ];
        for (text, min) in cases {
            let size = parsed_size(text.as_bytes());
            assert!(size >= min, "{text}: {size} of {min}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reservation_waits_for_free_memory() {
        let budget = MemoryBudget::default();
        let mut first = budget.reserve_parsed(MAX_PARSED).await.unwrap();
        let began = Instant::now();
        let (second, ()) = tokio::join!(budget.reserve_parsed(1_000), async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            first.shrink_to(MAX_PARSED - 1_000);
        });
        second.unwrap();
        assert_eq!(began.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_reservation_waits_forever() {
        let budget = MemoryBudget::default();
        let mut reservations = Vec::new();
        for _ in 0..MAX_BODIES / MAX_BODY {
            reservations.push(budget.reserve_body().await.unwrap());
        }
        assert_eq!(
            budget.reserve_body().await.unwrap_err(),
            ApiErrorKind::OutOfMemory
        );
        reservations.pop();
        budget.reserve_body().await.unwrap();
    }

    #[tokio::test]
    async fn a_user_gets_more_memory_alone_than_beside_others() {
        struct Case {
            bytes: usize,
            is_shared: bool,
            error: Option<ApiErrorKind>,
        }
        let case = |bytes, is_shared, error| Case {
            bytes,
            is_shared,
            error,
        };
        let out_of_memory = || Some(ApiErrorKind::OutOfMemory);
        let malformed = || {
            Some(ApiErrorKind::Malformed(
                "it holds more than fits into memory",
            ))
        };
        let cases = [
            case(MAX_PARSED_BESIDE_OTHERS, true, None),
            case(MAX_PARSED_BESIDE_OTHERS + 1, true, out_of_memory()),
            case(MAX_PARSED_BESIDE_OTHERS + 1, false, None),
            case(MAX_PARSED, false, None),
            case(MAX_PARSED + 1, false, malformed()),
            case(MAX_PARSED + 1, true, malformed()),
        ];
        for case in cases {
            let budget = MemoryBudget::default();
            budget.share(case.is_shared);
            let error = budget.reserve_parsed(case.bytes).await.err();
            assert_eq!(error, case.error, "{} {}", case.bytes, case.is_shared);
        }
    }
}
