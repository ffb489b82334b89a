//! Proof that nothing is lost.
//!
//! A soak drives the deployed stack with the events of many readers of two
//! publishers while everything around it fails: every API now and then,
//! functions that are killed at work, credentials that are changed. At its end
//! each CRM must hold exactly what the readers' last states at Sesamy come to,
//! and the dead-letter queues exactly the readers no CRM will ever take.
//!
//! [`soak`] runs one; the tests of this crate run a short one beside a table of
//! faults ([`Deployed`] is what both look at the stack through).

mod chaos;
mod crm;
mod deployed;
mod expect;
pub mod marks;
mod plan;
mod publisher;
mod readers;
mod report;
mod run;
mod stage;

pub use crm::Crm;
pub use deployed::{Deployed, Letter, SyncLine};
pub use plan::Size;
pub use publisher::Publisher;
pub use report::Report;
pub use run::soak;
pub use stage::Stage;
