//! From an event to its answer.

use std::num::NonZeroU32;
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::connectors::Connectors;
use crate::letters::DeadLetters;
use crate::redrive::{self, Report};
use crate::request::{Action, Resync, Wish};
use crate::resync::{self, Platform, Resyncs, Tick};
use crate::status::{self, Status};
use shared::request::ErrorAnswer;

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
    /// How a run over all of a vendor's readers stands.
    Resync(Box<resync::Report>),
    /// What became of a resync of one reader.
    ResyncOne(Box<resync::One>),
    /// What became of a resync of every vendor.
    Reconciliation(resync::Reconciliation),
    /// Which ticks are to come again. Lambda reads it, no person.
    Ticks(SqsBatchResponse),
    /// Nothing was done.
    Refused {
        /// Why.
        error: ErrorAnswer,
    },
}

/// A scheduled or queued invocation failed. It fails as an error, so that AWS
/// retries it and an alarm rings.
#[derive(Debug, Error)]
pub enum Failure {
    /// Not every vendor's run was begun.
    #[error("a scheduled reconciliation failed: {0}")]
    Reconciliation(String),
    /// Lambda would take an answer without a list of failures for success.
    #[error("an event of SQS's form cannot be read; its messages come again")]
    Records,
}

/// A function instance.
pub struct Operator<Q, P> {
    connectors: Connectors<Q>,
    platform: P,
    requests_per_minute: NonZeroU32,
}

impl<Q: DeadLetters, P: Platform> Operator<Q, P> {
    /// An operator of these connectors. Sesamy takes so many requests a minute
    /// from each vendor.
    pub fn new(connectors: Connectors<Q>, platform: P, requests_per_minute: NonZeroU32) -> Self {
        Self {
            connectors,
            platform,
            requests_per_minute,
        }
    }

    /// Does what the event asks for: a person's, the schedule's, or SQS's with
    /// ticks of resyncs.
    ///
    /// # Errors
    /// [`Failure`] of scheduled and queued invocations. A person gets an answer,
    /// errors too.
    pub async fn answer(&self, event: Value, time_left: Duration) -> Result<Answer, Failure> {
        if event.get("Records").is_some() {
            return self.ticks(event).await;
        }
        let deadline = Deadline::after(time_left);
        let resyncs = self.resyncs();
        let answer = match Action::read(event, &self.connectors) {
            Ok(Action::Status) => {
                info!(action = "status", "Asked how the connectors stand.");
                Answer::Status(status::run(&self.connectors, &resyncs, deadline).await)
            }
            Ok(Action::Redrive(request)) => {
                Answer::Redrive(Box::new(redrive::run(request, deadline).await))
            }
            Ok(Action::Resync(Resync { vendor_id, wish })) => match wish {
                Wish::One(user_id, asked) => {
                    Answer::ResyncOne(Box::new(resyncs.one(vendor_id, user_id, asked).await))
                }
                Wish::Start(asked) => resynced(resyncs.start(vendor_id, asked).await),
                Wish::Stop => resynced(resyncs.stop(vendor_id).await),
                Wish::Resume => resynced(resyncs.resume(vendor_id).await),
                Wish::Show => resynced(resyncs.show(vendor_id).await),
            },
            Ok(Action::Reconcile { scheduled }) => {
                let done = resyncs.reconcile(deadline).await;
                if let Some(reason) = done.failure().filter(|_| scheduled) {
                    error!(reason, "A scheduled reconciliation failed.");
                    return Err(Failure::Reconciliation(reason));
                }
                Answer::Reconciliation(done)
            }
            Err(invalid) => {
                warn!(faults = invalid.0.len(), "Refused a request with faults.");
                Answer::Refused {
                    error: invalid.into(),
                }
            }
        };
        Ok(answer)
    }

    fn resyncs(&self) -> Resyncs<'_, Q, P> {
        Resyncs {
            connectors: &self.connectors,
            platform: &self.platform,
            requests_per_minute: self.requests_per_minute,
        }
    }

    /// Takes ticks. One that cannot be understood becomes a dead letter in the
    /// end, which an alarm tells of.
    async fn ticks(&self, event: Value) -> Result<Answer, Failure> {
        let event: SqsEvent = serde_json::from_value(event).map_err(|_| Failure::Records)?;
        let mut response = SqsBatchResponse::default();
        for record in event.records {
            let message = record.message_id.unwrap_or_default();
            let body = record.body.unwrap_or_default();
            let failed = match serde_json::from_str::<Tick>(&body) {
                Ok(tick) => match self.resyncs().tick(&tick, &message).await {
                    Ok(()) => continue,
                    Err(failed) => failed.to_string(),
                },
                Err(_) => "it is no tick of a resync".to_owned(),
            };
            error!(message, reason = failed, "A tick of a resync comes again.");
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message;
            response.batch_item_failures.push(failure);
        }
        Ok(Answer::Ticks(response))
    }
}

fn resynced(report: resync::Report) -> Answer {
    Answer::Resync(Box::new(report))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resync::stand_in::{VENDOR, World};
    use crate::stand_in::StandIn;

    const INVOCATION: Duration = Duration::from_secs(60);

    fn operator() -> Operator<StandIn, World> {
        let urls = Connectors::read("rule=rule,rule-dead").unwrap();
        let connectors = urls.map(|_| StandIn::default());
        let limit = NonZeroU32::new(100).unwrap();
        Operator::new(connectors, World::new(&["rule"], 3, 100), limit)
    }

    async fn answer_of(operator: &Operator<StandIn, World>, event: Value) -> Value {
        let answer = operator.answer(event, INVOCATION).await;
        serde_json::to_value(answer.unwrap()).unwrap()
    }

    async fn answer(event: Value) -> Value {
        answer_of(&operator(), event).await
    }

    fn sample(name: &str) -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events/operator");
        let text = std::fs::read_to_string(format!("{path}/{name}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_samples_are_answered() {
        let samples = [
            ("status", "status"),
            ("redrive", "redrive"),
            ("resync", "resync"),
            ("resync-user", "resync"),
            ("resync-show", "resync"),
            ("resync-stop", "resync"),
            ("resync-resume", "resync"),
            ("reconcile", "reconcile"),
        ];
        for (name, action) in samples {
            let answer = answer(sample(name)).await;
            assert_eq!(answer["action"], action, "{answer}");
            assert_eq!(answer.get("error"), None, "{answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_schedule_sends_is_a_reconciliation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
        let template = std::fs::read_to_string(path).unwrap();
        let rule = template.split("\n  ReconcileRule:\n").nth(1).unwrap();
        let input = rule
            .lines()
            .find_map(|line| line.trim().strip_prefix("Input: "));
        let input = input.unwrap().trim_matches('\'');
        let event: Value = serde_json::from_str(input).unwrap();
        let answer = answer(event.clone()).await;
        assert_eq!(answer["action"], "reconcile", "{answer}");
        assert_eq!(answer["vendors"][0]["did"], "started", "{answer}");
        // That it is the schedule's.
        let operator = operator();
        operator.platform.break_call("vendors", true);
        assert!(operator.answer(event, INVOCATION).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_scheduled_reconciliation_that_fails_is_an_error_and_a_persons_an_answer() {
        /// Breaks something of the world.
        type Blow = fn(&World);
        let cases: [(Blow, Duration, Option<&str>); 5] = [
            (|_| {}, INVOCATION, None),
            // Not every vendor has a CRM yet.
            (
                |world| world.add_vendor("no-crm", &["sesamy"]),
                INVOCATION,
                None,
            ),
            (
                |world| world.break_call("vendors", true),
                INVOCATION,
                Some("vendors"),
            ),
            (
                |world| world.break_call("write", true),
                INVOCATION,
                Some("nordposten: unavailable"),
            ),
            (|_| {}, Duration::from_secs(5), Some("no time for 1 vendor")),
        ];
        for (blow, time_left, failure) in cases {
            let ask = async |event| {
                let operator = operator();
                blow(&operator.platform);
                operator.answer(event, time_left).await
            };
            let answered = ask(json!({"action": "reconcile"})).await.unwrap();
            let answered = serde_json::to_value(answered).unwrap();
            assert_eq!(answered["action"], "reconcile", "{answered}");
            let scheduled = ask(json!({"action": "reconcile", "scheduled": true})).await;
            let told = scheduled.err().map(|failure| failure.to_string());
            assert_eq!(told.is_some(), failure.is_some(), "{told:?}");
            let (told, failure) = (told.unwrap_or_default(), failure.unwrap_or_default());
            assert!(told.contains(failure), "{told}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ticks_that_cannot_be_read_are_an_error_since_an_answer_would_delete_them() {
        for records in [json!(1), json!({}), json!([1])] {
            let operator = operator();
            let answer = operator.answer(json!({ "Records": records }), INVOCATION);
            assert!(answer.await.is_err());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tick_makes_a_run_go_on_and_one_that_is_none_comes_again() {
        let operator = operator();
        let start = json!({"action": "resync", "vendorId": VENDOR});
        assert_eq!(answer_of(&operator, start).await["did"], "started");
        let chain = operator.platform.run().chain;
        let tick = json!({"vendorId": VENDOR, "chain": chain, "step": 1});
        let event = |body: String| json!({"Records": [{"messageId": "m1", "body": body}]});
        let done = answer_of(&operator, event(tick.to_string())).await;
        assert_eq!(done, json!({"batchItemFailures": []}));
        assert_eq!(operator.platform.run().turn.step, 1);
        for body in ["", "{}", "anna@example.com"] {
            let failed = answer_of(&operator, event(body.to_owned())).await;
            let expected = json!({"batchItemFailures": [{"itemIdentifier": "m1"}]});
            assert_eq!(failed, expected, "{body}");
        }
        let status = answer_of(&operator, json!({"action": "status"})).await;
        assert_eq!(status["resyncs"][VENDOR]["state"], "running", "{status}");
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
        let operator = operator();
        let event = json!({"action": "redrive", "connector": "rule"});
        let answer = operator.answer(event, Duration::from_secs(5)).await;
        assert!(matches!(answer, Ok(Answer::Redrive(report)) if report.stopped == "time"));
    }
}
