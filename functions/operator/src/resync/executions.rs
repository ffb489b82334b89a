//! The executions of the resync's state machine: a run is one, or several in a row.

use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::aws::reason;
use shared::digest::digest;
use shared::identity::VendorId;
use thiserror::Error;

use super::platform::AwsPlatform;
use super::run::Run;
use crate::dead_letters::Unavailable;

/// The maximum of ListExecutions. Source: AWS's API reference.
const EXECUTIONS_PER_PAGE: i32 = 1_000;

/// Executions are kept for 90 days: more than a run of 700 vendors each week.
const MAX_PAGES: usize = 10;

/// More than the retries of one step and of the hand-over.
const LAST_EVENTS: i32 = 400;

/// One execution of the state machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    pub arn: String,
    pub name: String,
    pub state: ExecutionState,
    pub ended_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionState {
    Running,
    Succeeded,
    /// Stopped by a command.
    Aborted,
    Failed,
}

/// What is known of an execution's run.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub run: Run,
    /// Why the execution failed.
    pub cause: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StartError {
    /// Someone else started it at the same time.
    #[error("there is an execution of this name")]
    Exists,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Step Functions, as far as runs need it.
pub trait Executions: Send + Sync + 'static {
    /// Starts the execution that the run names.
    fn start(&self, run: &Run) -> impl Future<Output = Result<Execution, StartError>> + Send;

    /// The newest come first; as many as `enough` looks at before it says so. The list
    /// may lag by some seconds.
    fn executions(
        &self,
        enough: impl FnMut(&Execution) -> bool + Send,
    ) -> impl Future<Output = Result<Vec<Execution>, Unavailable>> + Send;

    fn progress(
        &self,
        execution: &Execution,
    ) -> impl Future<Output = Result<Option<Progress>, Unavailable>> + Send;

    fn stop(&self, execution: &Execution) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// The name of a vendor's n-th execution. Names are unique for 90 days, so two who start
/// a run at the same time choose the same name, and AWS refuses the second.
pub fn name(vendor: &VendorId, execution: u32) -> String {
    format!("{}{execution}", prefix(vendor))
}

/// The vendor's id as far as a name can hold it, made unique by a digest.
fn prefix(vendor: &VendorId) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let readable: String = vendor.as_str().chars().take(40).map(allowed).collect();
    let digest = digest(&[vendor.as_str()]);
    let unique: String = digest.chars().take(16).collect();
    format!("{readable}-{unique}-")
}

impl Execution {
    /// What the names of one vendor's executions have in common.
    pub fn vendor_part(&self) -> &str {
        self.name
            .rsplit_once('-')
            .map_or(&*self.name, |(vendor, _)| vendor)
    }

    /// Which of the vendor's executions this is; `None` if it is another vendor's.
    pub fn number_of(&self, vendor: &VendorId) -> Option<u32> {
        self.name.strip_prefix(&prefix(vendor))?.parse().ok()
    }
}

impl Executions for AwsPlatform {
    async fn start(&self, run: &Run) -> Result<Execution, StartError> {
        let name = name(&run.vendor_id, run.execution);
        let started = self
            .states
            .start_execution()
            .state_machine_arn(&self.state_machine_arn)
            .name(&name)
            .input(json!({ "run": run }).to_string())
            .send()
            .await;
        match started {
            Ok(started) => Ok(Execution {
                arn: started.execution_arn,
                name,
                state: ExecutionState::Running,
                ended_at: None,
            }),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_execution_already_exists() => Err(StartError::Exists),
                _ => Err(unavailable("starting a resync", reason(&error)).into()),
            },
        }
    }

    async fn executions(
        &self,
        mut enough: impl FnMut(&Execution) -> bool + Send,
    ) -> Result<Vec<Execution>, Unavailable> {
        let mut executions = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let page = self
                .states
                .list_executions()
                .state_machine_arn(&self.state_machine_arn)
                .max_results(EXECUTIONS_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| unavailable("listing the resyncs", reason(&error)))?;
            for item in page.executions {
                let execution = Execution {
                    arn: item.execution_arn,
                    name: item.name,
                    state: state(&item.status),
                    ended_at: item
                        .stop_date
                        .and_then(|at| Timestamp::from_second(at.secs()).ok()),
                };
                let done = enough(&execution);
                executions.push(execution);
                if done {
                    return Ok(executions);
                }
            }
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        Ok(executions)
    }

    async fn progress(&self, execution: &Execution) -> Result<Option<Progress>, Unavailable> {
        const WHAT: &str = "reading a resync";
        let history = self
            .states
            .get_execution_history()
            .execution_arn(&execution.arn)
            .reverse_order(true)
            .max_results(LAST_EVENTS)
            .send()
            .await
            .map_err(|error| unavailable(WHAT, reason(&error)))?;
        let Some(run) = history.events.iter().find_map(run_in) else {
            return Ok(None);
        };
        let failures = history.events.iter();
        let cause = failures
            .filter_map(|event| event.execution_failed_event_details())
            .find_map(|details| Some(details.cause()?.to_owned()));
        Ok(Some(Progress { run, cause }))
    }

    async fn stop(&self, execution: &Execution) -> Result<(), Unavailable> {
        self.states
            .stop_execution()
            .execution_arn(&execution.arn)
            .error("Stopped")
            .cause("by the operator's command")
            .send()
            .await
            .map(drop)
            .map_err(|error| unavailable("stopping a resync", reason(&error)))
    }
}

fn state(status: &ExecutionStatus) -> ExecutionState {
    match status {
        ExecutionStatus::Running | ExecutionStatus::PendingRedrive => ExecutionState::Running,
        ExecutionStatus::Succeeded => ExecutionState::Succeeded,
        ExecutionStatus::Aborted => ExecutionState::Aborted,
        _ => ExecutionState::Failed,
    }
}

/// The run in the data that a state was entered or left with.
fn run_in(event: &HistoryEvent) -> Option<Run> {
    let left = event
        .state_exited_event_details()
        .and_then(|details| details.output());
    let entered = event
        .state_entered_event_details()
        .and_then(|details| details.input());
    let started = event
        .execution_started_event_details()
        .and_then(|details| details.input());
    let data: Value = serde_json::from_str(left.or(entered).or(started)?).ok()?;
    serde_json::from_value(data.get("run")?.clone()).ok()
}

fn unavailable(what: &'static str, reason: String) -> Unavailable {
    Unavailable { what, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_what_aws_allows_and_tells_vendors_apart() {
        let vendors = ["nordposten", "a|b", "a-b", "å b", &"v".repeat(256)];
        let vendors = vendors.map(VendorId::try_from);
        let vendors: Vec<_> = vendors.into_iter().flatten().collect();
        assert_eq!(vendors.len(), 4, "a vendor id holds no blank");
        for vendor in &vendors {
            let name = name(vendor, u32::MAX);
            assert!(name.len() <= 80, "{name}");
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
            assert!(name.chars().all(allowed), "{name}");
            for other in &vendors {
                let execution = Execution {
                    arn: String::new(),
                    name: name.clone(),
                    state: ExecutionState::Running,
                    ended_at: None,
                };
                let expected = (vendor == other).then_some(u32::MAX);
                assert_eq!(execution.number_of(other), expected, "{vendor} {other}");
            }
        }
    }
}
