//! What this connector owes, each against the strict fake of Make.as.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod check;
mod forget;
mod hostile;
mod preview;
mod requests;
mod sync;
