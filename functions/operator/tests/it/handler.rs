use std::time::Duration;

use serde_json::{Value, json};
use shared::actions::Scope;

use crate::fakes::{INVOCATION, VENDOR, World};

const NO_TIME: Duration = Duration::from_secs(5);

fn world() -> World {
    World::with_users(&["rule"], 3, 100)
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
        ("runs", "runs"),
        ("reconcile", "reconcile"),
    ];
    for (name, action) in samples {
        let sample = project_file(&format!("events/operator/{name}.json"));
        let answer = world().ask(serde_json::from_str(&sample).unwrap()).await;
        assert_eq!(answer["action"], action, "{answer}");
        assert_eq!(answer.get("error"), None, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn through_the_alias_ask_only_what_reads_is_done() {
    let all = [
        json!({"action": "status"}),
        json!({"action": "runs"}),
        json!({"action": "resync", "vendorId": VENDOR, "do": "show"}),
        json!({"action": "redrive", "connector": "rule"}),
        json!({"action": "resync", "vendorId": VENDOR}),
        json!({"action": "resync", "vendorId": VENDOR, "do": "stop"}),
        json!({"action": "resync", "vendorId": VENDOR, "do": "resume"}),
        json!({"action": "resync", "vendorId": VENDOR, "userId": "u"}),
        json!({"action": "reconcile"}),
        json!({"action": "reconcile", "scheduled": true}),
    ];
    for (scope, allowed) in [
        (Scope::Everything, all.len()),
        (Scope::Ask, 3),
        (Scope::Forget, 0),
        (Scope::Nothing, 0),
    ] {
        for (index, event) in all.iter().enumerate() {
            let world = world();
            let answer = world.invoke_by(scope, event.clone(), INVOCATION).await;
            let answer = answer.unwrap().unwrap();
            let is_refused = answer["error"]["code"] == "not_allowed";
            assert_eq!(is_refused, index >= allowed, "{scope:?}: {event}: {answer}");
            if is_refused {
                assert_eq!(world.lock().calls, 0, "{scope:?}: {event}");
            }
        }
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
    assert_eq!(event, json!({"action": "reconcile", "scheduled": true}));
}

#[tokio::test(start_paused = true)]
async fn a_failed_reconciliation_is_an_error_only_if_scheduled() {
    struct Case {
        prepare: fn(&World),
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
            prepare: |world| {
                world.lock().secrets.insert("no-crm/sesamy".to_owned());
            },
            time_left: INVOCATION,
            failure: None,
        },
        Case {
            prepare: |world| {
                world.lock().broken.insert("ListSecrets");
            },
            time_left: INVOCATION,
            failure: Some("listing the vendors failed: AccessDenied"),
        },
        Case {
            prepare: |world| {
                world.lock().broken.insert("StartExecution");
            },
            time_left: INVOCATION,
            failure: Some("nordposten: unavailable"),
        },
        Case {
            prepare: |_| {},
            time_left: NO_TIME,
            failure: Some("nordposten: no_time"),
        },
    ];
    for case in cases {
        let invoke = async |event| {
            let world = world();
            (case.prepare)(&world);
            world.invoke(event, case.time_left).await.unwrap()
        };
        let answer = invoke(json!({"action": "reconcile"})).await.unwrap();
        assert!(answer["action"] == "reconcile" || answer["error"].is_object());
        let scheduled = invoke(json!({"action": "reconcile", "scheduled": true})).await;
        let error = scheduled.err();
        assert_eq!(error.is_some(), case.failure.is_some(), "{error:?}");
        if let (Some(error), Some(failure)) = (error, case.failure) {
            assert!(error.contains(failure), "{error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_command_is_answered_with_what_is_wrong() {
    let answer = world().ask(json!({"action": "status", "x": 1})).await;
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
async fn what_only_the_stack_can_tell_is_refused_with_the_field() {
    let cases = [
        (
            json!({"action": "redrive", "connector": "make"}),
            "connector",
        ),
        (
            json!({"action": "resync", "vendorId": VENDOR, "connectors": ["rule", "make"]}),
            "connectors",
        ),
        (
            json!({"action": "resync", "vendorId": VENDOR, "userId": "u", "connectors": ["make"]}),
            "connectors",
        ),
        (
            json!({"action": "resync", "vendorId": VENDOR, "do": "stop", "userId": "u"}),
            "do",
        ),
        (
            json!({"action": "resync", "vendorId": VENDOR, "do": "show", "connectors": ["rule"]}),
            "do",
        ),
    ];
    for (event, field) in cases {
        let world = world();
        let error = world.ask(event).await["error"].clone();
        assert_eq!(error["code"], "validation_error", "{error}");
        assert_eq!(error["details"][0]["field"], field, "{error}");
        let message = error["message"].as_str().unwrap();
        let known = message.contains("`make`") && message.ends_with("it has: rule");
        assert_eq!(known, field != "do", "{message}");
        assert!(world.lock().executions.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_redrive_without_time_moves_nothing() {
    let event = json!({"action": "redrive", "connector": "rule"});
    let answer = world().invoke(event, NO_TIME).await.unwrap().unwrap();
    assert_eq!(answer["stopped"], "time", "{answer}");
}
