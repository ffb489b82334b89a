//! From an event to its answer.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::connectors::Connectors;
use crate::error::ErrorAnswer;
use crate::letters::DeadLetters;
use crate::redrive::{self, Report};
use crate::request::Action;
use crate::status::{self, Status};

/// What is kept of an invocation's time: for a call under way when the time for
/// work ends, for one to delete what it sent, and for the answer.
const RESERVE: Duration = Duration::from_secs(12);

/// The times that an action must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// Nothing new is begun from then on.
    pub work: Instant,
    /// The function is ended by force.
    pub end: Instant,
}

impl Deadline {
    /// Of an invocation with so much time left.
    pub fn after(time_left: Duration) -> Self {
        let now = Instant::now();
        Self {
            work: now + time_left.saturating_sub(RESERVE),
            end: now + time_left,
        }
    }
}

/// What an event is answered with. An error is an answer as well: whoever
/// invoked the function reads it where they read any other.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// How the connectors stand.
    Status(Status),
    /// What a redrive did.
    Redrive(Box<Report>),
    /// Nothing was done.
    Refused {
        /// Why.
        error: ErrorAnswer,
    },
}

/// A function instance.
pub struct Operator<Q> {
    connectors: Connectors<Q>,
}

impl<Q: DeadLetters> Operator<Q> {
    /// An operator of these connectors.
    pub fn new(connectors: Connectors<Q>) -> Self {
        Self { connectors }
    }

    /// Does what the event asks for.
    pub async fn answer(&self, event: Value, time_left: Duration) -> Answer {
        let deadline = Deadline::after(time_left);
        match Action::read(event, &self.connectors) {
            Ok(Action::Status) => {
                info!(action = "status", "Asked how the connectors stand.");
                Answer::Status(status::run(&self.connectors, deadline).await)
            }
            Ok(Action::Redrive(request)) => {
                Answer::Redrive(Box::new(redrive::run(request, deadline).await))
            }
            Err(invalid) => {
                warn!(faults = invalid.0.len(), "Refused a request with faults.");
                Answer::Refused {
                    error: invalid.into(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stand_in::StandIn;

    const INVOCATION: Duration = Duration::from_secs(60);

    async fn answer(event: Value) -> Value {
        let urls = Connectors::read("rule=rule,rule-dead").unwrap();
        let operator = Operator::new(urls.map(|_| StandIn::default()));
        serde_json::to_value(operator.answer(event, INVOCATION).await).unwrap()
    }

    fn sample(name: &str) -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/operator");
        let text = std::fs::read_to_string(format!("{path}/{name}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_samples_are_answered() {
        for name in ["status", "redrive"] {
            let answer = answer(sample(name)).await;
            assert_eq!(answer["action"], name, "{answer}");
            assert_eq!(answer.get("error"), None, "{answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_an_answer_that_says_what_is_wrong() {
        let answer = answer(json!({"action": "status", "x": 1})).await;
        assert_eq!(
            answer,
            json!({"error": {
                "code": "validation_error",
                "message": "nothing was done: `x` is not known; known for this action are: action",
                "details": [{
                    "field": "x",
                    "reason": "is not known; known for this action are: action",
                }],
            }})
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_time_nothing_is_begun() {
        let urls = Connectors::read("rule=rule,rule-dead").unwrap();
        let operator = Operator::new(urls.map(|_| StandIn::default()));
        let event = json!({"action": "redrive", "connector": "rule"});
        let answer = operator.answer(event, Duration::from_secs(5)).await;
        assert!(matches!(answer, Answer::Redrive(report) if report.stopped == "time"));
    }
}
