//! Runs a connector as a Lambda function.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error as ThisError;

use super::handler::Consumer;
use super::queue::SqsQueues;
use crate::actions::{Answer, Purpose, Scope};
use crate::connector::Connector;
use crate::http::Http;
use crate::remembered::{DynamoDb, EventBridge, UserMemory};
use crate::secrets::{Secrets, SecretsManager};
use crate::sqs::SqsQueue;
use crate::telemetry::Metrics;
use crate::{aws, telemetry};

/// What the function returns to Lambda.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Response {
    Batch(SqsBatchResponse),
    Answer(Box<Answer>),
}

/// Reads `SECRET_PREFIX`, `QUEUE_URL`, `QUEUE_ARN`, `DEAD_LETTER_QUEUE_URL`,
/// `USER_TABLE`, `SCHEDULE_GROUP` and `SCHEDULE_ROLE_ARN` from the environment.
pub async fn run<C: Connector>(connector: C) -> Result<(), Error> {
    telemetry::init(C::NAME);
    let config = aws::config(aws::AwsTimeouts::PROMPT)?;
    let secrets = Secrets::new(
        SecretsManager::new(aws_sdk_secretsmanager::Client::new(&config)),
        variable("SECRET_PREFIX")?,
    );
    let sqs = aws_sdk_sqs::Client::new(&config);
    let memory = UserMemory::new(
        C::NAME,
        Arc::new(DynamoDb::new(&config, variable("USER_TABLE")?)),
        Arc::new(EventBridge::new(
            &config,
            variable("SCHEDULE_GROUP")?,
            variable("SCHEDULE_ROLE_ARN")?,
            variable("QUEUE_ARN")?,
        )),
    );
    let queues = SqsQueues {
        queue: SqsQueue::new(sqs.clone(), variable("QUEUE_URL")?),
        dead_letter_queue: SqsQueue::new(sqs, variable("DEAD_LETTER_QUEUE_URL")?),
    };
    let http = Arc::new(Http::new()?);
    let consumer = Arc::new(Consumer::new(connector, http, secrets, memory, queues));
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| {
        let consumer = consumer.clone();
        async move {
            let time_left = time_left(event.context.deadline);
            let scope = Scope::from_arn(&event.context.invoked_function_arn);
            let response = if let Some(batch) = batch(&event.payload) {
                // An error, because Lambda would take an answer for success and
                // delete the batch.
                scope.admit(Purpose::Act)?;
                Response::Batch(consumer.clone().handle(batch?, time_left).await)
            } else {
                let answer = consumer.answer(event.payload, scope, time_left).await;
                Response::Answer(Box::new(answer))
            };
            consumer.metrics().iter().for_each(Metrics::emit);
            Ok::<_, Error>(response)
        }
    }))
    .await
}

/// `None` for a person's request.
fn batch(event: &Value) -> Option<serde_json::Result<SqsEvent>> {
    event.get("Records").map(|_| SqsEvent::deserialize(event))
}

#[derive(Debug, ThisError)]
#[error(
    "the environment variable {0} is not set; deploy the function with the template, which sets it"
)]
struct MissingVariable(&'static str);

fn variable(name: &'static str) -> Result<String, MissingVariable> {
    std::env::var(name).map_err(|_| MissingVariable(name))
}

/// `deadline` is in milliseconds since 1970, as Lambda gives it.
fn time_left(deadline: u64) -> Duration {
    (SystemTime::UNIX_EPOCH + Duration::from_millis(deadline))
        .duration_since(SystemTime::now())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_event_with_records_is_a_batch() {
        let event = json!({ "Records": [{ "messageId": "1", "body": "b" }, {}], "more": 1 });
        assert_eq!(batch(&event).unwrap().unwrap().records.len(), 2);
        for request in [
            json!({ "action": "preview", "vendorId": "v" }),
            json!({ "records": [] }),
            json!({}),
            json!([1, {}]),
            json!("Records"),
            json!(1),
            json!(null),
        ] {
            assert!(batch(&request).is_none(), "{request}");
        }
    }
}
