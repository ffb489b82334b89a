use serde_json::{Value, json};
use widgets::functions::NoAnswer;

use crate::fakes::{Answer, FakeFunctions, widget};

fn with_operator(answer: Answer) -> FakeFunctions {
    FakeFunctions::new([("operator", answer)])
}

fn click(action: Value) -> Value {
    let mut event = widget("runs");
    let all = event.as_object_mut().unwrap();
    all.extend(action.as_object().unwrap().clone());
    event
}

#[tokio::test]
async fn each_click_is_one_command_whose_result_is_told() {
    struct Case {
        click: Value,
        answer: Value,
        told: &'static [&'static str],
    }
    let redrive =
        || json!({ "do": "redrive", "connector": "rule", "vendorId": "v", "errorKind": "bug" });
    let redriven = |more: Value| {
        let mut answer = json!({
            "action": "redrive", "moved": 1, "skipped": 0, "heldBack": 0, "failed": null,
            "stopped": "finished", "runAgain": false
        });
        let all = answer.as_object_mut().unwrap();
        all.extend(more.as_object().unwrap().clone());
        answer
    };
    let resync = |did: &str| json!({ "action": "resync", "vendorId": "v", "did": did });
    let case = |click, answer, told| Case {
        click,
        answer,
        told,
    };
    let cases = [
        case(
            redrive(),
            redriven(json!({})),
            &["Moved 1 message back to the queue."],
        ),
        case(
            redrive(),
            redriven(json!({ "moved": 100, "heldBack": 2, "runAgain": true })),
            &[
                "Moved 100 messages back",
                "Left 2 messages behind",
                "redrive again",
            ],
        ),
        case(
            redrive(),
            redriven(json!({
                "moved": 0,
                "failed": { "notSent": 1, "sentButNotDeleted": 2, "reasons": ["AccessDenied"] },
                "error": { "code": "queue_unavailable", "message": "the queue is gone" }
            })),
            &[
                "Moved 0 messages",
                "Failed for 3 messages: AccessDenied.",
                "the queue is gone.",
            ],
        ),
        case(
            json!({ "do": "stop", "vendorId": "v" }),
            resync("stopped"),
            &["The resync of v is stopped."],
        ),
        case(
            json!({ "do": "stop", "vendorId": "v" }),
            resync("nothing"),
            &["The resync of v was not running."],
        ),
        case(
            json!({ "do": "resume", "vendorId": "v" }),
            resync("resumed"),
            &["The resync of v is resumed."],
        ),
        case(
            json!({ "do": "resume", "vendorId": "v" }),
            resync("goes_on"),
            &["The resync of v is running already."],
        ),
        case(
            json!({ "do": "resume", "vendorId": "v" }),
            resync("nothing"),
            &["There is nothing of v to resume."],
        ),
        case(
            json!({ "do": "sync", "connector": "rule", "vendorId": "v", "userId": "u" }),
            json!({ "action": "resync", "queued": ["rule"] }),
            &["User u is queued for rule"],
        ),
    ];
    for case in cases {
        let functions = with_operator(Ok(case.answer));
        let html = functions.act(&click(case.click.clone())).await;
        for told in case.told {
            assert!(html.contains(told), "{told}: {html}");
        }
        let invoked = functions.take_invoked();
        assert_eq!(invoked.len(), 1, "{}", case.click);
        assert_eq!(invoked[0].0, "operator");
        assert_eq!(invoked[0].1["vendorId"].as_str(), Some("v"));
    }
}

#[tokio::test]
async fn nothing_is_done_without_a_whole_action() {
    let functions = with_operator(Ok(json!({})));
    let describe = json!({ "describe": true, "do": "stop", "vendorId": "v" });
    assert!(functions.act(&describe).await.starts_with("### "));
    for event in [
        widget("runs"),
        click(json!({ "do": "stop" })),
        click(json!({ "do": "redrive", "connector": "rule", "errorKind": "bug" })),
        json!("stop"),
    ] {
        let html = functions.act(&event).await;
        assert!(html.contains("nothing was done"), "{event}: {html}");
    }
    assert_eq!(functions.take_invoked(), []);
}

#[tokio::test(start_paused = true)]
async fn it_is_told_whether_what_failed_may_have_been_done() {
    let refusal =
        json!({ "error": { "code": "validation_error", "message": "no such connector" } });
    let unknown = "It is not known whether this was done: ";
    let cases = [
        (Some(Ok(refusal)), "no such connector."),
        (Some(Err(NoAnswer::Failed)), unknown),
        (
            Some(Err(NoAnswer::Unreachable("Throttled".to_owned()))),
            unknown,
        ),
        (Some(Ok(json!("?"))), unknown),
        // It never answers.
        (None, "it has not answered within 25 seconds"),
    ];
    for (answer, told) in cases {
        let functions = FakeFunctions::new(answer.map(|answer| ("operator", answer)));
        let html = functions
            .act(&click(json!({ "do": "stop", "vendorId": "v" })))
            .await;
        assert!(html.contains(told), "{told}: {html}");
    }
}
