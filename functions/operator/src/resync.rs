//! Syncs users without an event: one at once, or all of a vendor in a run.
//!
//! A run takes hours. Its state is in a table ([`run`]), and each step is started by
//! a tick: a message that the step before sent to the function's own queue ([`tick`]).
//! A step reads a page of Sesamy's users if it needs one ([`cursor`]) and queues as
//! many users as Sesamy's limit allows ([`pace`]), while the connectors' queues are
//! nearly empty. All connectors of a run get the same users at the same time, so it
//! goes at the rate of the slowest.

mod aws;
mod cursor;
mod pace;
mod platform;
mod report;
mod run;
mod tick;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use shared::identity::{UserId, VendorId};
use shared::message::{Message, UserKey};
use shared::request::ErrorAnswer;
use shared::sqs::OutgoingMessage;
use tracing::{info, warn};

use crate::connectors::{Connectors, DeployedConnector};
use crate::dead_letters::{ConnectorQueues, Unavailable};
use crate::deadline::Deadline;

pub use aws::AwsPlatform;
pub use pace::Pace;
pub use platform::{Platform, UsersError, WriteError};
use report::NOT_CONFIGURED;
pub use report::{Reconciliation, ResyncReport, RunProgress, UserResync};
pub use run::{Run, RunState, Tick};

/// A run without a step for so long has lost its tick: twice the longest time
/// between two steps.
const LOST: SignedDuration = SignedDuration::from_mins(30);

/// For changes that conflict with those of others.
const ATTEMPTS: u32 = 5;

pub struct Resyncs<'a, Q, P> {
    pub connectors: &'a Connectors<Q>,
    pub platform: &'a P,
    /// Sesamy's limit for each vendor.
    pub requests_per_minute: NonZeroU32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RunChange {
    Started,
    /// A run that had not finished was replaced.
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
    /// Every attempt conflicted with a change by others.
    Contended,
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
            let results = connector.queues.send(&outgoing).await;
            let error = results.into_iter().find_map(Result::err);
            (
                connector.name.to_string(),
                error.map(|error| error.to_string()),
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
        let done = self.start_run(&vendor, asked).await;
        self.report(vendor, "start", done)
    }

    pub async fn stop(&self, vendor: VendorId) -> ResyncReport {
        let now = self.platform.now();
        let done = self.change_run(&vendor, |run| match run.state {
            RunState::Running => {
                run.end(RunState::Stopped, now);
                RunChange::Stopped
            }
            _ => RunChange::Unchanged,
        });
        let done = done.await;
        self.report(vendor, "stop", done)
    }

    /// Continues a run that was stopped, failed, or has lost its tick.
    pub async fn resume(&self, vendor: VendorId) -> ResyncReport {
        let done = self.resume_run(&vendor).await;
        self.report(vendor, "resume", done)
    }

    pub async fn show(&self, vendor: VendorId) -> ResyncReport {
        let run = self.platform.run(&vendor).await;
        let done = run.map(|run| (RunChange::Unchanged, run.map(|(run, _)| run)));
        self.report(vendor, "show", done.map_err(ResyncError::from))
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

    /// By vendor.
    pub async fn runs(&self) -> Result<BTreeMap<String, RunProgress>, ErrorAnswer> {
        let runs = self.platform.runs().await.map_err(|unavailable| {
            warn!(error = %unavailable, "The table of resyncs does not answer.");
            ResyncError::from(unavailable)
        })?;
        let progress = runs
            .iter()
            .map(|run| (run.vendor_id.to_string(), self.progress(run)));
        Ok(progress.collect())
    }

    fn pace(&self, connectors: usize) -> Pace {
        Pace::new(self.requests_per_minute, connectors)
    }

    fn progress(&self, run: &Run) -> RunProgress {
        RunProgress::of(run, self.pace(run.connectors.len()), self.platform.now())
    }

    fn report(
        &self,
        vendor: VendorId,
        asked: &'static str,
        done: Result<(RunChange, Option<Run>), ResyncError>,
    ) -> ResyncReport {
        let report = match done {
            Ok((change, run)) => {
                let progress = run.map(|run| self.progress(&run));
                ResyncReport::new(vendor, asked, change, progress)
            }
            Err(error) => ResyncReport::refused(vendor, asked, error.into()),
        };
        report.log();
        report
    }

    async fn start_run(
        &self,
        vendor: &VendorId,
        asked: Option<Vec<&DeployedConnector<Q>>>,
    ) -> Result<(RunChange, Option<Run>), ResyncError> {
        let names = self.configured(vendor, asked).await?;
        let names: Vec<_> = names.into_iter().map(|one| one.name.to_string()).collect();
        let id = self.platform.new_id();
        for _ in 0..ATTEMPTS {
            let now = self.platform.now();
            let (before, over) = self.platform.run(vendor).await?.unzip();
            if let Some(run) = &before
                && run.state == RunState::Running
            {
                let ours = run.id == id;
                if !ours && now.duration_since(run.updated_at) < LOST {
                    return Ok((RunChange::AlreadyRunning, before));
                }
                // It has lost its tick; or it is ours, and the answer to the write was lost.
                return self.resume_run(vendor).await;
            }
            let pace = self.pace(names.len());
            let run = Run::new(id.clone(), vendor.clone(), names.clone(), pace, now);
            match self.platform.write(&run, over).await {
                Ok(_) => {}
                Err(WriteError::Conflict) => continue,
                Err(WriteError::Unavailable(unavailable)) => return Err(unavailable.into()),
            }
            self.platform.send(&run.next_tick(), Duration::ZERO).await?;
            let unfinished = before.is_some_and(|run| run.state != RunState::Finished);
            let change = if unfinished {
                RunChange::Restarted
            } else {
                RunChange::Started
            };
            return Ok((change, Some(run)));
        }
        Err(ResyncError::Contended)
    }

    async fn resume_run(&self, vendor: &VendorId) -> Result<(RunChange, Option<Run>), ResyncError> {
        let (chain, now) = (self.platform.new_id(), self.platform.now());
        let resumed = self.change_run(vendor, |run| match run.state {
            RunState::Finished => RunChange::Unchanged,
            _ => {
                run.resume(chain.clone(), now);
                RunChange::Resumed
            }
        });
        let resumed = resumed.await?;
        if let (RunChange::Resumed, Some(run)) = &resumed {
            self.platform.send(&run.next_tick(), Duration::ZERO).await?;
        }
        Ok(resumed)
    }

    async fn change_run(
        &self,
        vendor: &VendorId,
        apply: impl Fn(&mut Run) -> RunChange,
    ) -> Result<(RunChange, Option<Run>), ResyncError> {
        for _ in 0..ATTEMPTS {
            let Some((mut run, version)) = self.platform.run(vendor).await? else {
                return Ok((RunChange::Unchanged, None));
            };
            let change = apply(&mut run);
            if change == RunChange::Unchanged {
                return Ok((change, Some(run)));
            }
            match self.platform.write(&run, Some(version)).await {
                Ok(_) => return Ok((change, Some(run))),
                Err(WriteError::Conflict) => {}
                Err(WriteError::Unavailable(unavailable)) => return Err(unavailable.into()),
            }
        }
        Err(ResyncError::Contended)
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
        let found = names.map(async |name| {
            let path = format!("{vendor}/{name}");
            let found = self.platform.has_secret(&path).await;
            found.map(|found| (path, found))
        });
        let found: Result<Vec<_>, _> = join_all(found).await.into_iter().collect();
        let mut found = found?.into_iter();
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
                    "nothing was done: these secrets are missing below the stack's prefix: {}; store them as the README describes",
                    secrets.join(", ")
                ),
            ),
            ResyncError::NoConnector => (
                NOT_CONFIGURED,
                "nothing was done: the vendor has a secret for none of the connectors".to_owned(),
            ),
            ResyncError::Contended => (
                "try_again",
                "the run was changed by others at the same time; ask again".to_owned(),
            ),
            ResyncError::Unavailable(unavailable) => ("unavailable", unavailable.to_string()),
        };
        Self {
            code,
            message,
            details: Vec::new(),
        }
    }
}
