//! The soak in its short form, a race, and the table of faults.
//!
//! One local AWS runs a stack for each of them, so that all wait at the same time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what breaks here must fail the test"
)]

mod faults;
mod race;
mod short;
mod stages;
