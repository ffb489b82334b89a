//! The soak in its short form, a race, the table of faults, and a resync.
//!
//! One local AWS runs a stack for each of them, so that all wait at the same time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what breaks here must fail the test"
)]

mod faults;
mod race;
mod resync;
mod short;
mod stages;
