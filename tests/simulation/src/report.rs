use std::time::Duration;

use crate::apis::RequestCounts;
use crate::fifo::QueueCounts;
use crate::spread::Spread;

/// The results of a simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulationReport {
    pub queue: QueueCounts,
    /// Whether messages were left at the end.
    pub is_unfinished: bool,
    /// How long the other vendor's events took, from the webhook to the end of the sync.
    pub other: Spread,
    /// How long the first vendor's purchases took.
    pub purchases: Spread,
    /// How long the first vendor's events took.
    pub events: Spread,
    /// When the last sync of the first vendor's events ended.
    pub all_done: Duration,
    /// The share of Sesamy's rate limit that the first vendor's syncs used until only 500
    /// of its events were left.
    pub limit_share: f64,
    pub requests: RequestCounts,
    pub invocations: u64,
}
