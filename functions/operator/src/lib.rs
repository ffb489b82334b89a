//! The operator function: people, the schedule and the resync's state machine send it
//! commands ([`command`]).

pub mod command;
pub mod connectors;
pub mod dead_letters;
pub mod deadline;
pub mod handler;
pub mod redrive;
pub mod resync;
pub mod status;
pub mod unavailable;
