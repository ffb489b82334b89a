//! Runs the large scenarios, prints their results and draws the plots of
//! `docs/performance.md`, for `make simulate`.

#![expect(clippy::print_stdout, reason = "prints the results")]

use std::process::ExitCode;
use std::time::Duration;

use plots::{Bars, Error, Plot, Series};
use simulation::{CrmFailure, Scenario, SimulationReport, run};

/// How many users have messages that wait during the outage.
const WAITING: usize = 500;

fn main() -> ExitCode {
    match print_all() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print_all() -> Result<(), Error> {
    let selected = std::env::args().nth(1);
    let is_selected = |part: &str| selected.as_deref().is_none_or(|selected| selected == part);
    if is_selected("outage") {
        print_outages()?;
    }
    if is_selected("noisy") {
        print_noisy_vendors()?;
    }
    if is_selected("bulk") {
        print_bulk_changes()?;
    }
    Ok(())
}

/// The results of scenarios, by their names.
type Results = Vec<(String, SimulationReport)>;

fn draw(plot: Plot<'_>, results: &Results, series: &[Series]) -> Result<(), Error> {
    let names: Vec<_> = results.iter().map(|(name, _)| name.clone()).collect();
    let file = plot.bars(Bars::Grouped, &names, series)?;
    println!("\nPlot: {}", file.display());
    Ok(())
}

/// How long the events of the other vendor took.
fn draw_other_vendor(name: &str, title: &str, results: &Results) -> Result<(), Error> {
    let series = [("p50", 0.5), ("p99", 0.99), ("longest", 1.0)];
    let series = series.map(|(label, share)| {
        let times = results.iter();
        Series::new(
            label,
            times.map(|(_, report)| report.other.at(share).as_secs_f64()),
        )
    });
    let plot = Plot {
        name,
        title,
        unit: "seconds from the webhook of another vendor to the end of its sync",
    };
    draw(plot, results, &series)
}

fn print_outages() -> Result<(), Error> {
    println!("\nA day of outage of one vendor's CRM, {WAITING} users waiting\n");
    println!(
        "| the CRM answers | max receives | dead-letter messages | calls a minute in the outage | all done after it | other vendor p50 | p99 | longest |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let waits = [0, 1, 5, 30, 60, 600].map(Duration::from_secs);
    let rate_limits = waits.map(|wait| {
        let answer = format!("429, wait {} s", wait.as_secs());
        (answer, CrmFailure::AsksToWait(wait))
    });
    let unavailable = ("503, no wait".to_owned(), CrmFailure::Unavailable);
    let (mut results, mut minutes_after) = (Results::new(), Vec::new());
    for (answer, failure) in rate_limits.into_iter().chain([unavailable]) {
        let scenario = Scenario::outage(failure, WAITING);
        let report = run(&scenario);
        let minutes = scenario.fails_for.as_secs_f64() / 60.0;
        println!(
            "| {answer} | {} | {} | {:.1} | {} | {} |",
            report.queue.max_receives,
            dead_letters(&report),
            count(report.requests.crm_while_failing) / minutes,
            span(report.all_done.saturating_sub(scenario.fails_for)),
            other_times(&report),
        );
        let after = report.all_done.saturating_sub(scenario.fails_for);
        minutes_after.push(after.as_secs_f64() / 60.0);
        results.push((answer, report));
    }
    let plot = Plot {
        name: "outage",
        title: "After a day of outage of one vendor's CRM",
        unit: "minutes until all 500 users who waited are synced",
    };
    draw(plot, &results, &[Series::new("minutes", minutes_after)])
}

fn print_bulk_changes() -> Result<(), Error> {
    println!("\nA bulk change of one vendor's users at Sesamy's limit\n");
    println!(
        "| users | max receives | receives on average | dead-letter messages | max in flight | share of Sesamy's limit used | all done | invocations a second | other vendor p50 | p99 | longest |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut results = Results::new();
    for users in [20_000, 100_000] {
        let scenario = Scenario::bulk(users);
        let report = run(&scenario);
        let messages = report.events.count() + report.purchases.count() + report.other.count();
        println!(
            "| {users} | {} | {:.1} | {} | {} | {:.1} % | {} | {:.1} | {} |",
            report.queue.max_receives,
            count(report.queue.receives) / count(messages as u64),
            dead_letters(&report),
            report.queue.max_in_flight,
            report.limit_share * 100.0,
            span(report.all_done),
            count(report.invocations) / report.all_done.as_secs_f64(),
            other_times(&report),
        );
        println!(
            "  (Sesamy answered {} and refused {}; purchases in between: {} p50, {} p99)",
            report.requests.sesamy_answered,
            report.requests.sesamy_refused,
            span(report.purchases.at(0.5)),
            span(report.purchases.at(0.99)),
        );
        results.push((format!("{users} users"), report));
    }
    draw_other_vendor("bulk", "A bulk change of one vendor's users", &results)
}

fn print_noisy_vendors() -> Result<(), Error> {
    println!("\nAnother vendor's events while one vendor is noisy\n");
    println!(
        "| noisy vendor's CRM | max receives | dead-letter messages | max in flight | calls to it | other vendor's events | p50 | p99 | longest |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let s = Duration::from_secs;
    let scenarios = [
        ("is quiet", Scenario::noisy(CrmFailure::None, 0)),
        ("hangs, 500 wait", Scenario::noisy(CrmFailure::Hangs, 500)),
        (
            "refuses connections, 500 wait",
            Scenario::noisy(CrmFailure::RefusesConnections, 500),
        ),
        (
            "trickles, 9 s a call, 500 wait",
            Scenario::noisy(CrmFailure::IsSlow(s(9)), 500),
        ),
        (
            "is slow, 4.9 s a call, 500 wait",
            Scenario::noisy(CrmFailure::IsSlow(s(49) / 10), 500),
        ),
        (
            "is just not slow, 2.9 s a call, 500 wait",
            Scenario::noisy(CrmFailure::IsSlow(s(29) / 10), 500),
        ),
        (
            "answers 429 with 0 s, 500 wait",
            Scenario::noisy(CrmFailure::AsksToWait(s(0)), 500),
        ),
        (
            "answers 503, 500 wait",
            Scenario::noisy(CrmFailure::Unavailable, 500),
        ),
        (
            "floods: 120,000 events in 40 minutes",
            Scenario::flood(120_000),
        ),
    ];
    let mut results = Results::new();
    for (name, scenario) in scenarios {
        let report = run(&scenario);
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} |",
            report.queue.max_receives,
            report.queue.dead_letters,
            report.queue.max_in_flight,
            report.requests.crm_while_failing,
            report.other.count(),
            other_times(&report),
        );
        results.push((name.to_owned(), report));
    }
    draw_other_vendor("noisy", "A noisy vendor, whose CRM …", &results)
}

fn dead_letters(report: &SimulationReport) -> String {
    let suffix = if report.is_unfinished {
        ", unfinished"
    } else {
        ""
    };
    format!("{}{suffix}", report.queue.dead_letters)
}

fn other_times(report: &SimulationReport) -> String {
    let at = |share| format!("{:.1} s", report.other.at(share).as_secs_f64());
    format!("{} | {} | {}", at(0.5), at(0.99), at(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}

fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..120.0 => format!("{seconds:.1} s"),
        ..7200.0 => format!("{:.1} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}
