use std::time::Duration;

use tokio::time::Instant;

/// Time kept for the last call under way, for deleting what it sent, and for the answer.
const RESERVE: Duration = Duration::from_secs(12);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// When to stop beginning new work.
    pub work: Instant,
    /// When Lambda ends the invocation.
    pub end: Instant,
}

impl Deadline {
    pub fn after(time_left: Duration) -> Self {
        let now = Instant::now();
        Self {
            work: now + time_left.saturating_sub(RESERVE),
            end: now + time_left,
        }
    }
}
