//! From an event to its answer.

use std::num::NonZeroU32;
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
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
use crate::resync::{self, Platform, Resyncs, Tick};
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
    Ticks(SqsBatchResponse),
    Refused { error: ErrorAnswer },
}

/// Fails a scheduled or queued invocation, so that AWS retries it and an alarm rings.
#[derive(Debug, Error)]
pub enum InvocationError {
    #[error("a scheduled reconciliation failed: {0}")]
    Reconciliation(String),
    /// Lambda would take an answer without a list of failures for success.
    #[error("an SQS event cannot be read; its messages are retried")]
    Records,
}

pub struct Operator<Q, P> {
    pub connectors: Connectors<Q>,
    pub platform: P,
    /// Sesamy's limit for each vendor.
    pub requests_per_minute: NonZeroU32,
}

impl<Q: ConnectorQueues, P: Platform> Operator<Q, P> {
    /// Handles a command or a batch of resync ticks.
    pub async fn handle(
        &self,
        event: Value,
        time_left: Duration,
    ) -> Result<OperatorAnswer, InvocationError> {
        if event.get("Records").is_some() {
            return self.ticks(event).await;
        }
        let command = match parse_command(event) {
            Ok(command) => command,
            Err(error) => return Ok(refused(error.into())),
        };
        let scheduled = matches!(command, Command::Reconcile { scheduled: true });
        match self.execute(command, Deadline::after(time_left)).await {
            Ok(OperatorAnswer::Reconciliation(done)) if scheduled => match done.failure() {
                Some(reason) => {
                    error!(reason, "A scheduled reconciliation failed.");
                    Err(InvocationError::Reconciliation(reason))
                }
                None => Ok(OperatorAnswer::Reconciliation(done)),
            },
            Ok(answer) => Ok(answer),
            Err(unknown) => Ok(refused(ErrorAnswer::invalid(&unknown.to_string()))),
        }
    }

    async fn execute(
        &self,
        command: Command,
        deadline: Deadline,
    ) -> Result<OperatorAnswer, UnknownConnector> {
        let resyncs = self.resyncs();
        Ok(match command {
            Command::Status {} => {
                info!(action = "status", "Asked how the connectors stand.");
                OperatorAnswer::Status(status::run(&self.connectors, &resyncs, deadline).await)
            }
            Command::Redrive(command) => {
                let connector = self.connectors.named(command.connector.as_str())?;
                let report = redrive::run(&connector.queues, &command, deadline).await;
                OperatorAnswer::Redrive(Box::new(report))
            }
            Command::Resync(command) => self.resync(command).await?,
            Command::Reconcile { .. } => {
                OperatorAnswer::Reconciliation(resyncs.reconcile(deadline).await)
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

    /// A message that is not a tick is retried until SQS moves it to the
    /// dead-letter queue, which has an alarm.
    async fn ticks(&self, event: Value) -> Result<OperatorAnswer, InvocationError> {
        let event: SqsEvent =
            serde_json::from_value(event).map_err(|_| InvocationError::Records)?;
        let mut response = SqsBatchResponse::default();
        for record in event.records {
            let message = record.message_id.unwrap_or_default();
            let body = record.body.unwrap_or_default();
            let reason = match serde_json::from_str::<Tick>(&body) {
                Ok(tick) => match self.resyncs().tick(&tick, &message).await {
                    Ok(()) => continue,
                    Err(error) => error.to_string(),
                },
                Err(_) => "it is not a tick of a resync".to_owned(),
            };
            error!(message, reason, "A tick of a resync comes again.");
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message;
            response.batch_item_failures.push(failure);
        }
        Ok(OperatorAnswer::Ticks(response))
    }
}

/// The error may quote personal data, so the log leaves it out.
fn refused(error: ErrorAnswer) -> OperatorAnswer {
    warn!(faults = 1, "Refused a request with faults.");
    OperatorAnswer::Refused { error }
}
