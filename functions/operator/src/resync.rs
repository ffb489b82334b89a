//! Syncs readers without an event: one at once, or all of a vendor's in a run.
//!
//! A run goes on by itself for hours: it is kept in a table ([`run`]) and a tick
//! that the function sends to its own queue makes it go a step further
//! ([`tick`]). A step reads a page of Sesamy's users where it needs one
//! ([`place`]) and puts as many users into the connectors' queues as Sesamy's
//! limit allows ([`pace`]) and as long as next to nothing waits there. All
//! connectors of a run get the same users at the same time, so that it goes at
//! the pace of the slowest.

mod aws;
mod pace;
mod place;
mod platform;
mod report;
mod run;
#[cfg(test)]
pub mod stand_in;
#[cfg(test)]
mod tests;
mod tick;

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use shared::identity::{UserId, VendorId};
use shared::message::{Message, Reader};
use tracing::{info, warn};

use crate::connectors::{Connector, Connectors};
use crate::letters::{DeadLetters, Outgoing, Unavailable};
use crate::operator::Deadline;
use shared::request::ErrorAnswer;

pub use aws::Aws;
use pace::Pace;
pub use platform::Platform;
use platform::WriteError;
use report::NOT_CONFIGURED;
pub use report::{One, Progress, Reconciliation, Report, Runs};
pub use run::Tick;
use run::{Run, State};

/// A run that has done nothing for so long has lost its tick: twice the longest
/// time between two steps.
const LOST: SignedDuration = SignedDuration::from_mins(30);

/// How often a change is tried that others get in the way of.
const ATTEMPTS: u32 = 5;

/// What can be done about resyncs.
pub struct Resyncs<'a, Q, P> {
    /// The stack's connectors.
    pub connectors: &'a Connectors<Q>,
    /// Where runs are kept.
    pub platform: &'a P,
    /// How many requests a minute Sesamy takes from a vendor.
    pub requests_per_minute: NonZeroU32,
}

/// What became of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Started,
    StartedAnew,
    GoesOn,
    Resumed,
    Stopped,
    Nothing,
}

/// Why nothing came of it.
#[derive(Debug)]
enum Refusal {
    /// The vendor lacks a secret.
    NotConfigured { secrets: Vec<String> },
    /// The vendor has no connector.
    NoConnector,
    /// Others changed the run all the time.
    Contended,
    /// AWS does not answer.
    Unavailable(Unavailable),
}

impl From<Unavailable> for Refusal {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

impl<Q: DeadLetters, P: Platform> Resyncs<'_, Q, P> {
    /// Queues one reader for the vendor's connectors, or for those asked for.
    pub async fn one(
        &self,
        vendor: VendorId,
        user: UserId,
        asked: Option<Vec<&Connector<Q>>>,
    ) -> One {
        let connectors = match self.configured(&vendor, asked).await {
            Ok(connectors) => connectors,
            Err(refusal) => return One::refused(vendor, user, refusal.into()),
        };
        let reader = Reader {
            vendor_id: vendor.clone(),
            user_id: user.clone(),
        };
        // An occasion of its own, so that a second resync is not taken for the first.
        let occasion = self.platform.new_id();
        let message = Message::resync(reader, &occasion, self.platform.now());
        let outgoing = [outgoing(&message)];
        let sends = connectors.iter().map(async |connector| {
            let failed = connector.queues.send(&outgoing).await;
            let failed = failed.into_iter().next().map(|failed| failed.reason);
            (connector.name.clone(), failed)
        });
        let sent = join_all(sends).await;
        info!(vendor_id = %vendor, user_id = %user, event_id = %message.event_id, "Queued a resync of a user.");
        One::queued(vendor, user, message.event_id, sent)
    }

    /// Begins a run over all of the vendor's users, unless one is under way.
    pub async fn start(&self, vendor: VendorId, asked: Option<Vec<&Connector<Q>>>) -> Report {
        let done = self.begin(&vendor, asked).await;
        self.report(vendor, "start", done)
    }

    /// Stops the vendor's run.
    pub async fn stop(&self, vendor: VendorId) -> Report {
        let now = self.platform.now();
        let done = self.change(&vendor, |run| match run.state {
            State::Running => {
                run.end(State::Stopped, now);
                Did::Stopped
            }
            _ => Did::Nothing,
        });
        let done = done.await;
        self.report(vendor, "stop", done)
    }

    /// Makes the vendor's run go on that was stopped, failed, or has lost its tick.
    pub async fn resume(&self, vendor: VendorId) -> Report {
        let done = self.revive(&vendor).await;
        self.report(vendor, "resume", done)
    }

    /// Tells how the vendor's run stands.
    pub async fn show(&self, vendor: VendorId) -> Report {
        let run = self.platform.run(&vendor).await;
        let done = run.map(|run| (Did::Nothing, run.map(|(run, _)| run)));
        self.report(vendor, "show", done.map_err(Refusal::from))
    }

    /// Begins a run for every vendor that has credentials for Sesamy, but for
    /// those that have one.
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

    /// How all vendors' runs stand.
    pub async fn runs(&self) -> Runs {
        match self.platform.runs().await {
            Ok(runs) => Runs::Known(
                runs.iter()
                    .map(|run| (run.vendor_id.to_string(), self.progress(run)))
                    .collect(),
            ),
            Err(unavailable) => {
                warn!(error = %unavailable, "The table of resyncs does not answer.");
                Runs::Unknown {
                    error: Refusal::from(unavailable).into(),
                }
            }
        }
    }

    fn pace(&self, connectors: usize) -> Pace {
        Pace::new(self.requests_per_minute, connectors)
    }

    fn progress(&self, run: &Run) -> Progress {
        Progress::of(run, self.pace(run.connectors.len()), self.platform.now())
    }

    fn report(
        &self,
        vendor: VendorId,
        asked: &'static str,
        done: Result<(Did, Option<Run>), Refusal>,
    ) -> Report {
        let report = match done {
            Ok((did, run)) => {
                let progress = run.map(|run| self.progress(&run));
                Report::new(vendor, asked, did, progress)
            }
            Err(refusal) => Report::refused(vendor, asked, refusal.into()),
        };
        report.log();
        report
    }

    async fn begin(
        &self,
        vendor: &VendorId,
        asked: Option<Vec<&Connector<Q>>>,
    ) -> Result<(Did, Option<Run>), Refusal> {
        let names = self.configured(vendor, asked).await?;
        let names: Vec<_> = names.into_iter().map(|one| one.name.clone()).collect();
        let id = self.platform.new_id();
        for _ in 0..ATTEMPTS {
            let now = self.platform.now();
            let (before, over) = self.platform.run(vendor).await?.unzip();
            if let Some(run) = &before
                && run.state == State::Running
            {
                let ours = run.id == id;
                if !ours && now.duration_since(run.updated_at) < LOST {
                    return Ok((Did::GoesOn, before));
                }
                // One that has lost its tick; or ours, and the answer to its writing was lost.
                return self.revive(vendor).await;
            }
            let pace = self.pace(names.len());
            let run = Run::new(id.clone(), vendor.clone(), names.clone(), pace, now);
            match self.platform.write(&run, over).await {
                Ok(_) => {}
                Err(WriteError::Conflict) => continue,
                Err(WriteError::Unavailable(unavailable)) => return Err(unavailable.into()),
            }
            self.platform.send(&run.next_tick(), Duration::ZERO).await?;
            let unfinished = before.is_some_and(|run| run.state != State::Finished);
            let did = if unfinished {
                Did::StartedAnew
            } else {
                Did::Started
            };
            return Ok((did, Some(run)));
        }
        Err(Refusal::Contended)
    }

    async fn revive(&self, vendor: &VendorId) -> Result<(Did, Option<Run>), Refusal> {
        let (chain, now) = (self.platform.new_id(), self.platform.now());
        let revived = self.change(vendor, |run| match run.state {
            State::Finished => Did::Nothing,
            _ => {
                run.resume(chain.clone(), now);
                Did::Resumed
            }
        });
        let revived = revived.await?;
        if let (Did::Resumed, Some(run)) = &revived {
            self.platform.send(&run.next_tick(), Duration::ZERO).await?;
        }
        Ok(revived)
    }

    /// Changes the vendor's run, if there is one.
    async fn change(
        &self,
        vendor: &VendorId,
        change: impl Fn(&mut Run) -> Did,
    ) -> Result<(Did, Option<Run>), Refusal> {
        for _ in 0..ATTEMPTS {
            let Some((mut run, version)) = self.platform.run(vendor).await? else {
                return Ok((Did::Nothing, None));
            };
            let did = change(&mut run);
            if did == Did::Nothing {
                return Ok((did, Some(run)));
            }
            match self.platform.write(&run, Some(version)).await {
                Ok(_) => return Ok((did, Some(run))),
                Err(WriteError::Conflict) => {}
                Err(WriteError::Unavailable(unavailable)) => return Err(unavailable.into()),
            }
        }
        Err(Refusal::Contended)
    }

    /// Those of the connectors asked for that the vendor has secrets for, which
    /// must be all; where none is asked for, all that it has secrets for.
    async fn configured<'c>(
        &'c self,
        vendor: &VendorId,
        asked: Option<Vec<&'c Connector<Q>>>,
    ) -> Result<Vec<&'c Connector<Q>>, Refusal> {
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
            return Err(Refusal::NotConfigured { secrets });
        }
        if configured.is_empty() {
            return Err(Refusal::NoConnector);
        }
        Ok(configured)
    }
}

/// A message on its way to a connector's queue.
fn outgoing(message: &Message) -> Outgoing {
    Outgoing {
        body: message.to_json(),
        group: message.reader.message_group(),
        deduplication_id: message.event_id.to_string(),
        trace: None,
    }
}

impl From<Refusal> for ErrorAnswer {
    fn from(refusal: Refusal) -> Self {
        let (code, message) = match refusal {
            Refusal::NotConfigured { secrets } => (
                NOT_CONFIGURED,
                format!(
                    "nothing was done: these secrets are missing below the stack's prefix: {}; store them as the README describes",
                    secrets.join(", ")
                ),
            ),
            Refusal::NoConnector => (
                NOT_CONFIGURED,
                "nothing was done: the vendor has a secret for none of the connectors".to_owned(),
            ),
            Refusal::Contended => (
                "try_again",
                "the run was changed by others at the same time; ask again".to_owned(),
            ),
            Refusal::Unavailable(unavailable) => ("unavailable", unavailable.to_string()),
        };
        Self {
            code,
            message,
            details: Vec::new(),
        }
    }
}
