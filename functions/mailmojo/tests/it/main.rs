//! Tests against the strict fake of Mailmojo, through the real consumer.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod check;
mod conformance;
mod crm;
mod hostile;
mod preview;
mod requests;
mod sync;
