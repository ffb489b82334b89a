//! Days of outage in seconds: the real consumer on a virtual clock.
//!
//! Two function instances run the consumer itself, with its batching, slots,
//! pauses and waits. Modelled is only what is around it: an SQS FIFO queue
//! ([`fifo`]), Lambda's pollers ([`lambda`]), and the APIs of Sesamy and of a
//! CRM ([`apis`]). tokio's clock jumps from one thing that is due to the next,
//! so a [`Scenario`] of days takes seconds and, with one seed, always ends in
//! the same [`Report`].

#![expect(
    clippy::unwrap_used,
    reason = "a model that breaks must fail the simulation that stands on it"
)]

pub mod apis;
mod crm;
pub mod fifo;
pub mod lambda;
mod report;
mod run;
mod scenario;
mod spread;

pub use report::Report;
pub use run::run;
pub use scenario::{Scenario, Trouble};
pub use spread::Spread;
