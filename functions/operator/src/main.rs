//! The operator function: what a person asks of a running stack.
//!
//! An event names an action: [`status`] tells how every connector stands,
//! [`redrive`] brings dead letters home. [`request`] reads the event strictly,
//! [`letters`] is all of SQS that the actions see, [`connectors`] comes from the
//! environment. A further action is a module of its own and a variant of
//! [`request::Action`].

mod connectors;
mod error;
mod letters;
mod operator;
mod redrive;
mod request;
mod sqs;
#[cfg(test)]
mod stand_in;
mod status;

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::aws::{self, Patience};
use shared::telemetry;
use tracing::error;

use connectors::Connectors;
use operator::Operator;
use sqs::Sqs;

/// The variable that names the connectors and their queues.
const CONNECTORS: &str = "CONNECTORS";

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
    let client = aws_sdk_sqs::Client::new(&aws::config(PATIENCE)?);
    let connectors =
        connectors.map(|urls| Sqs::new(client.clone(), urls.queue, urls.dead_letter_queue));
    let operator = Arc::new(Operator::new(connectors));
    let service = service_fn(move |event: LambdaEvent<Value>| {
        let operator = Arc::clone(&operator);
        async move {
            let time_left = time_left(event.context.deadline);
            Ok::<_, Infallible>(operator.answer(event.payload, time_left).await)
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
