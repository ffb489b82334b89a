//! Runs a soak. `SOAK_SEED` repeats an earlier one; `SOAK_SIZE` is `short` or `long` (the
//! default).

#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::{process::ExitCode, time::Instant};

use harness::{Deployer, Deployment, Error, Result};
use soak::{SoakReport, SoakSize, soak};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(report) if report.failures.is_empty() => {
            println!("Nothing was lost.");
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<SoakReport> {
    let seed = match std::env::var("SOAK_SEED") {
        Ok(seed) => seed
            .parse()
            .map_err(|_| Error::new("SOAK_SEED must be a whole number"))?,
        Err(_) => fastrand::u64(..),
    };
    let size = match std::env::var("SOAK_SIZE").as_deref() {
        Err(_) | Ok("long") => SoakSize::LONG,
        Ok("short") => SoakSize::SHORT,
        Ok(_) => return Err(Error::new("SOAK_SIZE must be short or long")),
    };
    println!("SOAK_SEED={seed} repeats this run. Building …");
    let deployer = Deployer::start(|line| println!("  {line}")).await?;
    println!("Deploying …");
    let deployment = Deployment::new("soak").log_level("info");
    let stack = deployer.deploy(&deployment).await?;
    let (chaos, drain) = (size.chaos.as_secs(), size.drain.as_secs());
    println!("Soaking for {chaos} s, then draining for at most {drain} s …");
    let start = Instant::now();
    let report = soak(&stack, seed, size).await?;
    println!("\n{report}\n({} s in total)", start.elapsed().as_secs());
    Ok(report)
}
