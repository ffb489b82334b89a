//! Runs the large scenarios and prints their results, for `make simulate`.

#![expect(clippy::print_stdout, reason = "prints the results")]

use std::time::Duration;

use simulation::{CrmFailure, Scenario, SimulationReport, run};

/// How many users have messages that wait during the outage.
const WAITING: usize = 500;

fn main() {
    let selected = std::env::args().nth(1);
    let is_selected = |part: &str| selected.as_deref().is_none_or(|selected| selected == part);
    if is_selected("outage") {
        print_outages();
    }
    if is_selected("noisy") {
        print_noisy_vendors();
    }
    if is_selected("bulk") {
        print_bulk_changes();
    }
}

fn print_outages() {
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
    }
}

fn print_bulk_changes() {
    println!("\nA bulk change of one vendor's users at Sesamy's limit\n");
    println!(
        "| users | max receives | receives on average | dead-letter messages | max in flight | share of Sesamy's limit used | all done | invocations a second | other vendor p50 | p99 | longest |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
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
    }
}

fn print_noisy_vendors() {
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
    }
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
