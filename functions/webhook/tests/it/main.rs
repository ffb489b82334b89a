//! The function's binary in a fake Lambda, with the AWS SDK calling a fake AWS.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code, which clippy knows only inside of test functions"
)]

mod fake;
mod process;
