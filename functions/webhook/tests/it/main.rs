//! The function's binary in a fake Lambda, with the AWS SDK calling a fake AWS.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy recognises only test functions as tests, not their helpers"
)]

mod fake;
mod process;
