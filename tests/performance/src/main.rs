//! Prints what the functions cost. `make bench` builds them first.
//!
//! `BENCH_STARTS` is how often each is started (30 unless set).

#![expect(clippy::print_stdout, reason = "it tells a person what it measured")]

use std::process::ExitCode;
use std::time::Duration;

use performance::measure::{self, Growth, LARGEST, Profile, TYPICAL};
use performance::{Connector, Function, Result, Stage};

/// How often each function is started unless told otherwise.
const STARTS: usize = 30;

/// Events that each instance handles after its first.
const WARM: usize = 20;

/// Contracts of the readers whose syncs are compared.
const CONTRACTS: [usize; 9] = [1, 5, 31, 62, 125, 250, 500, 1_000, LARGEST];

/// Readers of the batches that are compared.
const READERS: [usize; 5] = [1, 2, 4, 8, 10];

fn main() -> ExitCode {
    let starts = std::env::var("BENCH_STARTS").ok();
    let starts = starts.and_then(|number| number.parse().ok());
    match bench(starts.unwrap_or(STARTS)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(starts: usize) -> Result<()> {
    let stage = Stage::set()?;
    println!(
        "Each function started {starts} times, in turn; {WARM} more events for each instance."
    );
    println!("A typical reader has {TYPICAL} contracts, as many entitlements and as many bills.");
    let profiles = measure::profiles(&stage, starts, WARM)?;
    starts_and_calls(&profiles);
    sizes(&profiles);
    rates(&stage)?;
    calls(&stage)?;
    growth(&stage)
}

/// Heads a table.
fn table(title: &str, columns: &str) {
    println!("\n## {title}\n\n{columns}");
    let bars = columns.matches('|').count().saturating_sub(1);
    println!("|{}", " --- |".repeat(bars));
}

/// What of a function is timed, and how it is called.
type Phase = (&'static str, fn(&Profile) -> &measure::Times);

fn starts_and_calls(profiles: &[Profile]) {
    let phases: [Phase; 4] = [
        (
            "Init: from the start of the process to its first poll",
            |it| &it.init,
        ),
        ("First invocation", |it| &it.first),
        ("Init and first invocation", |it| &it.cold),
        ("Warm invocation", |it| &it.warm),
    ];
    for (title, times) in phases {
        table(
            title,
            "| function | median ms | p5…p95 | × hello-world | least | × hello-world | processor: median ms | × hello-world | least |",
        );
        let floor = profiles.first().map(times);
        for profile in profiles {
            let times = times(profile);
            let ratio =
                |of: fn(&measure::Times) -> f64| floor.map_or(0.0, |floor| of(times) / of(floor));
            println!(
                "| {} | {:.2} | {:.2}…{:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
                profile.function.name(),
                times.wall.median(),
                times.wall.at(0.05),
                times.wall.at(0.95),
                ratio(|times| times.wall.median()),
                times.wall.least(),
                ratio(|times| times.wall.least()),
                times.cpu.median(),
                ratio(|times| times.cpu.median()),
                times.cpu.least(),
            );
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few million bytes")]
fn sizes(profiles: &[Profile]) {
    table(
        "Size and peak of memory, typical reader",
        "| function | binary MB | zipped MB | memory MB, median | p5…p95 |",
    );
    for profile in profiles {
        println!(
            "| {} | {:.2} | {:.2} | {:.1} | {:.1}…{:.1} |",
            profile.function.name(),
            profile.size.plain as f64 / 1e6,
            profile.size.zipped as f64 / 1e6,
            profile.memory.median(),
            profile.memory.at(0.05),
            profile.memory.at(0.95),
        );
    }
}

fn rates(stage: &Stage) -> Result<()> {
    table(
        "What one instance sustains",
        "| function | what | others answer after ms | per second |",
    );
    let webhook = measure::rate(stage, Function::Webhook, Duration::ZERO, 2_000)?;
    println!("| webhook | events | 0 | {:.0} |", webhook.per_second);
    for connector in Connector::ALL {
        for (latency, batches) in [(0, 50), (100, 5)] {
            let latency = Duration::from_millis(latency);
            let rate = measure::rate(stage, Function::Consumer(connector), latency, batches)?;
            println!(
                "| {} | syncs, ten readers a batch | {} | {:.1} |",
                connector.name(),
                rate.latency.as_millis(),
                rate.per_second
            );
        }
    }
    Ok(())
}

fn calls(stage: &Stage) -> Result<()> {
    table(
        "Calls of a sync",
        "| connector | sync | tokens of Sesamy | reads of Sesamy | calls of the CRM |",
    );
    for connector in Connector::ALL {
        for (sync, calls) in measure::calls(stage, connector)? {
            println!(
                "| {} | {sync} | {} | {} | {} |",
                connector.name(),
                calls.tokens,
                calls.reads,
                calls.crm
            );
        }
    }
    Ok(())
}

fn growth(stage: &Stage) -> Result<()> {
    table(
        "Growth with contracts, as many entitlements and bills",
        "| connector | contracts | processor ms | least | × per doubling | wall ms | memory MB |",
    );
    for connector in Connector::ALL {
        rows(
            connector,
            &measure::by_contracts(stage, connector, &CONTRACTS, 6)?,
        );
    }
    table(
        "Growth with the readers of a batch",
        "| connector | readers | processor ms | least | × per doubling | wall ms | memory MB |",
    );
    for connector in Connector::ALL {
        rows(
            connector,
            &measure::by_readers(stage, connector, &READERS, 30)?,
        );
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand contracts")]
fn rows(connector: Connector, growths: &[Growth]) {
    let mut before: Option<&Growth> = None;
    for growth in growths {
        let per_doubling = before.map(|before| {
            let doublings = (growth.size as f64 / before.size as f64).log2();
            let times = growth.times.cpu.median() / before.times.cpu.median();
            times.powf(1.0 / doublings)
        });
        println!(
            "| {} | {} | {:.2} | {:.2} | {} | {:.2} | {:.1} |",
            connector.name(),
            growth.size,
            growth.times.cpu.median(),
            growth.times.cpu.least(),
            per_doubling.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            growth.times.wall.median(),
            growth.memory,
        );
        before = Some(growth);
    }
}
