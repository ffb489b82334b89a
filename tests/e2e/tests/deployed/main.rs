//! The deployed stack, seen from outside.
//!
//! `sam build` and `sam deploy` run once for all tests of this program; each
//! test has publishers of its own, so that all of them run at the same time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what breaks here must fail the test"
)]

mod failures;
mod noisy;
mod observed;
mod operator;
mod outage;
mod permissions;
mod samples;
mod stage;
mod sync;
mod upgrade;
mod webhook;
