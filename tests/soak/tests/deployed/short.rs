use harness::{Deployment, Error};
use soak::{SoakSize, soak};

use crate::run_test;

#[test]
fn no_event_is_lost_while_everything_fails() {
    let deployment = Deployment::new("soak").log_level("info");
    run_test(deployment, async |stack| {
        let seed = std::env::var("SOAK_SEED").ok();
        let seed = seed.and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("SOAK_SEED={seed} repeats this run.");
        let report = soak(&stack, seed, SoakSize::SHORT).await?;
        println!("{report}");
        if !report.failures.is_empty() {
            return Err(Error::new(format!("the soak failed:\n{report}")));
        }
        // Make sure that the soak exercised each of these.
        for (what, count) in [
            ("events", report.events),
            ("kills", report.killed_processes),
            ("retries", report.retries),
            ("changes during a sync", report.changed_in_sync),
            ("changes of address", report.moves),
            ("deletions", report.deletions),
            ("wake-ups", report.wake_ups),
            (
                "covered webhooks",
                report
                    .syncs_by_outcome
                    .get("covered")
                    .copied()
                    .unwrap_or_default(),
            ),
            ("dead-letter messages", report.dead_letters),
        ] {
            assert!(count > 0, "there were no {what}:\n{report}");
        }
        let share = 100 * report.faults / report.api_calls_in_chaos;
        assert!((5..=20).contains(&share), "{share} % of the calls failed");
        Ok(())
    });
}
