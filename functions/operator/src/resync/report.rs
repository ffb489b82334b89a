use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::identity::{EventId, UserId, VendorId};
use tracing::{info, warn};

use super::RunChange;
use super::executions::{Execution, ExecutionState, Progress};
use super::pace::Pace;
use super::run::Run;
use crate::dead_letters::Unavailable;
use shared::request::ErrorAnswer;

/// How a run stands.
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

pub(super) const NOT_CONFIGURED: &str = "not_configured";

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
#[serde(rename_all = "camelCase")]
pub struct ResyncReport {
    action: &'static str,
    vendor_id: VendorId,
    #[serde(rename = "do")]
    asked: &'static str,
    pub did: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunProgress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

impl ResyncReport {
    pub(super) fn new(
        vendor_id: VendorId,
        asked: &'static str,
        did: RunChange,
        run: Option<RunProgress>,
    ) -> Self {
        let advice = match (did, run.as_ref().map(|run| run.state)) {
            (RunChange::Restarted, _) => {
                "It began from the start of the list. The one before had not been finished; next time \"do\": \"resume\" goes on where it was."
            }
            (RunChange::AlreadyRunning, _) => {
                "A run is under way, and goes on. Stop it first to begin another one."
            }
            (RunChange::Started | RunChange::Resumed, _) | (_, Some(RunState::Running)) => {
                "It goes on by itself. Ask with \"do\": \"show\" how far it is, with \"do\": \"stop\" to stop it."
            }
            (_, Some(RunState::Stopped)) => {
                "Ask with \"do\": \"resume\" to go on. What is in the queues already is still synced."
            }
            (_, Some(RunState::Failed)) => {
                "Fix what the reason names, then ask with \"do\": \"resume\" to go on."
            }
            (_, Some(RunState::Finished)) => {
                "Every user was queued; those that wait in the queues are synced within a minute or so."
            }
            (_, None) => "There has been no run of this vendor. Without \"do\" one is started.",
        };
        Self {
            action: "resync",
            vendor_id,
            asked,
            did: did.name(),
            run,
            advice: Some(advice),
            error: None,
        }
    }

    pub(super) fn refused(vendor_id: VendorId, asked: &'static str, error: ErrorAnswer) -> Self {
        Self {
            action: "resync",
            vendor_id,
            asked,
            did: RunChange::Unchanged.name(),
            run: None,
            advice: None,
            error: Some(error),
        }
    }

    pub(super) fn log(&self) {
        let vendor_id = self.vendor_id.as_str();
        let visited = self.run.as_ref().map(|run| run.visited);
        match &self.error {
            None => info!(
                vendor_id,
                asked = self.asked,
                did = self.did,
                visited,
                "Answered about a resync."
            ),
            Some(error) => warn!(
                vendor_id,
                asked = self.asked,
                code = error.code,
                reason = error.message,
                "Nothing came of a resync."
            ),
        }
    }
}

impl RunChange {
    fn name(self) -> &'static str {
        match self {
            Self::Started | Self::Restarted => "started",
            Self::AlreadyRunning => "goes_on",
            Self::Resumed => "resumed",
            Self::Stopped => "stopped",
            Self::Unchanged => "nothing",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserResync {
    action: &'static str,
    vendor_id: VendorId,
    user_id: UserId,
    /// The connectors' logs use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    queued: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    failed: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

impl UserResync {
    pub(super) fn queued(
        vendor_id: VendorId,
        user_id: UserId,
        event_id: EventId,
        sent: Vec<(String, Option<String>)>,
    ) -> Self {
        let (queued, failed): (Vec<_>, Vec<_>) =
            sent.into_iter().partition(|(_, failed)| failed.is_none());
        let error = (!failed.is_empty()).then(|| ErrorAnswer {
            code: "queue_unavailable",
            message: "not every queue took it; ask again, which does no harm to the others"
                .to_owned(),
            details: Vec::new(),
        });
        Self {
            action: "resync",
            vendor_id,
            user_id,
            event_id: Some(event_id),
            queued: queued.into_iter().map(|(name, _)| name).collect(),
            failed: failed
                .into_iter()
                .filter_map(|(name, reason)| Some((name, reason?)))
                .collect(),
            error,
        }
    }

    pub(super) fn refused(vendor_id: VendorId, user_id: UserId, error: ErrorAnswer) -> Self {
        Self {
            action: "resync",
            vendor_id,
            user_id,
            event_id: None,
            queued: Vec::new(),
            failed: BTreeMap::new(),
            error: Some(error),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciliation {
    action: &'static str,
    vendors: Vec<ResyncReport>,
    /// Vendors without time left for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<VendorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

impl Reconciliation {
    pub(super) fn of(vendors: Vec<ResyncReport>, left: Vec<VendorId>) -> Self {
        Self {
            action: "reconcile",
            vendors,
            left,
            error: None,
        }
    }

    /// A vendor without a secret for any connector is still being set up: no failure.
    pub fn failure(&self) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(error.message.clone());
        }
        let failed = self.vendors.iter().filter_map(|report| {
            let code = report.error.as_ref()?.code;
            (code != NOT_CONFIGURED).then(|| format!("{}: {code}", report.vendor_id))
        });
        let mut failed: Vec<_> = failed.collect();
        if !self.left.is_empty() {
            failed.push(format!("no time for {} vendors", self.left.len()));
        }
        (!failed.is_empty()).then(|| failed.join("; "))
    }

    pub(super) fn refused(unavailable: &Unavailable) -> Self {
        warn!(error = %unavailable, "The vendors could not be read; none was resynced.");
        Self {
            action: "reconcile",
            vendors: Vec::new(),
            left: Vec::new(),
            error: Some(ErrorAnswer {
                code: "unavailable",
                message: unavailable.to_string(),
                details: Vec::new(),
            }),
        }
    }
}
