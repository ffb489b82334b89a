//! The consumer side: a batch of messages becomes one sync per reader.
//!
//! A connector says only how its CRM is made to agree with a reader (the trait
//! [`Connector`]); batching, credentials, Sesamy, retries and dead
//! letters are the same for all and live here.

mod batch;
mod connector;
mod handler;
#[cfg(test)]
mod outage;
mod outcome;
mod queue;
mod report;
mod retry;
mod runtime;
mod sync;
mod tally;

pub use connector::{Changes, Connector, EventStream, Job};
pub use handler::Consumer;
pub use outcome::{DeadLetter, DeadLetterKind, Outcome, SkipReason};
pub use queue::{Letter, Queue, QueueError, SqsQueue, attribute};
pub use runtime::run;
pub use tally::{LAG_FROM_EVENT, LAG_FROM_RECEIPT, OUTCOME, SYNC_DURATION, SYNCS};
