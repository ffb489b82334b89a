//! What is answered to a person who asks about resyncs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::identity::{EventId, UserId, VendorId};
use tracing::{info, warn};

use super::Did;
use super::pace::Pace;
use super::run::{Run, State};
use crate::letters::Unavailable;
use shared::request::ErrorAnswer;

/// The code of what a vendor lacks a secret for.
pub(super) const NOT_CONFIGURED: &str = "not_configured";

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// How it stands.
    pub state: State,
    connectors: Vec<String>,
    /// Users sent to every connector's queue.
    pub visited: u64,
    /// Of so many, where Sesamy tells.
    of: Option<usize>,
    /// How many a minute at most.
    users_per_minute: f64,
    started_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// When all will be sent if nothing holds it up, where Sesamy tells how many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_end: Option<Timestamp>,
    /// Why nothing was added at the last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Progress {
    pub(super) fn of(run: &Run, pace: Pace, now: Timestamp) -> Self {
        let users_per_minute = (10.0 * pace.users_per_minute()).round() / 10.0;
        let of = run.place.total();
        let running = run.state == State::Running;
        let left = of.map(|of| (of as u64).saturating_sub(run.visited));
        let minutes = left.map(|left| left as f64 / pace.users_per_minute());
        let expected_end = minutes
            .and_then(|minutes| SignedDuration::try_from_secs_f64(60.0 * minutes.ceil()).ok())
            .and_then(|duration| now.checked_add(duration).ok())
            .and_then(|end| Timestamp::from_second(end.as_second()).ok());
        Self {
            state: run.state,
            connectors: run.connectors.clone(),
            visited: run.visited,
            of,
            users_per_minute,
            started_at: run.started_at,
            updated_at: run.updated_at,
            ended_at: run.ended_at,
            expected_end: expected_end.filter(|_| running),
            waiting: run.waiting.clone().filter(|_| running),
            reason: run.reason.clone(),
        }
    }
}

/// The answer about a vendor's run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    action: &'static str,
    vendor_id: VendorId,
    #[serde(rename = "do")]
    asked: &'static str,
    /// What came of it.
    pub did: &'static str,
    /// How the run stands, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

impl Report {
    pub(super) fn new(
        vendor_id: VendorId,
        asked: &'static str,
        did: Did,
        run: Option<Progress>,
    ) -> Self {
        let advice = match (did, run.as_ref().map(|run| run.state)) {
            (Did::StartedAnew, _) => {
                "It began from the start of the list. The one before had not been finished; next time \"do\": \"resume\" goes on where it was."
            }
            (Did::GoesOn, _) => {
                "A run is under way, and goes on. Stop it first to begin another one."
            }
            (Did::Started | Did::Resumed, _) | (_, Some(State::Running)) => {
                "It goes on by itself. Ask with \"do\": \"show\" how far it is, with \"do\": \"stop\" to stop it."
            }
            (_, Some(State::Stopped)) => {
                "Ask with \"do\": \"resume\" to go on. What is in the queues already is still synced."
            }
            (_, Some(State::Failed)) => {
                "Mend what the reason names, then ask with \"do\": \"resume\" to go on."
            }
            (_, Some(State::Finished)) => {
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
            did: Did::Nothing.name(),
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

impl Did {
    fn name(self) -> &'static str {
        match self {
            Self::Started | Self::StartedAnew => "started",
            Self::GoesOn => "goes_on",
            Self::Resumed => "resumed",
            Self::Stopped => "stopped",
            Self::Nothing => "nothing",
        }
    }
}

/// The answer about one reader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct One {
    action: &'static str,
    vendor_id: VendorId,
    user_id: UserId,
    /// What the connectors' logs name the sync by.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    /// The connectors whose queues hold it.
    queued: Vec<String>,
    /// Those that did not take it, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    failed: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

impl One {
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

/// All vendors' runs, by vendor.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Runs {
    /// As the table has them.
    Known(BTreeMap<String, Progress>),
    /// The table does not answer.
    Unknown {
        /// Why.
        error: ErrorAnswer,
    },
}

/// The answer about a resync of all vendors.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciliation {
    action: &'static str,
    /// What was done for each.
    vendors: Vec<Report>,
    /// Vendors there was no time for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<VendorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

impl Reconciliation {
    pub(super) fn of(vendors: Vec<Report>, left: Vec<VendorId>) -> Self {
        Self {
            action: "reconcile",
            vendors,
            left,
            error: None,
        }
    }

    /// What of it failed, if anything. A vendor who lacks the secret of every
    /// connector is being set up, which is no failure.
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
