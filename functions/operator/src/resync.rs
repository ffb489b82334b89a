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
use shared::sqs::OutgoingMessage;
use tracing::{info, warn};

use crate::connectors::{Connectors, DeployedConnector};
use crate::dead_letters::{ConnectorQueues, Unavailable};
use crate::deadline::Deadline;

pub use executions::{Execution, ExecutionState, Executions, Progress, StartError, name};
pub use pace::Pace;
pub use platform::{AwsPlatform, Platform};
use report::NOT_CONFIGURED;
pub use report::{Reconciliation, ResyncReport, RunProgress, RunState, UserResync};
pub use run::Run;
pub use step::{MAX_EVENTS, StepAnswer, StepError};
pub use users::{Users, UsersError};
pub use vendors::Vendors;

/// Runs whose progress `status` reads. Decided: Step Functions allows a few reads a second.
const MAX_REPORTED: usize = 20;

/// A stop may meet an execution that has just handed over to the next one.
const STOP_ATTEMPTS: u32 = 3;

pub struct Resyncs<'a, Q, P> {
    pub connectors: &'a Connectors<Q>,
    pub platform: &'a P,
    /// Sesamy's limit for each vendor.
    pub requests_per_minute: NonZeroU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunChange {
    Started,
    /// The run before had not finished.
    Restarted,
    AlreadyRunning,
    Resumed,
    Stopped,
    Unchanged,
}

#[derive(Debug)]
enum ResyncError {
    NotConfigured {
        secrets: Vec<String>,
    },
    /// The vendor has a secret for none of the connectors.
    NoConnector,
    Unavailable(Unavailable),
}

impl From<Unavailable> for ResyncError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl<Q: ConnectorQueues, P: Platform> Resyncs<'_, Q, P> {
    /// Without `asked`, for all of the vendor's connectors.
    pub async fn resync_user(
        &self,
        vendor: VendorId,
        user: UserId,
        asked: Option<Vec<&DeployedConnector<Q>>>,
    ) -> UserResync {
        let connectors = match self.configured(&vendor, asked).await {
            Ok(connectors) => connectors,
            Err(error) => return UserResync::refused(vendor, user, error.into()),
        };
        let key = UserKey {
            vendor_id: vendor.clone(),
            user_id: user.clone(),
        };
        // A new id each time, so that a second resync is not dropped as a duplicate.
        let occasion = self.platform.new_id();
        let message = Message::resync(key, &occasion, self.platform.now());
        let outgoing = [OutgoingMessage::from(&message)];
        let sends = connectors.iter().map(async |connector| {
            let failed = connector.queues.send(&outgoing).await;
            let failed = failed.into_iter().find_map(Result::err);
            (
                connector.name.to_string(),
                failed.map(|error| error.to_string()),
            )
        });
        let sent = join_all(sends).await;
        info!(vendor_id = %vendor, user_id = %user, event_id = %message.event_id, "Queued a resync of a user.");
        UserResync::queued(vendor, user, message.event_id, sent)
    }

    pub async fn start(
        &self,
        vendor: VendorId,
        asked: Option<Vec<&DeployedConnector<Q>>>,
    ) -> ResyncReport {
        let change = self.begin(&vendor, asked).await;
        self.report(vendor, "start", change).await
    }

    pub async fn stop(&self, vendor: VendorId) -> ResyncReport {
        let change = self.stop_running(&vendor).await;
        let change = change.map(|change| (change, None));
        self.report(vendor, "stop", change.map_err(ResyncError::from))
            .await
    }

    /// Continues a run that was stopped or failed.
    pub async fn resume(&self, vendor: VendorId) -> ResyncReport {
        let change = self.revive(&vendor).await;
        self.report(vendor, "resume", change).await
    }

    pub async fn show(&self, vendor: VendorId) -> ResyncReport {
        self.report(vendor, "show", Ok((RunChange::Unchanged, None)))
            .await
    }

    /// Starts a run for every vendor with Sesamy credentials that has none under way.
    pub async fn reconcile(&self, deadline: Deadline) -> Reconciliation {
        let vendors = match self.platform.vendors().await {
            Ok(vendors) => vendors,
            Err(unavailable) => return Reconciliation::refused(&unavailable),
        };
        let mut reports = Vec::new();
        let mut left = Vec::new();
        for vendor in vendors {
            if tokio::time::Instant::now() < deadline.work {
                reports.push(self.start(vendor, None).await);
            } else {
                left.push(vendor);
            }
        }
        if !left.is_empty() {
            warn!(
                vendors = left.len(),
                "There was no time to start all resyncs."
            );
        }
        Reconciliation::of(reports, left)
    }

    /// The latest runs of all vendors, by vendor.
    pub async fn runs(&self) -> Result<BTreeMap<String, RunProgress>, ErrorAnswer> {
        let runs = self.latest_runs().await.map_err(|unavailable| {
            warn!(error = %unavailable, "Step Functions does not answer.");
            ResyncError::from(unavailable)
        })?;
        Ok(runs)
    }

    async fn latest_runs(&self) -> Result<BTreeMap<String, RunProgress>, Unavailable> {
        let mut seen = Vec::new();
        let executions = self.platform.executions(|execution| {
            let vendor = execution.vendor_part().to_owned();
            if !seen.contains(&vendor) {
                seen.push(vendor);
            }
            seen.len() > MAX_REPORTED
        });
        let mut latest: BTreeMap<String, Execution> = BTreeMap::new();
        for execution in executions.await? {
            let vendor = execution.vendor_part().to_owned();
            latest.entry(vendor).or_insert(execution);
        }
        let latest = latest.into_values().take(MAX_REPORTED);
        let reads = latest.map(async |execution| self.progress(&execution).await);
        let runs = try_join_all(reads).await?;
        let runs = runs.into_iter().flatten();
        Ok(runs
            .map(|(vendor, progress)| (vendor.to_string(), progress))
            .collect())
    }

    fn pace(&self, connectors: usize) -> Pace {
        Pace::new(self.requests_per_minute, connectors)
    }

    async fn progress(
        &self,
        execution: &Execution,
    ) -> Result<Option<(VendorId, RunProgress)>, Unavailable> {
        let progress = self.platform.progress(execution).await?;
        Ok(progress.map(|progress| {
            let pace = self.pace(progress.run.connectors.len());
            let vendor = progress.run.vendor_id.clone();
            (
                vendor,
                RunProgress::of(&progress, execution, pace, self.platform.now()),
            )
        }))
    }

    async fn report(
        &self,
        vendor: VendorId,
        asked: &'static str,
        change: Result<(RunChange, Option<RunProgress>), ResyncError>,
    ) -> ResyncReport {
        let complete = async {
            let (change, run) = change?;
            let run = match run {
                Some(run) => Some(run),
                None => self.latest_progress(&vendor).await?,
            };
            Ok::<_, ResyncError>((change, run))
        };
        let report = match complete.await {
            Ok((change, run)) => ResyncReport::new(vendor, asked, change, run),
            Err(error) => ResyncReport::refused(vendor, asked, error.into()),
        };
        report.log();
        report
    }

    async fn latest_progress(&self, vendor: &VendorId) -> Result<Option<RunProgress>, Unavailable> {
        let Some((_, execution)) = self.latest(vendor).await? else {
            return Ok(None);
        };
        let progress = self.progress(&execution).await?;
        Ok(progress.map(|(_, progress)| progress))
    }

    /// The vendor's latest execution and its number.
    async fn latest(&self, vendor: &VendorId) -> Result<Option<(u32, Execution)>, Unavailable> {
        let found = self
            .platform
            .executions(|execution| execution.number_of(vendor).is_some());
        let found = found.await?.into_iter();
        let numbered = found.filter_map(|one| Some((one.number_of(vendor)?, one)));
        Ok(numbered.max_by_key(|(number, _)| *number))
    }

    async fn begin(
        &self,
        vendor: &VendorId,
        asked: Option<Vec<&DeployedConnector<Q>>>,
    ) -> Result<(RunChange, Option<RunProgress>), ResyncError> {
        let connectors = self.configured(vendor, asked).await?;
        let connectors: Vec<_> = connectors
            .into_iter()
            .map(|one| one.name.to_string())
            .collect();
        let latest = self.latest(vendor).await?;
        let (number, state) = latest.map_or((0, None), |(number, one)| (number, Some(one.state)));
        if state == Some(ExecutionState::Running) {
            return Ok((RunChange::AlreadyRunning, None));
        }
        let (id, now) = (self.platform.new_id(), self.platform.now());
        let pace = self.pace(connectors.len());
        let run = Run::new(id, vendor.clone(), connectors, pace, number + 1, now);
        let change = match state {
            None | Some(ExecutionState::Succeeded) => RunChange::Started,
            Some(_) => RunChange::Restarted,
        };
        self.start_execution(run, change).await
    }

    async fn start_execution(
        &self,
        run: Run,
        change: RunChange,
    ) -> Result<(RunChange, Option<RunProgress>), ResyncError> {
        match self.platform.start(&run).await {
            // The list may not show it for some seconds.
            Ok(execution) => {
                let pace = self.pace(run.connectors.len());
                let progress = Progress { run, cause: None };
                let run = RunProgress::of(&progress, &execution, pace, self.platform.now());
                Ok((change, Some(run)))
            }
            // Someone else was faster, or the list did not show it yet.
            Err(StartError::Exists) => Ok((RunChange::AlreadyRunning, None)),
            Err(StartError::Unavailable(unavailable)) => Err(unavailable.into()),
        }
    }

    async fn revive(
        &self,
        vendor: &VendorId,
    ) -> Result<(RunChange, Option<RunProgress>), ResyncError> {
        let Some((number, execution)) = self.latest(vendor).await? else {
            return Ok((RunChange::Unchanged, None));
        };
        match execution.state {
            ExecutionState::Running => return Ok((RunChange::AlreadyRunning, None)),
            ExecutionState::Succeeded => return Ok((RunChange::Unchanged, None)),
            ExecutionState::Aborted | ExecutionState::Failed => {}
        }
        let Some(Progress { mut run, .. }) = self.platform.progress(&execution).await? else {
            return Ok((RunChange::Unchanged, None));
        };
        run.hand_over(number + 1);
        self.start_execution(run, RunChange::Resumed).await
    }

    async fn stop_running(&self, vendor: &VendorId) -> Result<RunChange, Unavailable> {
        let mut change = RunChange::Unchanged;
        for _ in 0..STOP_ATTEMPTS {
            match self.latest(vendor).await? {
                Some((_, execution)) if execution.state == ExecutionState::Running => {
                    self.platform.stop(&execution).await?;
                    change = RunChange::Stopped;
                }
                _ => break,
            }
        }
        Ok(change)
    }

    /// The connectors asked for, all of which need a secret; without `asked`, those
    /// that have one.
    async fn configured<'c>(
        &'c self,
        vendor: &VendorId,
        asked: Option<Vec<&'c DeployedConnector<Q>>>,
    ) -> Result<Vec<&'c DeployedConnector<Q>>, ResyncError> {
        let any = asked.is_none();
        let candidates = asked.unwrap_or_else(|| self.connectors.iter().collect());
        let names = ["sesamy"].into_iter();
        let names = names.chain(candidates.iter().map(|connector| connector.name.as_str()));
        let looked = names.map(async |name| {
            let path = format!("{vendor}/{name}");
            let found = self.platform.has_secret(&path).await;
            found.map(|found| (path, found))
        });
        let mut found = try_join_all(looked).await?.into_iter();
        let mut missing: Vec<_> = found
            .next()
            .filter(|(_, found)| !found)
            .into_iter()
            .collect();
        let mut configured = Vec::new();
        for (connector, (path, found)) in candidates.into_iter().zip(found) {
            if found {
                configured.push(connector);
            } else if !any {
                missing.push((path, found));
            }
        }
        if !missing.is_empty() {
            let secrets = missing.into_iter().map(|(path, _)| path).collect();
            return Err(ResyncError::NotConfigured { secrets });
        }
        if configured.is_empty() {
            return Err(ResyncError::NoConnector);
        }
        Ok(configured)
    }
}

impl From<ResyncError> for ErrorAnswer {
    fn from(error: ResyncError) -> Self {
        let (code, message) = match error {
            ResyncError::NotConfigured { secrets } => (
                NOT_CONFIGURED,
                format!(
                    "nothing was done: these secrets are missing below the stack's prefix: {}; store them as docs/onboard.md describes",
                    secrets.join(", ")
                ),
            ),
            ResyncError::NoConnector => (
                NOT_CONFIGURED,
                "nothing was done: the vendor has a secret for none of the connectors".to_owned(),
            ),
            ResyncError::Unavailable(unavailable) => ("unavailable", unavailable.to_string()),
        };
        Self::new(code, message)
    }
}
