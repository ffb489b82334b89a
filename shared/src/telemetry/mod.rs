//! What a function tells its operators: log lines and metrics, both as JSON lines on stdout.
//!
//! Log lines come from [`tracing`]; [`init`] decides their form and level.
//! Metrics are lines in CloudWatch's embedded metric format ([`Metrics`]),
//! which CloudWatch turns into metrics without a call by the function.
//!
//! Whoever logs or counts is answerable for the content: ids of vendors,
//! readers and events only, never personal data, tokens, keys or bodies.

mod logs;
mod metrics;

pub use logs::init;
pub use metrics::{Metrics, NAMESPACE, Unit};
