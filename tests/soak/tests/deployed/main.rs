//! A short soak, a race, the table of faults and a resync.
//!
//! One local AWS runs a stack for each test, so that tests run beside each other.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod faults;
mod race;
mod resync;
mod short;

use harness::{Deployer, Deployment, Result, SharedSetup, Stack};

/// Runs a test on its own stack.
fn run_test(deployment: Deployment, test: impl AsyncFnOnce(Stack<'static>) -> Result<()>) {
    static SETUP: SharedSetup<Deployer> = SharedSetup::new();
    SETUP.run_test(
        async || Deployer::start(|_| {}).await,
        async |deployer| test(deployer.deploy(&deployment).await?).await,
    );
}
