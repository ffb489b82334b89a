use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};

/// The real time, and how far a test is ahead of it.
#[derive(Clone, Default)]
pub struct TestClock(Arc<Mutex<SignedDuration>>);

impl TestClock {
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + *self.0.lock().unwrap()
    }

    pub fn advance(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }
}
