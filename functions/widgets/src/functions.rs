//! Asks other functions, by Lambda's Invoke.

use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::aws::reason;
use thiserror::Error;
use tokio::time::timeout;
use tracing::warn;

/// Why a function has no answer, in words for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoAnswer {
    #[error("it has not answered within {0} seconds")]
    TooSlow(u64),
    /// AWS's error code, or the chain of causes.
    #[error("it could not be invoked: {0}")]
    Unreachable(String),
    #[error("it failed; its log says why")]
    Failed,
    /// The function's own words.
    #[error("{0}")]
    Refused(String),
    #[error("its answer could not be understood")]
    NotUnderstood,
}

pub trait Functions {
    /// The answer of a function, by its name or ARN.
    fn invoke(
        &self,
        function: &str,
        event: &Value,
    ) -> impl Future<Output = Result<Value, NoAnswer>> + Send;
}

pub struct Lambda(pub Client);

impl Functions for Lambda {
    async fn invoke(&self, function: &str, event: &Value) -> Result<Value, NoAnswer> {
        let invoke = self.0.invoke().function_name(function);
        let invoked = invoke.payload(Blob::new(event.to_string())).send().await;
        let answer = invoked.map_err(|error| NoAnswer::Unreachable(reason(&error)))?;
        if answer.function_error.is_some() {
            return Err(NoAnswer::Failed);
        }
        let payload = answer.payload.unwrap_or_else(|| Blob::new(""));
        serde_json::from_slice(payload.as_ref()).map_err(|_| NoAnswer::NotUnderstood)
    }
}

/// The reason in an answer that is nothing else.
#[derive(Deserialize)]
struct Refusal {
    error: RefusalReason,
}

#[derive(Deserialize)]
struct RefusalReason {
    message: String,
}

/// Asks a function and waits for its answer, but not for ever.
pub async fn ask<T: DeserializeOwned>(
    functions: &impl Functions,
    function: &str,
    event: &Value,
    limit: Duration,
) -> Result<T, NoAnswer> {
    let asked = timeout(limit, functions.invoke(function, event)).await;
    let answer = asked.unwrap_or(Err(NoAnswer::TooSlow(limit.as_secs())));
    let answer = answer.and_then(|answer| {
        T::deserialize(&answer).map_err(|_| match Refusal::deserialize(answer) {
            Ok(refusal) => NoAnswer::Refused(refusal.error.message),
            Err(_) => NoAnswer::NotUnderstood,
        })
    });
    answer.inspect_err(|no_answer| {
        // What a function says may quote ids that a person typed.
        let reason = match no_answer {
            NoAnswer::Refused(_) => "refused",
            _ => &no_answer.to_string(),
        };
        warn!(function, reason, "A function has no answer.");
    })
}
