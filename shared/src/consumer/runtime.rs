//! A connector as a Lambda function.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use thiserror::Error as ThisError;

use super::connector::Connector;
use super::handler::Consumer;
use super::invocation::{Invocation, Reply};
use super::queue::SqsQueue;
use super::scope::{Scope, Use};
use crate::http::Http;
use crate::secrets::{Secrets, SecretsManager};
use crate::telemetry::Metrics;
use crate::{aws, telemetry};

/// Runs a connector for as long as Lambda wants.
///
/// The environment names what it works on: `SECRET_PREFIX`, `QUEUE_URL` and
/// `DEAD_LETTER_QUEUE_URL`.
///
/// # Errors
/// Where the environment is incomplete or there is no usable TLS set-up.
pub async fn run<C: Connector>(connector: C) -> Result<(), Error> {
    telemetry::init(C::NAME);
    let config = aws::config(aws::Patience::PROMPT)?;
    let secrets = Secrets::new(
        SecretsManager::new(aws_sdk_secretsmanager::Client::new(&config)),
        variable("SECRET_PREFIX")?,
    );
    let queue = SqsQueue::new(
        aws_sdk_sqs::Client::new(&config),
        variable("QUEUE_URL")?,
        variable("DEAD_LETTER_QUEUE_URL")?,
    );
    let http = Arc::new(Http::new()?);
    let consumer = Arc::new(Consumer::new(connector, http, secrets, queue));
    lambda_runtime::run(service_fn(|event: LambdaEvent<Invocation>| {
        let consumer = consumer.clone();
        async move {
            let time_left = time_left(event.context.deadline);
            let scope = Scope::of(&event.context.invoked_function_arn);
            let reply = match event.payload {
                Invocation::Batch(batch) => {
                    // An error, since an answer would tell SQS that all is done.
                    scope.admit(Use::Sync)?;
                    Reply::Batch(consumer.clone().handle(batch, time_left).await)
                }
                Invocation::Request(request) => {
                    let answer = consumer.clone().answer(request, scope, time_left).await;
                    Reply::Answer(Box::new(answer))
                }
            };
            consumer.metrics().iter().for_each(Metrics::emit);
            Ok::<_, Error>(reply)
        }
    }))
    .await
}

/// A variable that the template sets is not there.
#[derive(Debug, ThisError)]
#[error(
    "the environment variable {0} is not set; deploy the function by the template, which sets it"
)]
struct MissingVariable(&'static str);

fn variable(name: &'static str) -> Result<String, MissingVariable> {
    std::env::var(name).map_err(|_| MissingVariable(name))
}

/// How long until `deadline`, in milliseconds since 1970, as Lambda tells it.
fn time_left(deadline: u64) -> Duration {
    (SystemTime::UNIX_EPOCH + Duration::from_millis(deadline))
        .duration_since(SystemTime::now())
        .unwrap_or_default()
}
