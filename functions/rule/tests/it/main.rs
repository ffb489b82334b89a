//! Tests against the strict fake of Rule, through the real consumer.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod check;
mod clearing;
mod conformance;
mod crm;
mod events;
mod hostile;
mod preview;
mod requests;
mod sync;
