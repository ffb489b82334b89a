use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use operator::connectors::Connectors;
use operator::handler::Operator;
use operator::resync;
use operator::sqs::SqsConnectorQueues;
use serde_json::Value;
use shared::aws::{self, AwsTimeouts};
use shared::http::Http;
use shared::secrets::{Secrets, SecretsManager};
use shared::sesamy::Sesamy;
use shared::telemetry;
use thiserror::Error as ThisError;
use tracing::error;

const CONNECTORS: &str = "CONNECTORS";
const LIMIT: &str = "SESAMY_REQUESTS_PER_MINUTE";

#[derive(Debug, ThisError)]
#[error(
    "the environment variable {0} is not set; deploy the function with the template, which sets it"
)]
struct MissingVariable(&'static str);

#[derive(Debug, ThisError)]
#[error("{LIMIT} must be a whole number of at least 1")]
struct InvalidLimit;

fn variable(name: &'static str) -> Result<String, MissingVariable> {
    std::env::var(name).map_err(|_| MissingVariable(name))
}

/// Generous, because a person waits for the answer, which reports calls that failed.
const TIMEOUTS: AwsTimeouts = AwsTimeouts {
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
    let connectors = Connectors::parse(&std::env::var(CONNECTORS).unwrap_or_default())?;
    let config = aws::config(TIMEOUTS)?;
    let client = aws_sdk_sqs::Client::new(&config);
    let names = aws_sdk_secretsmanager::Client::new(&config);
    let http = Arc::new(Http::new()?);
    let platform = resync::AwsPlatform {
        states: aws_sdk_sfn::Client::new(&config),
        state_machine_arn: variable("RESYNC_STATE_MACHINE_ARN")?,
        secrets: Secrets::new(
            SecretsManager::new(names.clone()),
            variable("SECRET_PREFIX")?,
        ),
        names,
        sesamy: Sesamy::new(Arc::clone(&http)),
        http,
    };
    let operator = Arc::new(Operator {
        requests_per_minute: variable(LIMIT)?.parse().map_err(|_| InvalidLimit)?,
        connectors: connectors.map(|urls| {
            SqsConnectorQueues::new(client.clone(), urls.queue, urls.dead_letter_queue)
        }),
        platform,
    });
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let operator = Arc::clone(&operator);
        async move {
            let time_left = time_left(event.context.deadline);
            // Boxed, or the nested futures exceed rustc's depth limit.
            let answer = Box::pin(operator.handle(event.payload, time_left)).await;
            answer.map_err(Error::from)
        }
    });
    lambda_runtime::run(service).await
}

/// Lambda gives the deadline in milliseconds since 1970.
fn time_left(deadline: u64) -> Duration {
    (SystemTime::UNIX_EPOCH + Duration::from_millis(deadline))
        .duration_since(SystemTime::now())
        .unwrap_or_default()
}
