//! Syncs users without an event: one at once, or all of a vendor in a run.
//!
//! A run takes hours, so AWS's workflow engine drives it: an execution of the state
//! machine in `resync.asl.json` repeats a [`step`] and waits as long as each asks. A step
//! reads a page of Sesamy's users if it needs one ([`cursor`]) and queues as many users
//! as Sesamy's limit allows ([`pace`]), while the connectors' queues are nearly empty.
//! All connectors of a run get the same users at the same time, so it goes at the rate of
//! the slowest.

mod cursor;
mod executions;
mod pace;
mod platform;
mod report;
mod run;
mod step;
mod users;
mod vendors;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use futures_util::future::{join_all, try_join_all};
use shared::identity::{UserId, VendorId};
use shared::message::{Message, UserKey};
use shared::request::ErrorAnswer;
use shared::sqs::{OutgoingMessage, SqsError};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::command::{ResyncCommand, ResyncOperation};
use crate::connectors::{ConnectorName, Connectors, DeployedConnector, UnknownConnector};
use crate::dead_letters::{ConnectorQueues, Unavailable};
use crate::deadline::Deadline;

pub use executions::{Execution, ExecutionState, Executions, Progress, StartError, name};
pub use pace::Pace;
pub use platform::{AwsPlatform, Platform};
use report::VendorReconciliation;
pub use report::{
    Reconciliation, ResyncAnswer, ResyncReport, RunChange, RunProgress, RunState, UserResync,
};
pub use run::Run;
pub use step::{MAX_EVENTS, StepAnswer, StepError};
pub use users::{Users, UsersError};
pub use vendors::Vendors;

/// Runs whose progress `status` reads. Decided: Step Functions allows a few reads a second.
const MAX_REPORTED: usize = 20;

/// A stop may meet an execution that has just handed over to the next one.
const STOP_ATTEMPTS: u32 = 3;

const NOT_CONFIGURED: &str = "not_configured";

pub struct Resyncs<'a, Q, P> {
    pub connectors: &'a Connectors<Q>,
    pub platform: &'a P,
    /// Sesamy's limit for each vendor.
    pub requests_per_minute: NonZeroU32,
}

/// Why a command did nothing.
struct Refused(ErrorAnswer);

impl From<Unavailable> for Refused {
    fn from(unavailable: Unavailable) -> Self {
        Self(ErrorAnswer::new("unavailable", unavailable.to_string()))
    }
}

/// What a command did, and the run if it is a new execution: the list may not show it for
/// some seconds.
type Changed = (RunChange, Option<RunProgress>);

impl<Q: ConnectorQueues, P: Platform> Resyncs<'_, Q, P> {
    pub async fn execute(&self, command: ResyncCommand) -> Result<ResyncAnswer, ErrorAnswer> {
        let vendor = command.vendor_id;
        let done = match command.operation {
            ResyncOperation::User {
                user_id,
                connectors,
            } => {
                let queued = self.resync_user(&vendor, user_id, connectors).await;
                queued.map(ResyncAnswer::User)
            }
            operation => self.change(&vendor, operation).await.map(ResyncAnswer::Run),
        };
        done.map_err(|Refused(error)| {
            let reason = &error.message;
            warn!(vendor_id = %vendor, code = error.code, reason, "Nothing came of a resync.");
            error
        })
    }

    async fn change(
        &self,
        vendor: &VendorId,
        operation: ResyncOperation,
    ) -> Result<ResyncReport, Refused> {
        let (operation, (did, run)) = match operation {
            ResyncOperation::Start { connectors } => {
                ("start", self.start(vendor, connectors).await?)
            }
            ResyncOperation::Stop => ("stop", (self.stop(vendor).await?, None)),
            ResyncOperation::Resume => ("resume", self.resume(vendor).await?),
            ResyncOperation::Show | ResyncOperation::User { .. } => {
                ("show", (RunChange::Unchanged, None))
            }
        };
        let run = match (run, self.latest(vendor).await?) {
            (Some(run), _) => Some(run),
            (None, Some((_, execution))) => self.progress(&execution).await?.map(|(_, run)| run),
            (None, None) => None,
        };
        let visited = run.as_ref().map(|run| run.visited);
        info!(vendor_id = %vendor, asked = operation, ?did, visited, "Answered about a resync.");
        Ok(ResyncReport {
            action: "resync",
            vendor_id: vendor.clone(),
            operation,
            did,
            run,
        })
    }

    async fn resync_user(
        &self,
        vendor: &VendorId,
        user: UserId,
        asked: Option<Vec<ConnectorName>>,
    ) -> Result<UserResync, Refused> {
        let connectors = self.configured(vendor, asked).await?;
        let key = UserKey {
            vendor_id: vendor.clone(),
            user_id: user,
        };
        // A new id each time, so that a second resync is not dropped as a duplicate.
        let message = Message::resync(key, &self.platform.new_id(), self.platform.now());
        let outgoing = [OutgoingMessage::from(&message)];
        let sends = connectors.iter().map(async |connector| {
            let results = connector.queues.send(&outgoing).await;
            let result: Result<(), SqsError> = results.into_iter().collect();
            (connector.name.to_string(), result)
        });
        let sent = join_all(sends).await;
        info!(vendor_id = %vendor, user_id = %message.user.user_id, event_id = %message.event_id, "Queued a resync of a user.");
        Ok(UserResync::new(message, sent))
    }

    /// Starts a run for every vendor with Sesamy credentials that has none under way.
    pub async fn reconcile(&self, deadline: Deadline) -> Result<Reconciliation, ErrorAnswer> {
        let vendors = self.platform.vendors().await.map_err(|unavailable| {
            warn!(error = %unavailable, "The vendors could not be read; none was resynced.");
            Refused::from(unavailable).0
        })?;
        let (mut done, mut left) = (Vec::new(), Vec::new());
        for vendor_id in vendors {
            if Instant::now() >= deadline.work {
                left.push(vendor_id);
                continue;
            }
            let start = ResyncOperation::Start { connectors: None };
            done.push(match self.change(&vendor_id, start).await {
                Ok(report) => VendorReconciliation::Done(report),
                Err(Refused(error)) => VendorReconciliation::Failed { vendor_id, error },
            });
        }
        if !left.is_empty() {
            let vendors = left.len();
            warn!(vendors, "There was no time to start all resyncs.");
        }
        Ok(Reconciliation {
            action: "reconcile",
            vendors: done,
            left,
        })
    }

    /// The latest runs, by vendor.
    pub async fn runs(&self) -> Result<BTreeMap<String, RunProgress>, ErrorAnswer> {
        self.latest_runs().await.map_err(|unavailable| {
            warn!(error = %unavailable, "Step Functions does not answer.");
            Refused::from(unavailable).0
        })
    }

    async fn latest_runs(&self) -> Result<BTreeMap<String, RunProgress>, Unavailable> {
        let mut latest: BTreeMap<String, Execution> = BTreeMap::new();
        let listed = self.platform.executions(|execution| {
            let vendor = execution.vendor_part().to_owned();
            latest.entry(vendor).or_insert_with(|| execution.clone());
            latest.len() >= MAX_REPORTED
        });
        listed.await?;
        let reads = latest.values().map(|execution| self.progress(execution));
        let runs = try_join_all(reads).await?.into_iter().flatten();
        Ok(runs
            .map(|(vendor, run)| (vendor.to_string(), run))
            .collect())
    }

    fn pace(&self, run: &Run) -> Pace {
        Pace::new(self.requests_per_minute, run.connectors.len())
    }

    async fn progress(
        &self,
        execution: &Execution,
    ) -> Result<Option<(VendorId, RunProgress)>, Unavailable> {
        let progress = self.platform.progress(execution).await?;
        Ok(progress.map(|progress| {
            let vendor = progress.run.vendor_id.clone();
            (vendor, self.shown(&progress, execution))
        }))
    }

    fn shown(&self, progress: &Progress, execution: &Execution) -> RunProgress {
        let (pace, now) = (self.pace(&progress.run), self.platform.now());
        RunProgress::of(progress, execution, pace, now)
    }

    /// The vendor's latest execution and its number.
    async fn latest(&self, vendor: &VendorId) -> Result<Option<(u32, Execution)>, Unavailable> {
        let of_vendor = |execution: &Execution| execution.number_of(vendor).is_some();
        let listed = self.platform.executions(of_vendor).await?.into_iter();
        let numbered = listed.filter_map(|one| Some((one.number_of(vendor)?, one)));
        Ok(numbered.max_by_key(|(number, _)| *number))
    }

    async fn start(
        &self,
        vendor: &VendorId,
        asked: Option<Vec<ConnectorName>>,
    ) -> Result<Changed, Refused> {
        let connectors = self.configured(vendor, asked).await?;
        let connectors = connectors.into_iter().map(|one| one.name.to_string());
        let connectors: Vec<_> = connectors.collect();
        let number = match self.latest(vendor).await? {
            Some((_, execution)) if execution.state == ExecutionState::Running => {
                return Ok((RunChange::AlreadyRunning, None));
            }
            latest => latest.map_or(0, |(number, _)| number),
        };
        let pace = Pace::new(self.requests_per_minute, connectors.len());
        let (id, now) = (self.platform.new_id(), self.platform.now());
        let run = Run::new(id, vendor.clone(), connectors, pace, now);
        self.launch(run, number + 1, RunChange::Started).await
    }

    async fn launch(&self, mut run: Run, number: u32, did: RunChange) -> Result<Changed, Refused> {
        run.hand_over(number);
        match self.platform.start(&run).await {
            Ok(execution) => {
                let progress = Progress { run, cause: None };
                Ok((did, Some(self.shown(&progress, &execution))))
            }
            // Someone else was faster, or the list did not show it yet.
            Err(StartError::Exists) => Ok((RunChange::AlreadyRunning, None)),
            Err(StartError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    /// Continues a run that was stopped or failed.
    async fn resume(&self, vendor: &VendorId) -> Result<Changed, Refused> {
        let Some((number, execution)) = self.latest(vendor).await? else {
            return Ok((RunChange::Unchanged, None));
        };
        match execution.state {
            ExecutionState::Running => return Ok((RunChange::AlreadyRunning, None)),
            ExecutionState::Succeeded => return Ok((RunChange::Unchanged, None)),
            ExecutionState::Aborted | ExecutionState::Failed => {}
        }
        match self.platform.progress(&execution).await? {
            Some(Progress { run, .. }) => self.launch(run, number + 1, RunChange::Resumed).await,
            None => Ok((RunChange::Unchanged, None)),
        }
    }

    async fn stop(&self, vendor: &VendorId) -> Result<RunChange, Unavailable> {
        let mut did = RunChange::Unchanged;
        for _ in 0..STOP_ATTEMPTS {
            match self.latest(vendor).await? {
                Some((_, execution)) if execution.state == ExecutionState::Running => {
                    self.platform.stop(&execution).await?;
                    did = RunChange::Stopped;
                }
                _ => break,
            }
        }
        Ok(did)
    }

    /// The connectors asked for, all of which need a secret; without `asked`, those
    /// that have one.
    async fn configured(
        &self,
        vendor: &VendorId,
        asked: Option<Vec<ConnectorName>>,
    ) -> Result<Vec<&DeployedConnector<Q>>, Refused> {
        let invalid =
            |unknown: UnknownConnector| Refused(ErrorAnswer::invalid(&unknown.to_string()));
        let candidates: Vec<_> = match &asked {
            None => self.connectors.iter().collect(),
            Some(names) => {
                let named = names
                    .iter()
                    .map(|name| self.connectors.named(name.as_str()));
                named.collect::<Result<_, _>>().map_err(invalid)?
            }
        };
        let has_secret = async |name: &str| {
            let path = format!("{vendor}/{name}");
            self.platform.has_secret(&path).await
        };
        let (mut configured, mut missing) = (Vec::new(), Vec::new());
        if !has_secret("sesamy").await? {
            missing.push(format!("{vendor}/sesamy"));
        }
        for connector in candidates {
            let name = connector.name.as_str();
            if has_secret(name).await? {
                configured.push(connector);
            } else if asked.is_some() {
                missing.push(format!("{vendor}/{name}"));
            }
        }
        if !missing.is_empty() {
            let message = format!(
                "nothing was done: these secrets are missing below the stack's prefix: {}; store them as docs/onboard.md describes",
                missing.join(", ")
            );
            return Err(Refused(ErrorAnswer::new(NOT_CONFIGURED, message)));
        }
        if configured.is_empty() {
            let message = "nothing was done: the vendor has a secret for none of the connectors";
            return Err(Refused(ErrorAnswer::new(NOT_CONFIGURED, message)));
        }
        Ok(configured)
    }
}
