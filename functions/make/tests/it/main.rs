//! Tests against the strict fake of Make.as, through the real consumer.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod check;
mod conformance;
mod crm;
mod forget;
mod hostile;
mod preview;
mod requests;
mod sync;
