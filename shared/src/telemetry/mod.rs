//! Log lines and metrics, both as JSON lines on stdout.
//!
//! Log lines come from [`tracing`]; [`init`] sets their form and level.
//! Metrics are lines in CloudWatch's embedded metric format ([`Metrics`]),
//! which CloudWatch turns into metrics without a call by the function.
//!
//! Every caller must log ids of vendors, users and events only, never personal
//! data, tokens, keys or bodies.

mod logs;
mod metrics;

pub use logs::init;
pub use metrics::{Metrics, NAMESPACE, Unit};
