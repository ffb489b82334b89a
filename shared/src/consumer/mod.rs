//! A connector's Lambda function: a batch of messages becomes one sync per user.
//!
//! Batching, retries and dead-letter messages are the same for all connectors.

mod batch;
mod handler;
mod metrics;
mod queue;
mod report;
mod retry;
mod runtime;
mod settle;
mod slots;

pub use handler::Consumer;
pub use metrics::{
    LAG_FROM_EVENT, LAG_FROM_RECEIPT, OUTCOME, REASON, RETRIED_AGE, SKIPS, SYNC_DURATION, SYNCS,
};
pub use queue::{Queue, SqsQueues, attribute};
pub use runtime::run;
