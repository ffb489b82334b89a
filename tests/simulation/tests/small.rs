//! Small simulations, as fast as tests. `make simulate` runs the large ones.

#![expect(clippy::print_stdout, reason = "details of a failed test")]

use std::time::Duration;

use simulation::{Scenario, SimulationReport, Trouble, run};

/// No message is lost or received more than a few hundred times, and the other
/// vendor hardly notices.
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
fn day_of_outage_loses_no_message_whatever_wait_is_asked() {
    let waits = [0, 1, 5, 30, 60, 600].map(Duration::from_secs);
    let asked = waits.map(Trouble::AsksToWait);
    for trouble in asked.into_iter().chain([Trouble::Unavailable]) {
        let scenario = Scenario {
            other_every: Duration::from_secs(1_200),
            ..Scenario::outage(trouble, 12)
        };
        let report = run(&scenario);
        assert_sound(&format!("{trouble:?}"), &report);
        // A message retried in the last pause waits up to half as long again,
        // or a quarter of an hour.
        let late = report.all_done.saturating_sub(scenario.trouble_for);
        assert!(late < Duration::from_secs(26 * 60), "{trouble:?}: {late:?}");
        if trouble == Trouble::AsksToWait(Duration::from_secs(600)) {
            // One call per instance and pause, and at most four of syncs that had
            // begun before.
            let pauses = 24 * 6;
            assert!(
                report.requests.crm_in_trouble < 2 * 5 * pauses,
                "{report:?}"
            );
        }
    }
}

#[test]
fn bulk_change_drains_at_sesamys_limit() {
    let scenario = Scenario {
        other_every: Duration::from_secs(120),
        ..Scenario::bulk(2_000)
    };
    let report = run(&scenario);
    assert_sound("bulk", &report);
    println!("drained {:.3} of what Sesamy allows", report.drain);
    assert!(report.drain > 0.95, "{}", report.drain);
}

#[test]
fn noisy_vendor_delays_no_other() {
    let slow = |seconds| Trouble::IsSlow(Duration::from_secs(seconds));
    let at_once = Trouble::AsksToWait(Duration::ZERO);
    for trouble in [
        Trouble::Hangs,
        Trouble::RefusesConnections,
        slow(9),
        slow(5),
        at_once,
    ] {
        let scenario = Scenario {
            within: Duration::from_secs(60),
            other_every: Duration::from_secs(30),
            ..Scenario::noisy(trouble, 160)
        };
        let report = run(&scenario);
        assert_sound(&format!("{trouble:?}"), &report);
    }
}

#[test]
fn one_seed_gives_one_report() {
    let scenario = Scenario {
        at_most: Duration::from_secs(20 * 60),
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
