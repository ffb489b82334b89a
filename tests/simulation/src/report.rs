//! What came of a run.

use std::time::Duration;

use crate::fifo::Counts;
use crate::spread::Spread;

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What the queue saw.
    pub queue: Counts,
    /// Messages that were left when the run was ended.
    pub is_unfinished: bool,
    /// From an event's webhook to the end of its sync, queue's delay included:
    /// the other vendor's.
    pub other: Spread,
    /// The same of the first vendor's purchases.
    pub purchases: Spread,
    /// The same of the first vendor's events.
    pub events: Spread,
    /// From the start to the end of the first vendor's last event.
    pub all_done: Duration,
    /// Which share of the requests that Sesamy allows the first vendor went
    /// into syncs that came to their end, while more than 500 of its events were left.
    pub drain: f64,
    /// Requests of the first vendor to Sesamy that were answered.
    pub sesamy_answered: u64,
    /// Requests of the first vendor to Sesamy that were refused by its limit.
    pub sesamy_refused: u64,
    /// Calls to the first vendor's CRM while it was in trouble.
    pub crm_in_trouble: u64,
    /// Invocations of the function.
    pub invocations: u64,
}
