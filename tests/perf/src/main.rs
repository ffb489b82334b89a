//! Prints what the functions cost. `make bench` builds them first.
//!
//! `BENCH_STARTS` is how often each function is started (default 30).

#![expect(clippy::print_stdout, reason = "prints the report")]

use std::process::ExitCode;
use std::time::Duration;

use perf::measure::{self, CostSamples, FunctionProfile, LARGEST, SizeCost, TYPICAL};
use perf::{ConnectorKind, Fixture, Function, Result};

const DEFAULT_STARTS: usize = 30;

/// How many events each instance handles after its first.
const WARM: usize = 20;

/// The numbers of contracts whose syncs are compared.
const CONTRACTS: [usize; 9] = [1, 5, 31, 62, 125, 250, 500, 1_000, LARGEST];

/// The numbers of users whose batches are compared.
const USERS: [usize; 5] = [1, 2, 4, 8, 10];

fn main() -> ExitCode {
    let starts = std::env::var("BENCH_STARTS").ok();
    let starts = starts.and_then(|number| number.parse().ok());
    match run(starts.unwrap_or(DEFAULT_STARTS)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(starts: usize) -> Result<()> {
    let fixture = Fixture::start()?;
    println!("Each function started {starts} times, in turn; {WARM} more events per instance.");
    println!("A typical user has {TYPICAL} contracts, as many entitlements and as many bills.");
    let profiles = measure::profiles(&fixture, starts, WARM)?;
    print_invocations(&profiles);
    print_sizes(&profiles);
    print_rates(&fixture)?;
    print_calls(&fixture)?;
    let largest = print_growth(&fixture)?;
    print_limits(&profiles, largest);
    Ok(())
}

/// Wall-clock limits apply to the minimum, because a busy machine distorts the
/// median.
fn print_limits(profiles: &[FunctionProfile], largest_user: f64) {
    let Some((baseline, functions)) = profiles.split_first() else {
        return;
    };
    let max =
        |figure: &dyn Fn(&FunctionProfile) -> f64| functions.iter().map(figure).fold(0.0, f64::max);
    let limits = [
        (
            "init, × hello-world, clock",
            max(&|profile| profile.init.wall.min() / baseline.init.wall.min()),
            2.0,
        ),
        (
            "init, × hello-world, processor",
            max(&|profile| profile.init.cpu.median() / baseline.init.cpu.median()),
            2.0,
        ),
        (
            "first webhook, ms",
            max(&|profile| match profile.function {
                Function::Webhook => profile.first.wall.min(),
                _ => 0.0,
            }),
            15.0,
        ),
        (
            "memory, typical user, MB",
            max(&|profile| profile.memory.max()),
            24.0,
        ),
        ("memory, largest user, MB", largest_user, 64.0),
        (
            "zipped, MB",
            max(&|profile| megabytes(profile.size.zipped)),
            3.5,
        ),
    ];
    print_header("Limits", "| of all functions | max | limit | met |");
    for (name, figure, limit) in limits {
        let met = if figure <= limit { "yes" } else { "no" };
        println!("| {name} | {figure:.2} | {limit} | {met} |");
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few million bytes")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn print_header(title: &str, columns: &str) {
    println!("\n## {title}\n\n{columns}");
    let columns = columns.matches('|').count().saturating_sub(1);
    println!("|{}", " --- |".repeat(columns));
}

type Phase = fn(&FunctionProfile) -> &CostSamples;

fn print_invocations(profiles: &[FunctionProfile]) {
    let phases: [(&str, Phase); 4] = [
        (
            "Init: from the start of the process to its first poll",
            |profile| &profile.init,
        ),
        ("First invocation", |profile| &profile.first),
        ("Init and first invocation", |profile| &profile.cold),
        ("Warm invocation", |profile| &profile.warm),
    ];
    for (title, phase) in phases {
        print_header(
            title,
            "| function | median ms | p5…p95 | × hello-world | min | × hello-world | processor: median ms | × hello-world | min |",
        );
        let baseline = profiles.first().map(phase);
        for profile in profiles {
            let cost = phase(profile);
            let ratio = |figure: fn(&CostSamples) -> f64| {
                baseline.map_or(0.0, |baseline| figure(cost) / figure(baseline))
            };
            println!(
                "| {} | {:.2} | {:.2}…{:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |",
                profile.function.name(),
                cost.wall.median(),
                cost.wall.quantile(0.05),
                cost.wall.quantile(0.95),
                ratio(|cost| cost.wall.median()),
                cost.wall.min(),
                ratio(|cost| cost.wall.min()),
                cost.cpu.median(),
                ratio(|cost| cost.cpu.median()),
                cost.cpu.min(),
            );
        }
    }
}

fn print_sizes(profiles: &[FunctionProfile]) {
    print_header(
        "Size and peak memory, typical user",
        "| function | binary MB | zipped MB | memory MB, median | p5…p95 |",
    );
    for profile in profiles {
        println!(
            "| {} | {:.2} | {:.2} | {:.1} | {:.1}…{:.1} |",
            profile.function.name(),
            megabytes(profile.size.plain),
            megabytes(profile.size.zipped),
            profile.memory.median(),
            profile.memory.quantile(0.05),
            profile.memory.quantile(0.95),
        );
    }
}

fn print_rates(fixture: &Fixture) -> Result<()> {
    print_header(
        "Throughput of one instance",
        "| function | of | APIs answer after ms | per second |",
    );
    let rate = measure::events_per_second(fixture, Function::Webhook, Duration::ZERO, 2_000)?;
    println!("| webhook | events | 0 | {rate:.0} |");
    for connector in ConnectorKind::ALL {
        for (milliseconds, batches) in [(0, 50), (100, 5)] {
            let latency = Duration::from_millis(milliseconds);
            let function = Function::Consumer(connector);
            let rate = measure::events_per_second(fixture, function, latency, batches)?;
            println!(
                "| {} | syncs, ten users a batch | {milliseconds} | {rate:.1} |",
                connector.as_str(),
            );
        }
    }
    Ok(())
}

fn print_calls(fixture: &Fixture) -> Result<()> {
    print_header(
        "Calls of a sync",
        "| connector | sync | Sesamy tokens | Sesamy reads | CRM calls |",
    );
    for connector in ConnectorKind::ALL {
        for (sync, calls) in measure::calls(fixture, connector)? {
            println!(
                "| {} | {sync} | {} | {} | {} |",
                connector.as_str(),
                calls.sesamy_tokens,
                calls.sesamy_reads,
                calls.crm
            );
        }
    }
    Ok(())
}

/// Returns the highest peak memory, in MB.
fn print_growth(fixture: &Fixture) -> Result<f64> {
    let mut largest: f64 = 0.0;
    print_header(
        "Growth with contracts, as many entitlements and bills",
        "| connector | contracts | processor ms | min | × per doubling | wall ms | memory MB |",
    );
    for connector in ConnectorKind::ALL {
        let costs = measure::by_contracts(fixture, connector, &CONTRACTS, 6)?;
        print_rows(connector, &costs);
        largest = costs
            .iter()
            .map(|profile| profile.memory)
            .fold(largest, f64::max);
    }
    print_header(
        "Growth with the users of a batch",
        "| connector | users | processor ms | min | × per doubling | wall ms | memory MB |",
    );
    for connector in ConnectorKind::ALL {
        print_rows(
            connector,
            &measure::by_users(fixture, connector, &USERS, 30)?,
        );
    }
    Ok(largest)
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand contracts")]
fn print_rows(connector: ConnectorKind, rows: &[SizeCost]) {
    let mut previous: Option<&SizeCost> = None;
    for row in rows {
        let per_doubling = previous.map_or_else(String::new, |previous| {
            let doublings = (row.size as f64 / previous.size as f64).log2();
            let factor = row.cost.cpu.median() / previous.cost.cpu.median();
            format!("{:.2}", factor.powf(1.0 / doublings))
        });
        println!(
            "| {} | {} | {:.2} | {:.2} | {per_doubling} | {:.2} | {:.1} |",
            connector.as_str(),
            row.size,
            row.cost.cpu.median(),
            row.cost.cpu.min(),
            row.cost.wall.median(),
            row.memory,
        );
        previous = Some(row);
    }
}
