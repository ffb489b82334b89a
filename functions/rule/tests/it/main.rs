//! What this connector owes, each against the strict fake of Rule.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod check;
mod clearing;
mod events;
mod forget;
mod hostile;
mod preview;
mod requests;
mod sync;
