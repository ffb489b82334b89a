//! Tests against the strict fake of HubSpot, through the real consumer.

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
mod moving;
mod preview;
mod requests;
mod sync;
