//! From an event to its answer.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::actions::Scope;
use shared::http::Http;
use shared::request::{ErrorAnswer, parse_command};
use shared::secrets::{Secrets, SecretsManager};
use shared::sesamy::Sesamy;
use thiserror::Error;
use tracing::{error, warn};

use crate::command::Command;
use crate::connectors::{Connectors, InvalidConnectors};
use crate::deadline::Deadline;
use crate::redrive;
use crate::resync::Executions;
use crate::unavailable::Unavailable;

/// Fails an invocation whose answer no person reads, so that AWS retries it.
#[derive(Debug, Error)]
pub enum InvocationError {
    #[error("a scheduled reconciliation failed: {0}")]
    Reconciliation(String),
    #[error("a step of a resync failed: {0}")]
    Step(#[from] Unavailable),
}

/// What the environment states.
pub struct Settings {
    pub connectors: String,
    pub state_machine_arn: String,
    pub secret_prefix: String,
    /// Sesamy's limit for each vendor.
    pub requests_per_minute: NonZeroU32,
}

pub struct Operator {
    pub(crate) connectors: Connectors,
    pub(crate) executions: Executions,
    /// Lists and describes secrets.
    pub(crate) secret_names: aws_sdk_secretsmanager::Client,
    /// Reads the vendors' Sesamy credentials.
    pub(crate) secrets: Secrets,
    pub(crate) sesamy: Sesamy,
    pub(crate) requests_per_minute: NonZeroU32,
    pub(crate) now: fn() -> Timestamp,
}

impl Operator {
    pub fn new(
        aws: &SdkConfig,
        http: Arc<Http>,
        settings: Settings,
        now: fn() -> Timestamp,
    ) -> Result<Self, InvalidConnectors> {
        let secrets = aws_sdk_secretsmanager::Client::new(aws);
        Ok(Self {
            connectors: Connectors::parse(&settings.connectors, &aws_sdk_sqs::Client::new(aws))?,
            executions: Executions {
                client: aws_sdk_sfn::Client::new(aws),
                state_machine_arn: settings.state_machine_arn,
            },
            secret_names: secrets.clone(),
            secrets: Secrets::new(SecretsManager::new(secrets), settings.secret_prefix),
            sesamy: Sesamy::new(http),
            requests_per_minute: settings.requests_per_minute,
            now,
        })
    }

    /// A command's errors are answers too: people read them where they read any other.
    pub async fn handle(
        &self,
        event: Value,
        scope: Scope,
        time_left: Duration,
    ) -> Result<Value, InvocationError> {
        let deadline = Deadline::after(time_left);
        let command = parse_command(event).map_err(ErrorAnswer::from);
        let admitted = command.and_then(|command: Command| {
            scope.admit(command.purpose())?;
            Ok(command)
        });
        let answer = match admitted {
            Ok(Command::Status {}) => Ok(self.status(deadline).await),
            Ok(Command::Redrive(command)) => match self.connectors.get(&command.connector) {
                Ok(queues) => Ok(redrive::run(queues, &command, deadline).await),
                Err(unknown) => Err(ErrorAnswer::invalid(&format!("`connector`: {unknown}"))),
            },
            Ok(Command::Resync(command)) => self.resync(command).await,
            Ok(Command::Runs {}) => self.runs().await,
            Ok(Command::Reconcile { scheduled }) => {
                let done = self.reconcile(deadline).await;
                let failures = match &done {
                    Ok((_, failures)) => failures.join("; "),
                    Err(error) => error.message.clone(),
                };
                if scheduled && !failures.is_empty() {
                    error!(failures, "A scheduled reconciliation failed.");
                    return Err(InvocationError::Reconciliation(failures));
                }
                done.map(|(answer, _)| answer)
            }
            Ok(Command::ResyncStep { run, retries }) => {
                Ok(self.step(*run, retries).await.inspect_err(|error| {
                    error!(%error, "A step of a resync failed and is retried.");
                })?)
            }
            Err(error) => Err(error),
        };
        Ok(answer.unwrap_or_else(|error: ErrorAnswer| {
            // The message may quote personal data, so the log leaves it out.
            warn!(code = error.code, "Refused a command.");
            json!({ "error": error })
        }))
    }
}
