//! The consumer with a fake of Sesamy, a scripted connector and an in-memory queue.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod actions;
mod alone;
mod batches;
mod checks;
mod credentials;
mod dead_letters;
mod hostile;
mod lists;
mod lives;
mod logs;
mod missing_user;
mod pauses;
mod scripted;
mod unconfirmed;
