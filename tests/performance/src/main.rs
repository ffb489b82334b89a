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
    let largest = growth(&stage)?;
    limits(&profiles, largest);
    Ok(())
}

/// What is meant to hold, and whether it does. The clock's least is judged
/// where a busy machine would judge itself.
fn limits(profiles: &[Profile], largest: f64) {
    let Some((floor, functions)) = profiles.split_first() else {
        return;
    };
    let worst = |figure: &dyn Fn(&Profile) -> f64| functions.iter().map(figure).fold(0.0, f64::max);
    let webhook = functions
        .iter()
        .filter(|it| it.function == Function::Webhook);
    let first = webhook.map(|it| it.first.wall.least()).fold(0.0, f64::max);
    let held = [
        (
            "init, × hello-world, clock",
            worst(&|it| it.init.wall.least() / floor.init.wall.least()),
            2.0,
        ),
        (
            "init, × hello-world, processor",
            worst(&|it| it.init.cpu.median() / floor.init.cpu.median()),
            2.0,
        ),
        ("first webhook, ms", first, 15.0),
        (
            "memory, typical reader, MB",
            worst(&|it| it.memory.most()),
            24.0,
        ),
        ("memory, largest reader, MB", largest, 64.0),
        ("zipped, MB", worst(&|it| megabytes(it.size.zipped)), 3.0),
    ];
    table("Limits", "| of all functions | at most | limit | held |");
    for (what, figure, limit) in held {
        let verdict = if figure <= limit { "yes" } else { "no" };
        println!("| {what} | {figure:.2} | {limit} | {verdict} |");
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few million bytes")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// Heads a table.
fn table(title: &str, columns: &str) {
    println!("\n## {title}\n\n{columns}");
    let bars = columns.matches('|').count().saturating_sub(1);
    println!("|{}", " --- |".repeat(bars));
}

/// A part of an instance's life.
type Phase = fn(&Profile) -> &measure::Times;

fn starts_and_calls(profiles: &[Profile]) {
    let phases: [(&str, Phase); 4] = [
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

fn sizes(profiles: &[Profile]) {
    table(
        "Size and peak of memory, typical reader",
        "| function | binary MB | zipped MB | memory MB, median | p5…p95 |",
    );
    for profile in profiles {
        println!(
            "| {} | {:.2} | {:.2} | {:.1} | {:.1}…{:.1} |",
            profile.function.name(),
            megabytes(profile.size.plain),
            megabytes(profile.size.zipped),
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

/// Gives the peak of the memory with the largest reader, in MB.
fn growth(stage: &Stage) -> Result<f64> {
    let mut largest: f64 = 0.0;
    table(
        "Growth with contracts, as many entitlements and bills",
        "| connector | contracts | processor ms | least | × per doubling | wall ms | memory MB |",
    );
    for connector in Connector::ALL {
        let growths = measure::by_contracts(stage, connector, &CONTRACTS, 6)?;
        rows(connector, &growths);
        largest = growths.iter().map(|it| it.memory).fold(largest, f64::max);
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
    Ok(largest)
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
