//! Tests that no event is lost.
//!
//! A soak sends events of many users of two publishers, which use every CRM, to the
//! deployed stack. Meanwhile API calls fail at random, functions are killed, and
//! credentials change; users change their addresses, share them and are deleted, and access
//! ends by time. At the end each CRM must have exactly the contacts derived from the users'
//! last states at Sesamy, none of our data on any other contact, and the publisher's data
//! and consent untouched; and the dead-letter queues exactly the events of users that a CRM
//! never accepts.
//!
//! [`soak()`] runs one. The tests of this crate run a short soak and a table of faults.

mod chaos;
mod contacts;
pub mod leaks;
mod memory;
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
