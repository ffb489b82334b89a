//! The operator function: what a person asks of a running stack.
//!
//! An event names an action: [`status`] tells how every connector stands,
//! [`redrive`] brings dead letters home, [`resync`] syncs readers without an
//! event. Runs of the last go on by ticks from the function's own queue, which
//! are events as well. [`request`] reads a person's event strictly,
//! [`letters`] is all of SQS that the actions see, [`connectors`] comes from the
//! environment. A further action is a module of its own and a variant of
//! [`request::Action`].

mod connectors;
mod letters;
mod operator;
mod redrive;
mod request;
mod resync;
mod sqs;
#[cfg(test)]
mod stand_in;
mod status;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::aws::{self, Patience};
use shared::http::Http;
use shared::secrets::{Secrets, SecretsManager};
use shared::sesamy::Sesamy;
use shared::telemetry;
use thiserror::Error as ThisError;
use tracing::error;

use connectors::Connectors;
use operator::Operator;
use sqs::Sqs;

/// The variable that names the connectors and their queues.
const CONNECTORS: &str = "CONNECTORS";

/// The variable that says how many requests a minute Sesamy takes from a vendor.
const LIMIT: &str = "SESAMY_REQUESTS_PER_MINUTE";

/// A variable that the template sets is not there.
#[derive(Debug, ThisError)]
#[error(
    "the environment variable {0} is not set; deploy the function by the template, which sets it"
)]
struct MissingVariable(&'static str);

/// The limit is none.
#[derive(Debug, ThisError)]
#[error("{LIMIT} must be a whole number of at least 1")]
struct NoLimit;

fn variable(name: &'static str) -> Result<String, MissingVariable> {
    std::env::var(name).map_err(|_| MissingVariable(name))
}

/// A person waits for the answer, and what a call leaves undone is told: there
/// is time for a slow one, as long as the end of the invocation is kept.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(1),
    attempt: Duration::from_millis(2_500),
    operation: Duration::from_secs(5),
    attempts: 4,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    telemetry::init(env!("CARGO_CRATE_NAME"));
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "The function cannot run.");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Error> {
    let connectors = Connectors::read(&std::env::var(CONNECTORS).unwrap_or_default())?;
    let config = aws::config(PATIENCE)?;
    let client = aws_sdk_sqs::Client::new(&config);
    let names = aws_sdk_secretsmanager::Client::new(&config);
    let http = Arc::new(Http::new()?);
    let platform = resync::Aws {
        table: aws_sdk_dynamodb::Client::new(&config),
        table_name: variable("RESYNC_TABLE")?,
        queue: client.clone(),
        queue_url: variable("OPERATOR_QUEUE_URL")?,
        secrets: Secrets::new(
            SecretsManager::new(names.clone()),
            variable("SECRET_PREFIX")?,
        ),
        names,
        sesamy: Sesamy::new(Arc::clone(&http)),
        http,
    };
    let limit = variable(LIMIT)?.parse().map_err(|_| NoLimit)?;
    let connectors =
        connectors.map(|urls| Sqs::new(client.clone(), urls.queue, urls.dead_letter_queue));
    let operator = Arc::new(Operator::new(connectors, platform, limit));
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let operator = Arc::clone(&operator);
        async move {
            let time_left = time_left(event.context.deadline);
            let answer = operator.answer(event.payload, time_left).await;
            answer.map_err(Error::from)
        }
    });
    lambda_runtime::run(service).await
}

/// How long until `deadline`, in milliseconds since 1970, as Lambda tells it.
fn time_left(deadline: u64) -> Duration {
    (SystemTime::UNIX_EPOCH + Duration::from_millis(deadline))
        .duration_since(SystemTime::now())
        .unwrap_or_default()
}
