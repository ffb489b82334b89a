//! The actions that a person can request from a connector's function.

use conformance::{Bench, VENDOR};
use serde_json::{Value, json};
use shared::actions::Scope;
use shared::http::ApiErrorKind;

use crate::scripted::{Scripted, Step, USER, error, start, status};

async fn ask(bench: &Bench<Scripted>, request: Value) -> Value {
    serde_json::to_value(bench.ask(request).await).unwrap()
}

fn with(mut request: Value, more: Value) -> Value {
    let (Value::Object(all), Value::Object(more)) = (&mut request, more) else {
        panic!("not objects");
    };
    all.extend(more);
    request
}

fn preview() -> Value {
    json!({ "action": "preview", "vendorId": VENDOR, "userId": USER })
}

#[tokio::test]
async fn invalid_request_names_the_field() {
    struct Case {
        request: Value,
        field: &'static str,
        reason: &'static str,
    }
    let case = |request, field, reason| Case {
        request,
        field,
        reason,
    };
    let check = |more: Value| with(json!({ "action": "check" }), more);
    let preview = |more: Value| with(json!({ "action": "preview", "vendorId": VENDOR }), more);
    let forget = |email: Value| {
        let email = json!({ "userId": USER, "email": email });
        with(json!({ "action": "forget", "vendorId": VENDOR }), email)
    };
    let known = "expected one of `check`, `preview`, `forget`";
    let cases = [
        case(json!({ "action": "Preview" }), "action", known),
        case(json!({ "action": null }), "", "null"),
        case(json!({}), "action", "missing field"),
        case(json!([]), "", "JSON object"),
        case(json!(["check", VENDOR]), "", "JSON object"),
        case(check(json!({})), "vendorId", "missing field"),
        case(check(json!({ "vendorId": 5 })), "vendorId", "a string"),
        case(check(json!({ "vendorId": null })), "vendorId", "a string"),
        case(check(json!({ "vendorId": "" })), "vendorId", "empty"),
        case(check(json!({ "vendorId": "a/b" })), "vendorId", "slash"),
        case(
            check(json!({ "vendorId": VENDOR, "userId": USER })),
            "userId",
            "unknown field",
        ),
        case(preview(json!({})), "userId", "missing field"),
        case(preview(json!({ "userId": "" })), "userId", "empty"),
        case(preview(json!({ "user": USER })), "user", "unknown field"),
        case(forget(json!(null)), "email", "a string"),
        case(forget(json!("")), "email", "must be an e-mail address"),
        case(forget(json!("anna")), "email", "must be an e-mail address"),
    ];
    for case in cases {
        let (bench, _) = start().await;
        let answer = ask(&bench, case.request).await;
        let error = &answer["error"];
        assert_eq!(error["code"], "validation_error", "{answer}");
        assert_eq!(error["details"][0]["field"], case.field, "{answer}");
        let reason = error["details"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(case.reason), "{answer}");
        assert_eq!(error["message"], format!("nothing was done: {reason}"));
        assert_eq!(bench.fakes.request_count(), 0, "{answer}");
    }
}

#[tokio::test]
async fn failed_preview_answers_with_the_error() {
    let cases = [
        (Step::Fail(error(ApiErrorKind::Timeout)), "unavailable"),
        (Step::Fail(status(503)), "unavailable"),
        (Step::Fail(status(401)), "refused"),
        (Step::Fail(status(400)), "rejected_by_api"),
        (
            Step::Fail(error(ApiErrorKind::Malformed("it"))),
            "malformed_answer",
        ),
        (Step::Panic, "bug"),
    ];
    for (step, code) in cases {
        let (bench, connector) = start().await;
        connector.script(USER, [step]);
        let answer = ask(&bench, preview()).await;
        assert_eq!(answer["outcome"], "error", "{answer}");
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
}

#[tokio::test]
async fn preview_ends_before_its_invocation() {
    let (bench, connector) = start().await;
    connector.script(USER, [Step::Hang]);
    let time_left = std::time::Duration::from_millis(5_200);
    let answer = bench.ask_within(preview(), time_left).await;
    let answer = serde_json::to_value(answer).unwrap();
    assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
}

#[tokio::test]
async fn preview_of_a_skipped_user_gives_the_reason() {
    let (bench, _) = start().await;
    let outcome_and_reason = async |user: &str| {
        let request = json!({ "action": "preview", "vendorId": VENDOR, "userId": user });
        let answer = ask(&bench, request).await;
        (answer["outcome"].clone(), answer["reason"].clone())
    };
    bench
        .sesamy
        .put_user(fakes::sesamy::User::new("guest|1").email("a@b.se"));
    assert_eq!(
        outcome_and_reason("guest|1").await,
        ("skipped".into(), "guest".into())
    );
    assert_eq!(
        outcome_and_reason("unknown").await,
        ("skipped".into(), "unknown to Sesamy".into())
    );
    let (bench, _) = start().await;
    bench.secrets.remove(&conformance::secret_name("crm"));
    let answer = ask(&bench, preview()).await;
    assert_eq!(answer["outcome"], "not_configured");
    assert_eq!(answer["reason"], "there is no secret test/vendor/crm");
}

#[tokio::test]
async fn interrupted_forget_reports_what_is_done_and_left() {
    let fault = ApiErrorKind::Timeout;
    for (step, code) in [
        (Step::Fail(error(fault)), "unavailable"),
        (Step::Panic, "bug"),
        (Step::Hang, "unavailable"),
    ] {
        let (bench, connector) = start().await;
        connector.script(USER, [step]);
        let request = json!({ "action": "forget", "vendorId": VENDOR, "userId": USER });
        let time_left = std::time::Duration::from_millis(11_000);
        let answer = bench.ask_within(request, time_left).await;
        let answer = serde_json::to_value(answer).unwrap();
        assert_eq!(answer["outcome"], "incomplete", "{answer}");
        let contact = &answer["contacts"][0];
        assert_eq!(contact["tags"]["removed"], json!(["sesamy_x"]), "{answer}");
        assert_eq!(contact["fields"]["left"], json!(["Sesamy_X"]), "{answer}");
        let codes = [&answer["error"]["code"], &contact["error"]["code"]];
        assert!(codes.contains(&&json!(code)), "{answer}");
    }
}

#[tokio::test]
async fn alias_refuses_other_actions_before_anything_is_done() {
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
                assert_eq!(bench.fakes.request_count(), 0, "{scope:?} {action}");
                assert_eq!(connector.syncs(), [], "{scope:?} {action}");
            }
        }
    }
}

#[tokio::test]
async fn answer_never_contains_the_address() {
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
async fn sample_events_are_valid() {
    for connector in ["rule", "mailmojo", "make"] {
        for action in ["check", "preview", "forget"] {
            let events = concat!(env!("CARGO_MANIFEST_DIR"), "/../events");
            let path = format!("{events}/{connector}/{action}.json");
            let sample = serde_json::from_str(&std::fs::read_to_string(&path).unwrap());
            let (bench, _) = start().await;
            let answer = ask(&bench, sample.unwrap()).await;
            assert_eq!(answer["action"], action, "{path}: {answer}");
        }
    }
}
