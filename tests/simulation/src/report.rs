use std::time::Duration;

use crate::apis::RequestCounts;
use crate::fifo::QueueCounts;
use crate::spread::Spread;

/// The results of a simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulationReport {
    pub queue: QueueCounts,
    /// Messages were left at the end.
    pub is_unfinished: bool,
    /// The other vendor's times from webhook to end of sync.
    pub other: Spread,
    /// Of the first vendor's purchases.
    pub purchases: Spread,
    /// Of the first vendor's events.
    pub events: Spread,
    /// From the start to the end of the first vendor's last event.
    pub all_done: Duration,
    /// The share of Sesamy's rate limit that the first vendor's finished syncs
    /// used while more than 500 of its events were left.
    pub drain: f64,
    pub requests: RequestCounts,
    pub invocations: u64,
}
