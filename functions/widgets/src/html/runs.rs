//! The latest resync of each vendor.

use askama::Template;
use jiff::{SignedDuration, Timestamp};
use shared::identity::VendorId;

use super::Page;
use crate::answers::{Run, RunAnswer, RunState, Runs};
use crate::event::Action;
use crate::functions::NoAnswer;

#[derive(Template)]
#[template(path = "runs.html")]
pub struct RunsPage<'a> {
    page: Page<'a>,
    /// What is missing.
    problems: Vec<String>,
    rows: Vec<Row>,
    more: Option<u64>,
}

struct Row {
    run: Run,
    now: Timestamp,
    stop: Option<Action>,
    resume: Option<Action>,
}

impl<'a> RunsPage<'a> {
    pub fn new(page: Page<'a>, runs: Result<Runs, NoAnswer>) -> Self {
        let mut shown = Self {
            page,
            problems: Vec::new(),
            rows: Vec::new(),
            more: None,
        };
        let runs = match runs {
            Ok(runs) => runs,
            Err(no_answer) => {
                let problem = format!("Nothing is known, OperatorFunction: {no_answer}.");
                shown.problems.push(problem);
                return shown;
            }
        };
        shown.more = Some(runs.more).filter(|more| *more > 0);
        for run in runs.runs {
            match run {
                RunAnswer::Known(run) => shown.rows.push(Row::new(run, page.now)),
                RunAnswer::Unknown { execution, error } => {
                    let name = execution.rsplit(':').next().unwrap_or_default();
                    let problem = format!("Nothing is known of run {name}: {}.", error.message);
                    shown.problems.push(problem);
                }
            }
        }
        shown
    }
}

impl Row {
    fn new(run: Run, now: Timestamp) -> Self {
        let vendor_id = VendorId::try_from(run.vendor_id.as_str()).ok();
        let (stop, resume) = match run.state {
            RunState::Running => (vendor_id, None),
            RunState::Stopped | RunState::Failed => (None, vendor_id),
            RunState::Finished => (None, None),
        };
        Self {
            stop: stop.map(|vendor_id| Action::Stop { vendor_id }),
            resume: resume.map(|vendor_id| Action::Resume { vendor_id }),
            run,
            now,
        }
    }

    fn state(&self) -> &'static str {
        match (self.run.state, &self.run.waiting) {
            (RunState::Running, Some(_)) => "waiting",
            (RunState::Running, None) => "running",
            (RunState::Stopped, _) => "stopped",
            (RunState::Finished, _) => "finished",
            (RunState::Failed, _) => "failed",
        }
    }

    fn class(&self) -> &'static str {
        match self.run.state {
            RunState::Running | RunState::Finished => "good",
            RunState::Stopped => "quiet",
            RunState::Failed => "bad",
        }
    }

    fn progress(&self) -> String {
        let visited = self.run.visited;
        match self.run.of {
            Some(of) => format!("{visited} of {of} users"),
            None => format!("{visited} users"),
        }
    }

    fn percent(&self) -> Option<u64> {
        let of = self.run.of.filter(|of| *of > 0)?;
        Some((self.run.visited.saturating_mul(100) / of).min(100))
    }

    /// If it keeps to its highest rate from now on.
    fn expected_end(&self) -> Option<Timestamp> {
        if self.run.state != RunState::Running {
            return None;
        }
        let left = self.run.of?.saturating_sub(self.run.visited);
        let minutes = left as f64 / self.run.users_per_minute;
        let time = SignedDuration::try_from_secs_f64(60.0 * minutes).ok()?;
        self.now.checked_add(time).ok()
    }

    fn has_link(&self) -> bool {
        self.run.execution.starts_with("https://")
    }

    fn stop_confirmation(&self) -> String {
        format!(
            "Stop the resync of {}? It can be resumed.",
            self.run.vendor_id
        )
    }

    fn resume_confirmation(&self) -> String {
        format!(
            "Resume the resync of {} after {}?",
            self.run.vendor_id,
            self.progress()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    #[test]
    fn end_is_expected_of_a_run_that_goes_on_at_its_rate() {
        use RunState::{Failed, Finished, Running, Stopped};
        let cases = [
            ((Running, 0, Some(40), 20.0), Some(120)),
            ((Running, 39, Some(40), 20.0), Some(3)),
            ((Running, 40, Some(40), 20.0), Some(0)),
            ((Running, 41, Some(40), 20.0), Some(0)),
            ((Running, 1, None, 20.0), None),
            ((Running, 1, Some(40), 0.0), None),
            ((Running, 0, Some(u64::MAX), 1.0), None),
            ((Stopped, 0, Some(40), 20.0), None),
            ((Finished, 40, Some(40), 20.0), None),
            ((Failed, 0, Some(40), 20.0), None),
        ];
        for ((state, visited, of, users_per_minute), seconds) in cases {
            let run = Run {
                vendor_id: "v".to_owned(),
                state,
                connectors: vec!["rule".to_owned()],
                visited,
                of,
                users_per_minute,
                started_at: NOW,
                waiting: None,
                reason: None,
                execution: String::new(),
            };
            let end = Row::new(run, NOW).expected_end();
            let after = end.map(|end| end.duration_since(NOW).as_secs());
            assert_eq!(
                after, seconds,
                "{state:?} {visited} {of:?} {users_per_minute}"
            );
        }
    }
}
