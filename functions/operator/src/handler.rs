//! From an event to its answer.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use shared::request::{ErrorAnswer, parse_command};
use thiserror::Error;
use tracing::{error, info, warn};

use crate::command::{Command, ResyncCommand, ResyncOperation};
use crate::connectors::{ConnectorName, Connectors, DeployedConnector, UnknownConnector};
use crate::dead_letters::ConnectorQueues;
use crate::deadline::Deadline;
use crate::redrive::{self, RedriveReport};
use crate::resync::{self, Platform, Resyncs, StepAnswer, StepError};
use crate::status::{self, StackStatus};

/// A command's errors are answers too: people read them where they read any other.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum OperatorAnswer {
    Status(StackStatus),
    Redrive(Box<RedriveReport>),
    Resync(Box<resync::ResyncReport>),
    UserResync(Box<resync::UserResync>),
    Reconciliation(resync::Reconciliation),
    Step(Box<StepAnswer>),
    Refused { error: ErrorAnswer },
}

/// Fails an invocation whose answer no person reads, so that AWS retries it.
#[derive(Debug, Error)]
pub enum InvocationError {
    #[error("a scheduled reconciliation failed: {0}")]
    Reconciliation(String),
    #[error("a step of a resync failed: {0}")]
    Step(#[from] StepError),
}

pub struct Operator<Q, P> {
    pub connectors: Connectors<Q>,
    pub platform: P,
    /// Sesamy's limit for each vendor.
    pub requests_per_minute: NonZeroU32,
}

impl<Q: ConnectorQueues, P: Platform> Operator<Q, P> {
    pub async fn handle(
        &self,
        event: Value,
        time_left: Duration,
    ) -> Result<OperatorAnswer, InvocationError> {
        let command = match parse_command(event) {
            Ok(command) => command,
            Err(error) => return Ok(refused(error.into())),
        };
        let (resyncs, deadline) = (self.resyncs(), Deadline::after(time_left));
        Ok(match command {
            Command::Status {} => {
                info!(action = "status", "Asked how the connectors stand.");
                OperatorAnswer::Status(status::run(&self.connectors, &resyncs, deadline).await)
            }
            Command::Redrive(command) => match self.connectors.named(command.connector.as_str()) {
                Ok(connector) => {
                    let report = redrive::run(&connector.queues, &command, deadline).await;
                    OperatorAnswer::Redrive(Box::new(report))
                }
                Err(unknown) => unknown_connector(&unknown),
            },
            Command::Resync(command) => match self.resync(command).await {
                Ok(answer) => answer,
                Err(unknown) => unknown_connector(&unknown),
            },
            Command::Reconcile { scheduled } => {
                let done = resyncs.reconcile(deadline).await;
                if let Some(reason) = done.failure().filter(|_| scheduled) {
                    error!(reason, "A scheduled reconciliation failed.");
                    return Err(InvocationError::Reconciliation(reason));
                }
                OperatorAnswer::Reconciliation(done)
            }
            Command::ResyncStep { run, retries } => {
                let answer = resyncs.step(*run, retries).await.inspect_err(|error| {
                    error!(%error, "A step of a resync failed and is retried.");
                })?;
                OperatorAnswer::Step(Box::new(answer))
            }
        })
    }

    async fn resync(&self, command: ResyncCommand) -> Result<OperatorAnswer, UnknownConnector> {
        let resyncs = self.resyncs();
        let vendor_id = command.vendor_id;
        let report = match command.operation {
            ResyncOperation::User {
                user_id,
                connectors,
            } => {
                let connectors = self.named(connectors)?;
                let queued = resyncs.resync_user(vendor_id, user_id, connectors).await;
                return Ok(OperatorAnswer::UserResync(Box::new(queued)));
            }
            ResyncOperation::Start { connectors } => {
                resyncs.start(vendor_id, self.named(connectors)?).await
            }
            ResyncOperation::Stop => resyncs.stop(vendor_id).await,
            ResyncOperation::Resume => resyncs.resume(vendor_id).await,
            ResyncOperation::Show => resyncs.show(vendor_id).await,
        };
        Ok(OperatorAnswer::Resync(Box::new(report)))
    }

    fn named(
        &self,
        names: Option<Vec<ConnectorName>>,
    ) -> Result<Option<Vec<&DeployedConnector<Q>>>, UnknownConnector> {
        let find = |name: &ConnectorName| self.connectors.named(name.as_str());
        names
            .map(|names| names.iter().map(find).collect())
            .transpose()
    }

    fn resyncs(&self) -> Resyncs<'_, Q, P> {
        Resyncs {
            connectors: &self.connectors,
            platform: &self.platform,
            requests_per_minute: self.requests_per_minute,
        }
    }
}

fn unknown_connector(unknown: &UnknownConnector) -> OperatorAnswer {
    refused(ErrorAnswer::invalid(&unknown.to_string()))
}

/// The error may quote personal data, so the log leaves it out.
fn refused(error: ErrorAnswer) -> OperatorAnswer {
    warn!(faults = 1, "Refused a request with faults.");
    OperatorAnswer::Refused { error }
}
