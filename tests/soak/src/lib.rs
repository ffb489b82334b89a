//! Proves that no event is lost.
//!
//! A soak sends the events of many users of two publishers to the deployed stack
//! while everything around it fails: API calls fail at random, functions are
//! killed while they work, credentials change. In the end each CRM must hold
//! exactly what is derived from the users' last states at Sesamy, and the
//! dead-letter queues exactly the events of users that a CRM never accepts.
//!
//! [`soak`] runs one. The tests of this crate run a short one beside a table of
//! faults.

mod chaos;
pub mod leaks;
mod plan;
mod publisher;
mod report;
mod run;
mod users;
mod verify;

pub use plan::SoakSize;
pub use publisher::{Publisher, webhook_secret};
pub use report::SoakReport;
pub use run::soak;
