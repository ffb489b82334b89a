//! Simulations that are small enough for tests. `make simulate` runs the large ones.

#![expect(clippy::print_stdout, reason = "details of a failed test")]

use std::time::Duration;

use simulation::{CrmFailure, Scenario, SimulationReport, run};

/// No message may be lost or received more than a few hundred times, and the other
/// vendor's events must not be much delayed.
fn assert_sound(name: &str, report: &SimulationReport) {
    let queue = report.queue;
    let summary = format!(
        "{name}: {queue:?}, other vendor p50 {:?}, p99 {:?}, longest {:?}",
        report.other.at(0.5),
        report.other.at(0.99),
        report.other.at(1.0),
    );
    println!("{summary}");
    assert!(!report.is_unfinished, "{summary}");
    assert_eq!(queue.dead_letters, 0, "{summary}");
    assert!(queue.max_receives < 250, "{summary}");
    assert!(report.other.at(0.99) < Duration::from_secs(20), "{summary}");
}

#[test]
fn day_of_outage_loses_no_message_for_any_requested_wait() {
    let waits = [0, 1, 5, 30, 60, 600].map(Duration::from_secs);
    let rate_limits = waits.map(CrmFailure::AsksToWait);
    for failure in rate_limits.into_iter().chain([CrmFailure::Unavailable]) {
        let scenario = Scenario {
            other_interval: Duration::from_secs(1_200),
            ..Scenario::outage(failure, 12)
        };
        let report = run(&scenario);
        assert_sound(&format!("{failure:?}"), &report);
        // A message deferred in the last pause waits up to half as long again, or a quarter
        // of an hour.
        let late = report.all_done.saturating_sub(scenario.fails_for);
        assert!(late < Duration::from_secs(26 * 60), "{failure:?}: {late:?}");
        if failure == CrmFailure::AsksToWait(Duration::from_secs(600)) {
            // One call per instance and pause, plus at most four calls of syncs that had
            // already begun.
            let pauses = 24 * 6;
            assert!(
                report.requests.crm_while_failing < 2 * 5 * pauses,
                "{report:?}"
            );
        }
    }
}

#[test]
fn bulk_change_drains_at_sesamys_limit() {
    let scenario = Scenario {
        other_interval: Duration::from_secs(120),
        ..Scenario::bulk(2_000)
    };
    let report = run(&scenario);
    assert_sound("bulk", &report);
    println!("used {:.3} of Sesamy's limit", report.limit_share);
    assert!(report.limit_share > 0.95, "{}", report.limit_share);
}

#[test]
fn noisy_vendor_does_not_delay_another() {
    let slow = |seconds| CrmFailure::IsSlow(Duration::from_secs(seconds));
    let rate_limit_without_wait = CrmFailure::AsksToWait(Duration::ZERO);
    for failure in [
        CrmFailure::Hangs,
        CrmFailure::RefusesConnections,
        slow(9),
        slow(5),
        rate_limit_without_wait,
    ] {
        let scenario = Scenario {
            send_period: Duration::from_secs(60),
            other_interval: Duration::from_secs(30),
            ..Scenario::noisy(failure, 160)
        };
        let report = run(&scenario);
        assert_sound(&format!("{failure:?}"), &report);
    }
}

#[test]
fn one_seed_gives_one_report() {
    let scenario = Scenario {
        max_duration: Duration::from_secs(20 * 60),
        ..Scenario::bulk(100)
    };
    let [first, again, other] = [1, 1, 2].map(|seed| {
        run(&Scenario {
            seed,
            ..scenario.clone()
        })
    });
    assert_eq!(first, again);
    assert_ne!(first, other);
}
