//! What a person asks of a connector's function.

use bench::VENDOR;
use serde_json::{Value, json};
use shared::consumer::Scope;
use shared::http::Fault;

use crate::scripted::{Step, USER, error, start};

async fn answer(request: Value) -> Value {
    let (bench, _) = start().await;
    serde_json::to_value(bench.ask(request).await).unwrap()
}

fn preview() -> Value {
    json!({ "action": "preview", "vendorId": VENDOR, "userId": USER })
}

#[tokio::test]
async fn all_faults_of_a_request_are_told_at_once_and_unknown_keys_named() {
    let answer = answer(json!({ "action": "preview", "vendorId": 5, "user": USER })).await;
    assert_eq!(answer["error"]["code"], "validation_error");
    let known = "is not known; known for this action are: action, vendorId, userId";
    assert_eq!(
        answer["error"]["details"],
        json!([
            { "field": "vendorId", "reason": "must be a text" },
            { "field": "userId", "reason": "is required" },
            { "field": "user", "reason": known },
        ])
    );
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("nothing was done: "), "{message}");
}

#[tokio::test]
async fn whoever_asks_for_nothing_known_is_told_what_is() {
    let cases = [
        (
            json!({ "action": "Preview" }),
            "action",
            "is not known; known are: ",
        ),
        (
            json!({ "action": null }),
            "action",
            "must be a text, one of: ",
        ),
        (json!({}), "action", "is required, one of: "),
        (
            json!([]),
            "",
            "must be a JSON object with an action, one of: ",
        ),
    ];
    for (request, field, reason) in cases {
        let answer = answer(request.clone()).await;
        let detail = &answer["error"]["details"][0];
        assert_eq!(detail["field"], field, "{request}");
        let told = detail["reason"].as_str().unwrap();
        assert!(told.starts_with(reason), "{request}: {told}");
        assert!(told.contains("preview"), "{request}: {told}");
    }
}

/// A connector that fails as told, and what the preview says of it.
#[tokio::test]
async fn a_preview_that_fails_is_an_answer_that_says_how() {
    let status = |status| Fault::Status {
        status,
        code: None,
        wait: None,
    };
    let cases = [
        (Step::Fail(error(Fault::Timeout)), "unavailable"),
        (Step::Fail(error(status(503))), "unavailable"),
        (Step::Fail(error(status(401))), "refused"),
        (Step::Fail(error(status(400))), "rejected_by_api"),
        (
            Step::Fail(error(Fault::Malformed("it"))),
            "malformed_answer",
        ),
        (Step::Panic, "bug"),
    ];
    for (step, code) in cases {
        let (bench, connector) = start().await;
        connector.script(USER, [step]);
        let answer = serde_json::to_value(bench.ask(preview()).await).unwrap();
        assert_eq!(answer["outcome"], "error", "{answer}");
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
}

#[tokio::test]
async fn a_preview_ends_before_its_invocation_does() {
    let (bench, connector) = start().await;
    connector.script(USER, [Step::Hang]);
    let time_left = std::time::Duration::from_millis(5_200);
    let answer = bench.ask_within(preview(), time_left).await;
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
}

#[tokio::test]
async fn who_would_not_be_synced_is_told_why() {
    let (bench, _) = start().await;
    let told = async |user: &str| {
        let request = json!({ "action": "preview", "vendorId": VENDOR, "userId": user });
        let answer = serde_json::to_value(bench.ask(request).await).unwrap();
        (answer["outcome"].clone(), answer["reason"].clone())
    };
    bench
        .sesamy
        .put_user(stand_ins::sesamy::User::new("guest|1").email("a@b.se"));
    assert_eq!(told("guest|1").await, ("skipped".into(), "guest".into()));
    assert_eq!(
        told("nobody").await,
        ("skipped".into(), "unknown to Sesamy".into())
    );
    let (bench, _) = start().await;
    bench.secrets.remove(&bench::secret_name("crm"));
    let answer = serde_json::to_value(bench.ask(preview()).await).unwrap();
    assert_eq!(answer["outcome"], "not_configured");
    assert_eq!(answer["reason"], "there is no secret test/vendor/crm");
}

#[tokio::test]
async fn a_forgetting_that_ends_early_tells_what_is_done_and_what_is_left() {
    let fault = Fault::Timeout;
    for (step, code) in [
        (Step::Fail(error(fault)), "unavailable"),
        (Step::Panic, "bug"),
        (Step::Hang, "unavailable"),
    ] {
        let (bench, connector) = start().await;
        connector.script(USER, [step]);
        let request = json!({ "action": "forget", "vendorId": VENDOR, "userId": USER });
        let time_left = std::time::Duration::from_millis(6_000);
        let answer = bench.ask_within(request, time_left).await;
        let answer = serde_json::to_value(answer).unwrap();
        assert_eq!(answer["outcome"], "incomplete", "{answer}");
        let contact = &answer["contacts"][0];
        assert_eq!(contact["tags"]["removed"], json!(["sesamy_x"]), "{answer}");
        assert_eq!(contact["fields"]["left"], json!(["Sesamy_X"]), "{answer}");
        let told = [&answer["error"]["code"], &contact["error"]["code"]];
        assert!(told.contains(&&json!(code)), "{answer}");
    }
}

#[tokio::test]
async fn what_an_alias_is_not_for_is_refused_before_anything_is_done() {
    let minute = std::time::Duration::from_secs(60);
    for (scope, allowed) in [
        (Scope::Everything, &["check", "preview", "forget"][..]),
        (Scope::Ask, &["check", "preview"]),
        (Scope::Forget, &["forget"]),
        (Scope::Nothing, &[]),
    ] {
        for action in ["check", "preview", "forget"] {
            let (bench, connector) = start().await;
            let mut request = json!({ "action": action, "vendorId": VENDOR });
            if action != "check" {
                request["userId"] = json!(USER);
            }
            let answer = bench.ask_through(scope, request, minute).await;
            let answer = serde_json::to_value(answer).unwrap();
            if allowed.contains(&action) {
                assert_eq!(answer["action"], action, "{scope:?}: {answer}");
            } else {
                assert_eq!(
                    answer["error"]["code"], "not_allowed",
                    "{scope:?}: {answer}"
                );
                assert_eq!(bench.stand_ins.request_count(), 0, "{scope:?} {action}");
                assert_eq!(connector.syncs(), [], "{scope:?} {action}");
            }
        }
    }
}

#[tokio::test]
async fn an_address_is_never_told_back() {
    let (bench, _) = start().await;
    for email in ["anna@example.se", "anna"] {
        let request = json!({
            "action": "forget", "vendorId": VENDOR, "userId": USER, "email": email,
        });
        let answer = serde_json::to_string(&bench.ask(request).await).unwrap();
        assert!(!answer.contains("anna"), "{answer}");
    }
}

#[tokio::test]
async fn the_samples_are_understood() {
    for connector in ["rule", "mailmojo", "make"] {
        for action in ["check", "preview", "forget"] {
            let events = concat!(env!("CARGO_MANIFEST_DIR"), "/../events");
            let path = format!("{events}/{connector}/{action}.json");
            let sample = serde_json::from_str(&std::fs::read_to_string(&path).unwrap());
            let answer = answer(sample.unwrap()).await;
            assert_eq!(answer["action"], action, "{path}: {answer}");
        }
    }
}
