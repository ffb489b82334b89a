//! Simulates days of outage in seconds: the real consumer on a virtual clock.
//!
//! Two function instances run the real consumer, with its batching, slots, pauses and
//! waits. Only its environment is modelled: an SQS FIFO queue ([`fifo`]), Lambda's pollers
//! ([`lambda`]), and the APIs of Sesamy and of a CRM ([`apis`]). Tokio's clock jumps from
//! one timer to the next, so a [`Scenario`] of days takes seconds. A seed always gives the
//! same [`SimulationReport`].

#![expect(
    clippy::unwrap_used,
    reason = "a broken model must fail its simulation"
)]

pub mod apis;
mod crm;
pub mod fifo;
pub mod lambda;
mod report;
mod run;
mod scenario;
mod spread;

pub use report::SimulationReport;
pub use run::run;
pub use scenario::{CrmFailure, Scenario};
pub use spread::Spread;
