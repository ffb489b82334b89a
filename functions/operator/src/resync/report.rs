use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::identity::{EventId, UserId, VendorId};
use shared::message::Message;
use shared::request::ErrorAnswer;
use shared::sqs::SqsError;

use super::NOT_CONFIGURED;
use super::executions::{Execution, ExecutionState, Progress};
use super::pace::Pace;
use super::run::Run;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Running,
    /// By a command.
    Stopped,
    /// Every user is in every connector's queue.
    Finished,
    /// A person must fix the cause before it can be resumed.
    Failed,
}

/// What a command did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RunChange {
    #[serde(rename = "started")]
    Started,
    #[serde(rename = "goes_on")]
    AlreadyRunning,
    #[serde(rename = "resumed")]
    Resumed,
    #[serde(rename = "stopped")]
    Stopped,
    #[serde(rename = "nothing")]
    Unchanged,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunProgress {
    pub state: RunState,
    connectors: Vec<String>,
    /// Users sent to every connector's queue.
    pub visited: u64,
    /// All users, if Sesamy states it.
    of: Option<usize>,
    users_per_minute: f64,
    started_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_end: Option<Timestamp>,
    /// Why the last step added nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<String>,
    /// Why the run failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Its graph and history in AWS's console.
    execution: String,
}

impl RunProgress {
    pub(super) fn of(
        progress: &Progress,
        execution: &Execution,
        pace: Pace,
        now: Timestamp,
    ) -> Self {
        let run = &progress.run;
        let state = RunState::of(execution.state, run);
        let users_per_minute = (10.0 * pace.users_per_minute()).round() / 10.0;
        let of = run.cursor.total();
        let running = state == RunState::Running;
        let left = of.map(|of| (of as u64).saturating_sub(run.visited));
        let minutes = left.map(|left| left as f64 / pace.users_per_minute());
        let expected_end = minutes
            .and_then(|minutes| SignedDuration::try_from_secs_f64(60.0 * minutes.ceil()).ok())
            .and_then(|duration| now.checked_add(duration).ok())
            .and_then(|end| Timestamp::from_second(end.as_second()).ok());
        Self {
            state,
            connectors: run.connectors.clone(),
            visited: run.visited,
            of,
            users_per_minute,
            started_at: run.started_at,
            updated_at: run.updated_at,
            ended_at: execution.ended_at.filter(|_| !running),
            expected_end: expected_end.filter(|_| running),
            waiting: run.waiting.clone().filter(|_| running),
            reason: progress.cause.clone().filter(|_| state == RunState::Failed),
            execution: console(&execution.arn),
        }
    }
}

/// Where AWS's console shows an execution.
fn console(arn: &str) -> String {
    let region = arn.split(':').nth(3).unwrap_or_default();
    format!(
        "https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{arn}"
    )
}

impl RunState {
    fn of(state: ExecutionState, run: &Run) -> Self {
        match state {
            ExecutionState::Running => Self::Running,
            // It has handed over to an execution that the list does not show yet.
            ExecutionState::Succeeded if !run.is_done() => Self::Running,
            ExecutionState::Succeeded => Self::Finished,
            ExecutionState::Aborted => Self::Stopped,
            ExecutionState::Failed => Self::Failed,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ResyncAnswer {
    Run(ResyncReport),
    User(UserResync),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResyncReport {
    pub(super) action: &'static str,
    pub(super) vendor_id: VendorId,
    #[serde(rename = "do")]
    pub(super) operation: &'static str,
    pub(super) did: RunChange,
    /// The vendor's latest run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<RunProgress>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserResync {
    action: &'static str,
    vendor_id: VendorId,
    user_id: UserId,
    /// The connectors' logs use it.
    event_id: EventId,
    queued: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    failed: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

impl UserResync {
    /// `sent` has each connector's name and what its queue said.
    pub(super) fn new(message: Message, sent: Vec<(String, Result<(), SqsError>)>) -> Self {
        let (mut queued, mut failed) = (Vec::new(), BTreeMap::new());
        for (name, result) in sent {
            match result {
                Ok(()) => queued.push(name),
                Err(error) => drop(failed.insert(name, error.to_string())),
            }
        }
        let reason = "not every queue took it; ask again, which does no harm to the others";
        let error =
            (!failed.is_empty()).then(|| ErrorAnswer::new("queue_unavailable", reason.to_owned()));
        Self {
            action: "resync",
            vendor_id: message.user.vendor_id,
            user_id: message.user.user_id,
            event_id: message.event_id,
            queued,
            failed,
            error,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reconciliation {
    pub(super) action: &'static str,
    pub(super) vendors: Vec<VendorReconciliation>,
    /// Vendors without time left for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left: Vec<VendorId>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum VendorReconciliation {
    Done(ResyncReport),
    #[serde(rename_all = "camelCase")]
    Failed {
        vendor_id: VendorId,
        error: ErrorAnswer,
    },
}

impl Reconciliation {
    /// A vendor without a secret for any connector is still being set up: no failure.
    pub fn failure(&self) -> Option<String> {
        let mut failed = Vec::new();
        for vendor in &self.vendors {
            if let VendorReconciliation::Failed { vendor_id, error } = vendor
                && error.code != NOT_CONFIGURED
            {
                failed.push(format!("{vendor_id}: {}", error.code));
            }
        }
        if !self.left.is_empty() {
            failed.push(format!("no time for {} vendors", self.left.len()));
        }
        (!failed.is_empty()).then(|| failed.join("; "))
    }
}
