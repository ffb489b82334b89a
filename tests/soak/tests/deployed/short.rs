//! A short soak with a seed of its own each time.

use local_aws::Error;
use soak::{Size, soak};

use crate::stages::on_stack;

#[test]
fn nothing_is_lost_while_everything_fails() {
    on_stack("soak", "info", async |deployed| {
        let seed = std::env::var("SOAK_SEED").ok();
        let seed = seed.and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("SOAK_SEED={seed} repeats this run.");
        let report = soak(&deployed, seed, Size::SHORT).await?;
        println!("{report}");
        if !report.wrong.is_empty() {
            return Err(Error::new(format!("something was lost:\n{report}")));
        }
        // Else nothing was put to the test.
        for (what, count) in [
            ("events", report.events),
            ("kills", report.kills),
            ("retries", report.retries),
            ("changes during a sync", report.during_reads),
            ("dead letters", report.dead_letters),
        ] {
            assert!(count > 0, "there were no {what}:\n{report}");
        }
        let share = 100 * report.faults / report.calls_in_chaos;
        assert!((5..=20).contains(&share), "{share} % of the calls failed");
        Ok(())
    });
}
