//! The simulations in a small form, as quick as a test must be. `make simulate`
//! runs the large ones.

#![expect(
    clippy::print_stdout,
    reason = "what a failed test tells beside its assertion"
)]

use std::time::Duration;

use simulation::{Report, Scenario, Trouble, run};

/// What holds of every run: nothing is lost, no message is received more than
/// a few hundred times, and the other vendor hardly notices.
fn assert_sound(name: &str, report: &Report) {
    let queue = report.queue;
    let told = format!(
        "{name}: {queue:?}, other vendor p50 {:?}, p99 {:?}, longest {:?}",
        report.other.at(0.5),
        report.other.at(0.99),
        report.other.at(1.0),
    );
    println!("{told}");
    assert!(!report.is_unfinished, "{told}");
    assert_eq!(queue.dead_letters, 0, "{told}");
    assert!(queue.most_receives < 250, "{told}");
    assert!(report.other.at(0.99) < Duration::from_secs(20), "{told}");
}

#[test]
fn a_day_of_outage_buries_nothing_whatever_wait_is_asked() {
    let waits = [0, 1, 5, 30, 60, 600].map(Duration::from_secs);
    let asked = waits.map(Trouble::AskedToWait);
    for trouble in asked.into_iter().chain([Trouble::Unavailable]) {
        let scenario = Scenario {
            other_every: Duration::from_secs(1_200),
            ..Scenario::outage(trouble, 12)
        };
        let report = run(&scenario);
        assert_sound(&format!("{trouble:?}"), &report);
        // A message that came within the last pause waits for half as long
        // again, or for a quarter of an hour.
        let late = report.all_done.saturating_sub(scenario.trouble_for);
        assert!(late < Duration::from_secs(26 * 60), "{trouble:?}: {late:?}");
        if trouble == Trouble::AskedToWait(Duration::from_secs(600)) {
            // One call per instance and pause, and four of its syncs at most
            // that had begun before.
            let pauses = 24 * 6;
            assert!(report.crm_in_trouble < 2 * 5 * pauses, "{report:?}");
        }
    }
}

#[test]
fn a_bulk_change_is_drained_at_sesamys_limit() {
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
fn a_noisy_vendor_holds_nobody_up() {
    let late = |seconds| Trouble::Trickles(Duration::from_secs(seconds));
    let at_once = Trouble::AskedToWait(Duration::ZERO);
    for trouble in [Trouble::Hangs, Trouble::Refuses, late(9), late(5), at_once] {
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
