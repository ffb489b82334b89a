//! Prints the tables of `make simulate`.

#![expect(clippy::print_stdout, reason = "prints the results")]

use std::time::Duration;

use simulation::{Scenario, SimulationReport, Trouble, run};

/// Users with messages that wait during the day of outage.
const WAITING: usize = 500;

fn main() {
    let only = std::env::args().nth(1);
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if wanted("outage") {
        outages();
    }
    if wanted("noisy") {
        noisy();
    }
    if wanted("bulk") {
        bulks();
    }
}

fn outages() {
    println!("\nA day of outage of one vendor's CRM, {WAITING} users waiting\n");
    println!(
        "| the CRM answers | most receives | dead-letter messages | calls a minute in the outage | all done after it | other vendor p50 | p99 | longest |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let waits = [0, 1, 5, 30, 60, 600].map(Duration::from_secs);
    let asked = waits.map(|wait| {
        let answer = format!("429, wait {} s", wait.as_secs());
        (answer, Trouble::AsksToWait(wait))
    });
    let unasked = ("503, no wait".to_owned(), Trouble::Unavailable);
    for (answer, trouble) in asked.into_iter().chain([unasked]) {
        let scenario = Scenario::outage(trouble, WAITING);
        let report = run(&scenario);
        let minutes = scenario.trouble_for.as_secs_f64() / 60.0;
        println!(
            "| {answer} | {} | {} | {:.1} | {} | {} |",
            report.queue.max_receives,
            dead_letters(&report),
            count(report.requests.crm_in_trouble) / minutes,
            span(report.all_done.saturating_sub(scenario.trouble_for)),
            others(&report),
        );
    }
}

fn bulks() {
    println!("\nA bulk change of one vendor's users at Sesamy's limit\n");
    println!(
        "| users | most receives | receives on average | dead-letter messages | most in flight | drained, of what Sesamy allows | all done | invocations a second | other vendor p50 | p99 | longest |"
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
            report.drain * 100.0,
            span(report.all_done),
            count(report.invocations) / report.all_done.as_secs_f64(),
            others(&report),
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

fn noisy() {
    println!("\nAnother vendor's events while one vendor is noisy\n");
    println!(
        "| the one vendor | most receives | dead-letter messages | most in flight | calls to its CRM | other vendor's events | p50 | p99 | longest |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let s = Duration::from_secs;
    let noises = [
        ("is quiet", Scenario::noisy(Trouble::None, 0)),
        ("hangs, 500 wait", Scenario::noisy(Trouble::Hangs, 500)),
        (
            "refuses connections, 500 wait",
            Scenario::noisy(Trouble::RefusesConnections, 500),
        ),
        (
            "trickles, 9 s a call, 500 wait",
            Scenario::noisy(Trouble::IsSlow(s(9)), 500),
        ),
        (
            "is slow, 4.9 s a call, 500 wait",
            Scenario::noisy(Trouble::IsSlow(s(49) / 10), 500),
        ),
        (
            "is just not slow, 2.9 s a call, 500 wait",
            Scenario::noisy(Trouble::IsSlow(s(29) / 10), 500),
        ),
        (
            "answers 429 with 0 s, 500 wait",
            Scenario::noisy(Trouble::AsksToWait(s(0)), 500),
        ),
        (
            "answers 503, 500 wait",
            Scenario::noisy(Trouble::Unavailable, 500),
        ),
        (
            "floods: 120,000 events in 40 minutes",
            Scenario::flood(120_000),
        ),
    ];
    for (name, scenario) in noises {
        let report = run(&scenario);
        println!(
            "| {name} | {} | {} | {} | {} | {} | {} |",
            report.queue.max_receives,
            report.queue.dead_letters,
            report.queue.max_in_flight,
            report.requests.crm_in_trouble,
            report.other.count(),
            others(&report),
        );
    }
}

fn dead_letters(report: &SimulationReport) -> String {
    let left = if report.is_unfinished {
        ", unfinished"
    } else {
        ""
    };
    format!("{}{left}", report.queue.dead_letters)
}

fn others(report: &SimulationReport) -> String {
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
