//! The operator function: people and the schedule send it commands ([`command`]).
//! A run over all of a vendor's users continues by ticks from the function's
//! own queue ([`resync`]).

pub mod command;
pub mod connectors;
pub mod dead_letters;
pub mod deadline;
pub mod handler;
pub mod redrive;
pub mod resync;
pub mod sqs;
pub mod status;
