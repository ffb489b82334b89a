//! A long soak: `SOAK_SEED` repeats one, `SOAK_SIZE` is `short` or `long`.

#![expect(clippy::print_stdout, reason = "it tells a person what it did")]

use std::{process::ExitCode, time::Instant};

use local_aws::{Error, Result};
use soak::{Report, Size, Stage, soak};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(report) if report.wrong.is_empty() => {
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

async fn run() -> Result<Report> {
    let seed = match std::env::var("SOAK_SEED") {
        Ok(seed) => seed
            .parse()
            .map_err(|_| Error::new("SOAK_SEED must be a whole number"))?,
        Err(_) => fastrand::u64(..),
    };
    let size = match std::env::var("SOAK_SIZE").as_deref() {
        Err(_) | Ok("long") => Size::LONG,
        Ok("short") => Size::SHORT,
        Ok(_) => return Err(Error::new("SOAK_SIZE must be short or long")),
    };
    println!("SOAK_SEED={seed} repeats this run. Building …");
    let stage = Stage::set(|line| println!("  {line}")).await?;
    println!("Deploying …");
    let deployed = stage.deploy("soak", "info").await?;
    let (chaos, drain) = (size.chaos.as_secs(), size.drain.as_secs());
    println!("Soaking: {chaos} s, and {drain} s at most until all is done …");
    let start = Instant::now();
    let report = soak(&deployed, seed, size).await?;
    println!("\n{report}\n({} s in all)", start.elapsed().as_secs());
    Ok(report)
}
