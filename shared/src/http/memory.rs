//! How much memory the answers of APIs may take, of which a function has little.
//!
//! An answer is larger in memory than on the wire: `{"":0}` has 6 bytes and
//! takes 660 once it is a map. So each answer is weighed before it is parsed,
//! what is too heavy is refused, and what is not waits for its share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::CALL_TIMEOUT;
use super::error::Fault;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Largest body of a success that is read, in bytes. Two thousand contracts of
/// about a kilobyte fit, the largest user that is allowed for, in one page.
pub(super) const LARGEST_ANSWER: usize = 2 * MIB;

/// Largest body of an error that is read, in bytes. Of a larger one the status
/// and the headers count alone.
pub(super) const LARGEST_ERROR: usize = 64 * KIB;

/// How many bytes of bodies are read or kept at the same time: 24 of the
/// largest, where five readers with four lists each ask for 20.
const BODIES: usize = 24 * LARGEST_ANSWER;

/// The heaviest that answers may be together, by [`weigh`]. Also what one
/// reader's may be who is alone in the function: 2,000 contracts, entitlements
/// and bills weigh about 30 MiB.
const HEAVIEST: usize = 48 * MIB;

/// The heaviest that one reader's answers may be beside other readers: those
/// of about 250 contracts. Five such readers, with what is derived of them, and
/// [`BODIES`] and [`HEAVIEST`] fit into 256 MB.
const HEAVIEST_BESIDE_OTHERS: usize = 4 * MIB;

/// What an object takes: the smallest node of a map, with what the allocator adds.
const OBJECT: usize = 700;

/// What a list takes: room for four values.
const LIST: usize = 150;

/// What one more entry of an object or a list takes: its part of a node that is
/// half full, its key and its text.
const ENTRY: usize = 200;

/// How many bytes a JSON text takes at most as [`serde_json::Value`]. What looks
/// like an object or an entry within a text counts too, which does no harm.
pub(super) fn weigh(body: &[u8]) -> usize {
    let parts = body.iter().map(|byte| match byte {
        b'{' => OBJECT,
        b'[' => LIST,
        b',' => ENTRY,
        _ => 1,
    });
    parts.sum()
}

/// The room that a function instance has for answers.
#[derive(Debug)]
pub(super) struct Memory {
    bodies: Arc<Semaphore>,
    values: Arc<Semaphore>,
    /// Whether more than one reader is worked on at the same time.
    is_shared: AtomicBool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            bodies: Arc::new(Semaphore::new(BODIES)),
            values: Arc::new(Semaphore::new(HEAVIEST)),
            is_shared: AtomicBool::new(false),
        }
    }
}

/// A share of the room, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share(OwnedSemaphorePermit);

impl Share {
    /// Gives back all but so much of it.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        let spare = self.0.num_permits().saturating_sub(bytes);
        drop(self.0.split(spare));
    }
}

impl Memory {
    /// Whether more than one reader is worked on from now on.
    pub(super) fn share(&self, is_shared: bool) {
        self.is_shared.store(is_shared, Ordering::Relaxed);
    }

    /// Room for the body of an answer. It is waited for before the call is
    /// made, so that the time a call may take is the API's alone.
    pub(super) async fn for_body(&self) -> Result<Share, Fault> {
        wait_for(&self.bodies, LARGEST_ANSWER).await
    }

    /// Room for the values of an answer of this weight.
    pub(super) async fn for_values(&self, weight: usize) -> Result<Share, Fault> {
        self.check(weight)?;
        wait_for(&self.values, weight).await
    }

    /// Whether one reader's answers may have this weight together.
    pub(super) fn check(&self, weight: usize) -> Result<(), Fault> {
        if weight > HEAVIEST {
            return Err(Fault::Malformed("it holds more than fits into memory"));
        }
        if weight > HEAVIEST_BESIDE_OTHERS && self.is_shared.load(Ordering::Relaxed) {
            return Err(Fault::NoRoom);
        }
        Ok(())
    }
}

/// Waits for a share. No longer than a call may take: whoever holds a share may
/// wait for another one, too.
async fn wait_for(room: &Arc<Semaphore>, bytes: usize) -> Result<Share, Fault> {
    // No more is ever asked for than there is.
    let bytes = u32::try_from(bytes).map_err(|_| Fault::NoRoom)?;
    match timeout(CALL_TIMEOUT, room.clone().acquire_many_owned(bytes)).await {
        Ok(Ok(permit)) => Ok(Share(permit)),
        Ok(Err(_)) | Err(_) => Err(Fault::NoRoom),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn what_is_small_on_the_wire_and_large_in_memory_weighs_what_it_takes() {
        // A text and what it takes at least, in bytes, by the sizes of the
        // standard library's types on a machine of 64 bits.
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
        for (text, least) in cases {
            let weight = weigh(text.as_bytes());
            assert!(weight >= least, "{text}: {weight} of {least}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_room_waits_for_it() {
        let memory = Memory::default();
        let mut first = memory.for_values(HEAVIEST).await.unwrap();
        let began = Instant::now();
        let (second, ()) = tokio::join!(memory.for_values(1_000), async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            first.shrink_to(HEAVIEST - 1_000);
        });
        second.unwrap();
        assert_eq!(began.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let memory = Memory::default();
        let mut held = Vec::new();
        for _ in 0..BODIES / LARGEST_ANSWER {
            held.push(memory.for_body().await.unwrap());
        }
        assert_eq!(memory.for_body().await.unwrap_err(), Fault::NoRoom);
        held.pop();
        memory.for_body().await.unwrap();
    }

    #[tokio::test]
    async fn a_heavy_answer_is_for_one_reader_alone_and_a_heavier_one_for_nobody() {
        // (weight, shared, what becomes of it).
        let cases = [
            (HEAVIEST_BESIDE_OTHERS, true, None),
            (HEAVIEST_BESIDE_OTHERS + 1, true, Some("no room")),
            (HEAVIEST_BESIDE_OTHERS + 1, false, None),
            (HEAVIEST, false, None),
            (HEAVIEST + 1, false, Some("malformed")),
            (HEAVIEST + 1, true, Some("malformed")),
        ];
        for (weight, is_shared, expected) in cases {
            let memory = Memory::default();
            memory.share(is_shared);
            let found = match memory.for_values(weight).await {
                Ok(_) => None,
                Err(Fault::NoRoom) => Some("no room"),
                Err(_) => Some("malformed"),
            };
            assert_eq!(found, expected, "{weight} {is_shared}");
        }
    }
}
