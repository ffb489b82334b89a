//! The deployed stack, seen from outside.
//!
//! `sam build` and `sam deploy` run once for all tests of this program. Each test
//! has its own publishers, so all tests run at the same time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod console;
mod environment;
mod failures;
mod lives;
mod noisy;
mod observed;
mod operator;
mod outage;
mod permissions;
mod programs;
mod resync;
mod samples;
mod sync;
mod upgrade;
mod webhook;
mod widgets;
