//! The consumer side: a batch of messages becomes one sync per reader.
//!
//! A connector says only how its CRM is made to agree with a reader (the trait
//! [`Connector`]); batching, credentials, Sesamy, retries and dead
//! letters are the same for all and live here. So do the answers to what a
//! person asks of a connector.

mod actions;
mod batch;
mod changes;
mod check;
mod connector;
mod forget;
mod handler;
mod invocation;
mod outcome;
mod preview;
mod queue;
mod report;
mod retry;
mod runtime;
mod scope;
mod slots;
mod sync;
mod tally;

pub use actions::Answer;
pub use changes::{Changes, ContactChanges, FieldChange, NewValue, TagChanges};
pub use check::Check;
pub use connector::{Account, Connector, EventStream, Job};
pub use forget::{Forgotten, Progress, Steps, Taken, Trail, Whom, is_ours};
pub use handler::Consumer;
pub use outcome::{DeadLetter, DeadLetterKind, Outcome, SkipReason};
pub use preview::{Contact, FieldPlan, FieldTo, Preview, TagPlan, TagReason};
pub use queue::{DeadLetterMessage, Queue, QueueError, SqsQueue, attribute};
pub use runtime::run;
pub use scope::Scope;
pub use tally::{
    LAG_FROM_EVENT, LAG_FROM_RECEIPT, OUTCOME, REASON, RETRIED_AGE, SKIPS, SYNC_DURATION, SYNCS,
};
