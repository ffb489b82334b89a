//! The derivation's rules as readable cases and as properties.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod baseline;
mod cases;
mod definitions;
mod events;
mod files;
mod generate;
mod models;
mod properties;
mod slugs;
mod tag_diffs;
mod time;
