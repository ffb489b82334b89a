//! Prints what the functions cost, and draws the plots of `docs/performance.md`.
//! `make bench` builds the functions first.
//!
//! `BENCH_STARTS` is how often each function is started (default 30).

#![expect(clippy::print_stdout, reason = "prints the report")]

mod plot;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use perf::measure::{self, CostSamples, FunctionProfile, LARGEST, MAX_BATCH, SizeCost, TYPICAL};
use perf::price::{self, Times};
use perf::{ConnectorKind, Fixture, Function};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const DEFAULT_STARTS: usize = 30;

/// How many events each instance handles after its first.
const WARM: usize = 20;

/// The numbers of contracts whose syncs are compared.
const CONTRACTS: [usize; 9] = [1, 5, 31, 62, 125, 250, 500, 1_000, LARGEST];

/// The numbers of users whose batches are compared.
const USERS: [usize; 5] = [1, 2, 4, 8, 10];

/// How soon every API answers, for the price of an event.
const LATENCY: Duration = Duration::from_millis(100);

/// The connectors of the vendor whose events are priced.
const PRICED: [ConnectorKind; 3] = [
    ConnectorKind::Rule,
    ConnectorKind::Mailmojo,
    ConnectorKind::Make,
];

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
    let languages = measure::languages(&fixture, starts)?;
    print_languages(&languages);
    print_sizes(&profiles);
    print_rates(&fixture)?;
    print_calls(&fixture)?;
    let by_contracts =
        growth(|connector| measure::by_contracts(&fixture, connector, &CONTRACTS, 6))?;
    print_growth("contracts, as many entitlements and bills", &by_contracts);
    let by_users = growth(|connector| measure::by_users(&fixture, connector, &USERS, 30))?;
    print_growth("users of a batch", &by_users);
    let money = price(&fixture, &profiles)?;
    print_money(&money);
    print_limits(&profiles, &by_contracts);
    println!("\nPlots:");
    for file in [
        plot::starts(&profiles)?,
        plot::languages(&languages)?,
        plot::growth("growth-contracts", "contracts", &CONTRACTS, &by_contracts)?,
        plot::growth("growth-users", "users of a batch", &USERS, &by_users)?,
        plot::money(&money)?,
    ] {
        println!("{}", file.display());
    }
    Ok(())
}

/// Wall-clock limits apply to the minimum, because a busy machine distorts the
/// median.
fn print_limits(profiles: &[FunctionProfile], by_contracts: &Growth) {
    let Some((baseline, functions)) = profiles.split_first() else {
        return;
    };
    let costs = by_contracts.iter().flat_map(|(_, costs)| costs);
    let largest_user = costs.map(|cost| cost.memory).fold(0.0, f64::max);
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

fn print_languages(languages: &[(Function, CostSamples)]) {
    print_header(
        "Init and first invocation in other languages, bare loops of the Runtime API",
        "| function | median ms | × hello-world | processor: median ms | × hello-world |",
    );
    let baseline = languages.first().map(|(_, cost)| cost);
    for (function, cost) in languages {
        let ratio = |figure: fn(&CostSamples) -> f64| {
            baseline.map_or(0.0, |baseline| figure(cost) / figure(baseline))
        };
        println!(
            "| {} | {:.2} | {:.1} | {:.2} | {:.1} |",
            function.name(),
            cost.wall.median(),
            ratio(|cost| cost.wall.median()),
            cost.cpu.median(),
            ratio(|cost| cost.cpu.median()),
        );
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

/// What a million events cost, for batches of one and of ten users.
type Prices = Vec<(String, Vec<(&'static str, f64)>)>;

fn price(fixture: &Fixture, profiles: &[FunctionProfile]) -> Result<Prices> {
    let webhook = profiles.iter();
    let mut webhook = webhook.filter(|profile| profile.function == Function::Webhook);
    let webhook = webhook.next().map(|profile| profile.warm.cpu.median());
    let mut prices = Vec::new();
    for (form, users) in [("batches of one", 1), ("batches of ten", MAX_BATCH)] {
        let (mut batches, mut batch_cpu) = (Vec::new(), Vec::new());
        for connector in PRICED {
            let cost = measure::batches(fixture, connector, users, LATENCY)?;
            batches.push(cost.wall.median() / 1e3);
            batch_cpu.push(cost.cpu.median() / 1e3);
        }
        let times = Times {
            webhook_cpu: webhook.unwrap_or_default() / 1e3,
            batches,
            batch_cpu,
            batch: f64::from(u32::try_from(users)?),
        };
        prices.push((form.to_owned(), price::per_million(&times)));
    }
    Ok(prices)
}

fn print_money(prices: &Prices) {
    let forms = prices.iter().map(|(form, _)| format!(" {form} |"));
    print_header(
        "US dollars per million events",
        &format!("| |{}", forms.collect::<String>()),
    );
    let lines = prices.first().map_or(0, |(_, lines)| lines.len());
    for line in 0..lines {
        let of_line = prices.iter().filter_map(|(_, lines)| lines.get(line));
        let (names, figures): (Vec<_>, Vec<_>) = of_line.copied().unzip();
        print_prices(names.first().copied().unwrap_or_default(), &figures);
    }
    let sum = |(_, lines): &(String, Vec<(&str, f64)>)| lines.iter().map(|(_, price)| price).sum();
    print_prices("**sum**", &prices.iter().map(sum).collect::<Vec<_>>());
}

fn print_prices(name: &str, prices: &[f64]) {
    let prices = prices.iter().map(|price| format!(" {price:.2} |"));
    println!("| {name} |{}", prices.collect::<String>());
}

type Growth = Vec<(ConnectorKind, Vec<SizeCost>)>;

fn growth(measure: impl Fn(ConnectorKind) -> perf::Result<Vec<SizeCost>>) -> Result<Growth> {
    let connectors = ConnectorKind::ALL.into_iter();
    let measured = connectors.map(|connector| Ok((connector, measure(connector)?)));
    measured.collect()
}

fn print_growth(of: &str, growth: &Growth) {
    print_header(
        &format!("Growth with the {of}"),
        "| connector | size | processor ms | min | × per doubling | wall ms | memory MB |",
    );
    for (connector, costs) in growth {
        print_rows(*connector, costs);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand contracts")]
fn print_rows(connector: ConnectorKind, rows: &[SizeCost]) {
    let mut previous: Option<&SizeCost> = None;
    for row in rows {
        let cost = &row.cost;
        let per_doubling = previous.map_or_else(String::new, |previous| {
            let doublings = (row.size as f64 / previous.size as f64).log2();
            let factor = cost.cpu.median() / previous.cost.cpu.median();
            format!("{:.2}", factor.powf(1.0 / doublings))
        });
        println!(
            "| {} | {} | {:.2} | {:.2} | {per_doubling} | {:.2} | {:.1} |",
            connector.as_str(),
            row.size,
            cost.cpu.median(),
            cost.cpu.min(),
            cost.wall.median(),
            row.memory,
        );
        previous = Some(row);
    }
}
