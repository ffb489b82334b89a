//! Syncs users without an event: one at once, or all of a vendor in a run.
//!
//! A run takes hours, so AWS's workflow engine drives it: an execution of the state
//! machine in `resync.asl.json` repeats a [`step`] and waits as long as each asks. A step
//! reads a page of Sesamy's users if it needs one ([`cursor`]) and queues as many users
//! as Sesamy's limit allows ([`run::Pace`]), while the connectors' queues are nearly empty.
//! All connectors of a run get the same users at the same time, so it goes at the rate of
//! the slowest.

mod cursor;
mod executions;
mod run;
mod runs;
mod step;
mod vendors;

use std::collections::BTreeSet;

use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::{Value, json};
use shared::identity::{UserId, VendorId};
use shared::message::{Message, UserKey};
use shared::request::ErrorAnswer;
use shared::sqs::OutgoingMessage;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::command::{ResyncCommand, ResyncOperation};
use crate::connectors::UnknownConnector;
use crate::deadline::Deadline;
use crate::handler::Operator;
use crate::unavailable::Unavailable;

use executions::Execution;
pub use executions::Executions;
pub use run::Run;
use run::{Pace, new_id};
use step::send;

const STOP_ATTEMPTS: u32 = 3;
const NOT_CONFIGURED: &str = "not_configured";

impl Operator {
    pub(crate) async fn resync(&self, command: ResyncCommand) -> Result<Value, ErrorAnswer> {
        let vendor = command.vendor_id;
        let answer = match (command.operation, command.user_id, command.connectors) {
            (ResyncOperation::Start, Some(user), asked) => {
                self.resync_user(&vendor, user, asked).await
            }
            (operation @ ResyncOperation::Start, None, asked) | (operation, None, asked @ None) => {
                self.resync_vendor(&vendor, operation, asked).await
            }
            _ => Err(ErrorAnswer::invalid(
                "`do` must be start if there is a `userId` or `connectors`",
            )),
        };
        answer.inspect_err(|error| {
            warn!(vendor_id = %vendor, code = error.code, reason = error.message, "Nothing came of a resync.");
        })
    }

    async fn resync_user(
        &self,
        vendor: &VendorId,
        user: UserId,
        asked: Option<BTreeSet<String>>,
    ) -> Result<Value, ErrorAnswer> {
        let names = self.configured(vendor, asked).await?;
        let connectors = self.connectors.get_all(&names).map_err(invalid)?;
        let user = UserKey {
            vendor_id: vendor.clone(),
            user_id: user,
        };
        // A new id each time, so that a second resync is not dropped as a duplicate.
        let message = Message::resync(user, &new_id(), (self.now)());
        send(&connectors, &[OutgoingMessage::from(&message)]).await?;
        info!(vendor_id = %vendor, user_id = %message.user.user_id, event_id = %message.event_id, "Queued a resync of a user.");
        Ok(json!({
            "action": "resync",
            "vendorId": vendor,
            "userId": message.user.user_id,
            // The connectors' logs use it.
            "eventId": message.event_id,
            "queued": names,
        }))
    }

    async fn resync_vendor(
        &self,
        vendor: &VendorId,
        operation: ResyncOperation,
        asked: Option<BTreeSet<String>>,
    ) -> Result<Value, ErrorAnswer> {
        let latest = self.executions.latest(vendor).await?;
        let number = latest.as_ref().map_or(0, Execution::number);
        let is_running = latest.as_ref().is_some_and(Execution::is_running);
        let (mut did, new) = match (operation, latest) {
            (ResyncOperation::Stop, Some(latest)) if is_running => {
                self.stop(vendor, latest).await?;
                ("stopped", None)
            }
            (ResyncOperation::Start | ResyncOperation::Resume, _) if is_running => {
                ("goes_on", None)
            }
            (ResyncOperation::Start, _) => {
                let connectors = self.configured(vendor, asked).await?;
                let run = Run::new(vendor.clone(), connectors, (self.now)());
                ("started", Some(run))
            }
            (ResyncOperation::Resume, Some(latest))
                if latest.status != ExecutionStatus::Succeeded =>
            {
                ("resumed", Some(self.executions.progress(&latest).await?.0))
            }
            _ => ("nothing", None),
        };
        let mut report = None;
        if let Some(mut run) = new {
            run.hand_over(1 + number);
            match self.executions.start(&run).await? {
                // The list may not show it for some seconds.
                Some(execution) => report = Some(self.report(&run, &execution, None)),
                // Someone else was faster, or the list did not show it yet.
                None => did = "goes_on",
            }
        }
        if report.is_none()
            && let Some(execution) = self.executions.latest(vendor).await?
        {
            let (run, cause) = self.executions.progress(&execution).await?;
            report = Some(self.report(&run, &execution, cause));
        }
        info!(vendor_id = %vendor, ?operation, did, "Answered about a resync.");
        Ok(json!({
            "action": "resync",
            "vendorId": vendor,
            "do": operation,
            "did": did,
            "run": report,
        }))
    }

    /// An execution may just have handed over to the next one.
    async fn stop(&self, vendor: &VendorId, running: Execution) -> Result<(), Unavailable> {
        let mut running = Some(running);
        for _ in 0..STOP_ATTEMPTS {
            let Some(execution) = running.filter(Execution::is_running) else {
                break;
            };
            self.executions.stop(&execution).await?;
            running = self.executions.latest(vendor).await?;
        }
        Ok(())
    }

    /// Starts a run for every vendor with Sesamy credentials that has none under way.
    /// Returns the answer and what failed.
    pub(crate) async fn reconcile(
        &self,
        deadline: Deadline,
    ) -> Result<(Value, Vec<String>), ErrorAnswer> {
        let (mut answers, mut failures) = (Vec::new(), Vec::new());
        for vendor in self.vendors().await? {
            let started = if Instant::now() < deadline.work {
                self.resync_vendor(&vendor, ResyncOperation::Start, None)
                    .await
            } else {
                let reason = "there was no time left for this vendor; reconcile again";
                Err(ErrorAnswer::new("no_time", reason))
            };
            answers.push(started.unwrap_or_else(|error| {
                warn!(vendor_id = %vendor, code = error.code, reason = error.message, "A vendor was not resynced.");
                // Without a secret for any connector it is still being set up.
                if error.code != NOT_CONFIGURED {
                    failures.push(format!("{vendor}: {}", error.code));
                }
                json!({ "vendorId": vendor, "error": error })
            }));
        }
        let answer = json!({ "action": "reconcile", "vendors": answers });
        Ok((answer, failures))
    }

    /// `cause` is why the run failed.
    fn report(&self, run: &Run, execution: &Execution, cause: Option<String>) -> Value {
        let state = match &execution.status {
            _ if execution.is_running() => "running",
            // It has handed over to an execution that the list does not show yet.
            ExecutionStatus::Succeeded if !run.is_done() => "running",
            ExecutionStatus::Succeeded => "finished",
            ExecutionStatus::Aborted => "stopped",
            _ => "failed",
        };
        json!({
            "state": state,
            "connectors": run.connectors,
            "visited": run.visited,
            "of": run.cursor.total,
            "usersPerMinute": (10.0 * self.pace(run).users_per_minute()).round() / 10.0,
            "startedAt": run.started_at,
            "updatedAt": run.updated_at,
            "waiting": run.waiting.as_ref().filter(|_| state == "running"),
            "reason": cause,
            "execution": execution.console_url(),
        })
    }

    fn pace(&self, run: &Run) -> Pace {
        Pace::new(self.requests_per_minute, run.connectors.len())
    }

    /// The connectors asked for, all of which need a secret; without `asked`, those
    /// that have one.
    async fn configured(
        &self,
        vendor: &VendorId,
        asked: Option<BTreeSet<String>>,
    ) -> Result<Vec<String>, ErrorAnswer> {
        let needs_all = asked.is_some();
        let names = asked.unwrap_or_else(|| self.connectors.names());
        let (mut configured, mut missing) = (Vec::new(), Vec::new());
        for (name, _) in self.connectors.get_all(&names).map_err(invalid)? {
            match self.has_secret(vendor, name).await? {
                true => configured.push(name.clone()),
                false => missing.push(format!("{vendor}/{name}")),
            }
        }
        let has_sesamy = self.has_secret(vendor, "sesamy").await?;
        if !has_sesamy {
            missing.push(format!("{vendor}/sesamy"));
        }
        if !has_sesamy || configured.is_empty() || (needs_all && !missing.is_empty()) {
            let reason = format!(
                "nothing was done: the secrets of Sesamy and of at least one connector are needed, and these are missing below the stack's prefix: {}; store them as docs/onboard.md describes",
                missing.join(", ")
            );
            return Err(ErrorAnswer::new(NOT_CONFIGURED, reason));
        }
        Ok(configured)
    }
}

fn invalid(error: UnknownConnector) -> ErrorAnswer {
    ErrorAnswer::invalid(&format!("`connectors`: {error}"))
}
