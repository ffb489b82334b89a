//! From an event to its answer.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use shared::request::{ErrorAnswer, parse_command};
use thiserror::Error;
use tracing::{error, info, warn};

use crate::command::Command;
use crate::connectors::Connectors;
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
    Resync(Box<resync::ResyncAnswer>),
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
                Err(unknown) => refused(ErrorAnswer::invalid(&unknown.to_string())),
            },
            Command::Resync(command) => match resyncs.execute(command).await {
                Ok(answer) => OperatorAnswer::Resync(Box::new(answer)),
                Err(error) => OperatorAnswer::Refused { error },
            },
            Command::Reconcile { scheduled } => {
                let done = resyncs.reconcile(deadline).await;
                let failure = match &done {
                    Ok(done) => done.failure(),
                    Err(error) => Some(error.message.clone()),
                };
                if let Some(reason) = failure.filter(|_| scheduled) {
                    error!(reason, "A scheduled reconciliation failed.");
                    return Err(InvocationError::Reconciliation(reason));
                }
                match done {
                    Ok(done) => OperatorAnswer::Reconciliation(done),
                    Err(error) => OperatorAnswer::Refused { error },
                }
            }
            Command::ResyncStep { run, retries } => {
                let answer = resyncs.step(*run, retries).await.inspect_err(|error| {
                    error!(%error, "A step of a resync failed and is retried.");
                })?;
                OperatorAnswer::Step(Box::new(answer))
            }
        })
    }

    fn resyncs(&self) -> Resyncs<'_, Q, P> {
        Resyncs {
            connectors: &self.connectors,
            platform: &self.platform,
            requests_per_minute: self.requests_per_minute,
        }
    }
}

/// The error may quote personal data, so the log leaves it out.
fn refused(error: ErrorAnswer) -> OperatorAnswer {
    warn!(faults = 1, "Refused a request with faults.");
    OperatorAnswer::Refused { error }
}
