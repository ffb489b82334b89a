use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use operator::handler::{Operator, Settings};
use serde_json::Value;
use shared::actions::Scope;
use shared::aws::{self, AwsTimeouts};
use shared::http::Http;
use shared::telemetry::{self, Metrics};
use thiserror::Error as ThisError;
use tracing::error;

#[derive(Debug, ThisError)]
#[error(
    "the environment variable {0} is not set as it must be; deploy the function with the template, which sets it"
)]
struct InvalidVariable(&'static str);

fn variable<T: FromStr>(name: &'static str) -> Result<T, InvalidVariable> {
    let value = std::env::var(name).map_err(|_| InvalidVariable(name))?;
    value.parse().map_err(|_| InvalidVariable(name))
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
    let settings = Settings {
        connectors: variable("CONNECTORS")?,
        state_machine_arn: variable("RESYNC_STATE_MACHINE_ARN")?,
        secret_prefix: variable("SECRET_PREFIX")?,
        requests_per_minute: variable("SESAMY_REQUESTS_PER_MINUTE")?,
    };
    let http = Arc::new(Http::new()?);
    let aws = aws::config(TIMEOUTS)?;
    let operator = Operator::new(&aws, http.clone(), settings, Timestamp::now)?;
    let (operator, http) = (&operator, &http);
    let service = service_fn(async |event: LambdaEvent<Value>| {
        let time_left = event.context.deadline().duration_since(SystemTime::now());
        let scope = Scope::from_arn(&event.context.invoked_function_arn);
        let time_left = time_left.unwrap_or_default();
        // Boxed, or the nested futures exceed rustc's depth limit.
        let answer = Box::pin(operator.handle(event.payload, scope, time_left)).await;
        http.metrics().iter().for_each(Metrics::emit);
        answer.map_err(Error::from)
    });
    lambda_runtime::run(service).await
}
