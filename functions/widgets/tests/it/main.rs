//! The widgets, by answers that the other functions give.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what breaks here must fail the test"
)]

mod actor;
mod fakes;
mod viewer;
