use std::num::NonZeroU32;
use std::time::Duration;

use operator::connectors::Connectors;
use operator::handler::Operator;
use serde_json::{Value, json};

use crate::fakes::platform::{FakePlatform, VENDOR};
use crate::fakes::queues::FakeQueues;

const INVOCATION: Duration = Duration::from_secs(60);
const NO_TIME: Duration = Duration::from_secs(5);

type FakeOperator = Operator<FakeQueues, FakePlatform>;

fn operator() -> FakeOperator {
    let urls = Connectors::parse("rule=rule,rule-dead").unwrap();
    Operator {
        connectors: urls.map(|_| FakeQueues::default()),
        platform: FakePlatform::new(&["rule"], 3, 100),
        requests_per_minute: NonZeroU32::new(100).unwrap(),
    }
}

async fn answer_of(operator: &FakeOperator, event: Value) -> Value {
    let answer = operator.handle(event, INVOCATION).await;
    serde_json::to_value(answer.unwrap()).unwrap()
}

async fn answer(event: Value) -> Value {
    answer_of(&operator(), event).await
}

fn project_file(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    std::fs::read_to_string(format!("{root}/{path}")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn sample_events_are_answered() {
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
        let sample = project_file(&format!("events/operator/{name}.json"));
        let answer = answer(serde_json::from_str(&sample).unwrap()).await;
        assert_eq!(answer["action"], action, "{answer}");
        assert_eq!(answer.get("error"), None, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_event_of_the_schedule_is_a_scheduled_reconciliation() {
    let template = project_file("template.yaml");
    let rule = template.split("\n  ReconcileTimer:\n").nth(1).unwrap();
    let input = rule
        .lines()
        .find_map(|line| line.trim().strip_prefix("Input: "));
    let input = input.unwrap().trim_matches('\'');
    let event: Value = serde_json::from_str(input).unwrap();
    let answer = answer(event.clone()).await;
    assert_eq!(answer["action"], "reconcile", "{answer}");
    assert_eq!(answer["vendors"][0]["did"], "started", "{answer}");
    // Only a scheduled one fails as an error.
    let operator = operator();
    operator.platform.break_call("vendors", true);
    assert!(operator.handle(event, INVOCATION).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_failed_reconciliation_is_an_error_only_if_scheduled() {
    struct Case {
        prepare: fn(&FakePlatform),
        time_left: Duration,
        failure: Option<&'static str>,
    }
    let cases = [
        Case {
            prepare: |_| {},
            time_left: INVOCATION,
            failure: None,
        },
        // A vendor may have no CRM yet.
        Case {
            prepare: |platform| platform.add_vendor("no-crm", &["sesamy"]),
            time_left: INVOCATION,
            failure: None,
        },
        Case {
            prepare: |platform| platform.break_call("vendors", true),
            time_left: INVOCATION,
            failure: Some("vendors"),
        },
        Case {
            prepare: |platform| platform.break_call("start", true),
            time_left: INVOCATION,
            failure: Some("nordposten: unavailable"),
        },
        Case {
            prepare: |_| {},
            time_left: NO_TIME,
            failure: Some("no time for 1 vendor"),
        },
    ];
    for case in cases {
        let invoke = async |event| {
            let operator = operator();
            (case.prepare)(&operator.platform);
            operator.handle(event, case.time_left).await
        };
        let answer = invoke(json!({"action": "reconcile"})).await.unwrap();
        let answer = serde_json::to_value(answer).unwrap();
        assert!(answer["action"] == "reconcile" || answer["error"].is_object());
        let scheduled = invoke(json!({"action": "reconcile", "scheduled": true})).await;
        let error = scheduled.err().map(|error| error.to_string());
        assert_eq!(error.is_some(), case.failure.is_some(), "{error:?}");
        if let (Some(error), Some(failure)) = (error, case.failure) {
            assert!(error.contains(failure), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_answers_what_the_state_machine_does_next() {
    let operator = operator();
    let start = json!({"action": "resync", "vendorId": VENDOR});
    assert_eq!(answer_of(&operator, start).await["did"], "started");
    let step = json!({"action": "resync-step", "run": operator.platform.run(), "retries": 0});
    let answer = answer_of(&operator, step).await;
    assert_eq!(answer["next"], "wait", "{answer}");
    assert_eq!(answer["run"]["visited"], 1, "{answer}");
    assert!(answer["waitSeconds"].is_u64(), "{answer}");

    let status = answer_of(&operator, json!({"action": "status"})).await;
    assert_eq!(status["resyncs"][VENDOR]["state"], "running", "{status}");
    operator.platform.break_call("executions", true);
    let status = answer_of(&operator, json!({"action": "status"})).await;
    let error = &status["resyncs"]["error"];
    assert_eq!(error["code"], "unavailable", "{status}");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_command_is_answered_with_what_is_wrong() {
    let answer = answer(json!({"action": "status", "x": 1})).await;
    let reason = "unknown field `x`, there are no fields";
    assert_eq!(
        answer,
        json!({"error": {
            "code": "validation_error",
            "message": format!("nothing was done: {reason}"),
            "details": [{"field": "x", "reason": reason}],
        }})
    );
}

#[tokio::test(start_paused = true)]
async fn a_connector_that_the_stack_does_not_have_is_refused() {
    let events = [
        json!({"action": "redrive", "connector": "make"}),
        json!({"action": "resync", "vendorId": VENDOR, "connectors": ["rule", "make"]}),
        json!({"action": "resync", "vendorId": VENDOR, "userId": "u", "connectors": ["make"]}),
    ];
    for event in events {
        let operator = operator();
        let answer = answer_of(&operator, event).await;
        assert_eq!(answer["error"]["code"], "validation_error", "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("`make`") && message.ends_with("it has: rule"),
            "{message}"
        );
        assert_eq!(operator.platform.executions_so_far(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_redrive_without_time_moves_nothing() {
    let operator = operator();
    let event = json!({"action": "redrive", "connector": "rule"});
    let answer = operator.handle(event, NO_TIME).await.unwrap();
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["stopped"], "time", "{answer}");
}
