use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use widgets::functions::NoAnswer;

use crate::fakes::{ACTIONS, Answer, FakeFunctions, OWN, lookup, widget};

const OPERATOR: &str = "operator:ask";

/// As the operator's function answers, with this text in all places that may hold any.
fn status(text: &str) -> Value {
    json!({
        "action": "status",
        "connectors": {
            "rule": {
                "queue": { "waiting": 0, "delayed": 0, "inFlight": 0 },
                "deadLetters": {
                    "total": 1, "inFlight": 0, "lookedAt": 1, "complete": true, "oldest": null,
                    "groups": [{
                        "errorKind": text, "vendorId": text, "count": 1,
                        "samples": [{
                            "messageId": text, "eventId": text, "userId": text,
                            "status": text, "message": text,
                            "diedAt": "2026-01-15T09:30:00Z", "sentAt": null,
                        }],
                    }],
                },
            },
            "make": { "error": { "code": "queue_unavailable", "message": text } },
        },
    })
}

fn run(text: &str, state: &str) -> Value {
    json!({
        "vendorId": text, "state": state, "connectors": [text], "visited": 10, "of": 40,
        "usersPerMinute": 20.0, "startedAt": "2026-01-15T09:30:00Z",
        "updatedAt": "2026-01-15T09:31:00Z", "waiting": text, "reason": text,
        "execution": format!("https://console/{text}"),
    })
}

fn runs(text: &str) -> Value {
    let unknown = json!({ "execution": text, "error": { "code": "unavailable", "message": text } });
    json!({ "action": "runs", "runs": [run(text, "running"), run(text, "failed"), unknown], "more": 2 })
}

fn preview(text: &str) -> Value {
    let tag = json!({ "tag": text, "because": [text] });
    json!({
        "action": "preview", "connector": "rule", "outcome": "error",
        "reason": text, "error": { "code": "unavailable", "message": text },
        "lastSync": "2026-01-15T09:30:00Z", "nextWakeUp": null,
        "contacts": [{
            "list": text, "new": false,
            "tags": { "add": [tag], "remove": [tag], "stay": [tag], "kept": 3 },
            "fields": [{ "name": text, "personal": true }],
        }],
        "writes": [{ "method": "POST", "endpoint": "/v2/subscribers" }],
    })
}

fn operator(answer: Value) -> FakeFunctions {
    FakeFunctions::new([(OPERATOR, Ok(answer))])
}

fn connectors(rule: Answer, make: Answer) -> FakeFunctions {
    FakeFunctions::new([("rule:ask", rule), ("make:ask", make)])
}

async fn all_widgets(text: &str) -> [String; 3] {
    let connectors = connectors(Ok(preview(text)), Ok(preview(text)));
    [
        operator(status(text)).view(&widget("dead-letters")).await,
        operator(runs(text)).view(&widget("runs")).await,
        connectors.view(&lookup(text, text)).await,
    ]
}

#[tokio::test]
async fn hostile_text_is_shown_as_text() {
    // Also a valid id: without a blank or a slash.
    let hostile = r#""'><script>alert(1);<cwdb-action>-->&amp;"#;
    let in_html = hostile
        .replace('&', "&#38;")
        .replace('<', "&#60;")
        .replace('>', "&#62;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;");
    let in_json = hostile
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('"', "\\\"")
        .replace('\'', "\\u0027");
    let pages = all_widgets(hostile).await.into_iter();
    for (hostile, harmless) in pages.zip(all_widgets("harmless").await) {
        assert!(
            hostile.contains(&in_html) && hostile.contains(&in_json),
            "{hostile}"
        );
        let replaced = hostile
            .replace(&in_html, "harmless")
            .replace(&in_json, "harmless");
        assert_eq!(replaced, harmless);
    }
}

#[tokio::test]
async fn long_text_makes_a_page_no_larger_than_lambda_may_answer() {
    let long = "<".repeat(256);
    for page in all_widgets(&long).await {
        assert!(page.len() < 100_000, "{}", page.len());
    }
    let page = FakeFunctions::default()
        .view(&lookup(&"<".repeat(1_000_000), "u"))
        .await;
    assert!(
        page.len() < 10_000 && page.contains("at most 256 bytes"),
        "{}",
        page.len()
    );
}

/// Nor what an answer may gain some day.
#[tokio::test]
async fn values_of_fields_and_unknown_keys_are_not_shown() {
    let (name, address) = ("Markednamed", "marked@address.example");
    let mut preview = preview("text");
    preview["contacts"][0]["fields"] = json!([
        { "name": "FirstName", "set": name },
        { "name": "Email", "set": { "address": address } },
    ]);
    preview["email"] = address.into();
    let mut status = status("text");
    let sample = &mut status["connectors"]["rule"]["deadLetters"]["groups"][0]["samples"][0];
    sample["body"] = json!({ "name": name, "email": address });
    let mut runs = runs("text");
    runs["runs"][0]["pending"] = json!([address]);
    let connectors = connectors(Ok(preview.clone()), Ok(preview));
    let pages = [
        operator(status).view(&widget("dead-letters")).await,
        operator(runs).view(&widget("runs")).await,
        connectors.view(&lookup("v", "u")).await,
    ];
    assert!(pages[2].contains("FirstName"), "{}", pages[2]);
    for page in pages {
        assert!(!page.contains(name) && !page.contains(address), "{page}");
    }
}

#[tokio::test]
async fn what_has_no_answer_is_said_in_words() {
    let refusal = json!({ "error": { "code": "not_allowed", "message": "no alias allows it" } });
    let cases = [
        (Ok(refusal), "no alias allows it"),
        (Err(NoAnswer::Failed), "it failed; its log says why"),
        (
            Err(NoAnswer::Unreachable("AccessDeniedException".to_owned())),
            "it could not be invoked: AccessDeniedException",
        ),
        (Ok(json!({ "connectors": 5 })), "could not be understood"),
        (Ok(json!(null)), "could not be understood"),
    ];
    for (answer, words) in cases {
        for name in ["dead-letters", "runs"] {
            let functions = FakeFunctions::new([(OPERATOR, answer.clone())]);
            let page = functions.view(&widget(name)).await;
            assert!(page.contains(words), "{words}: {page}");
        }
        let page = connectors(Ok(preview("known")), answer)
            .view(&lookup("v", "u"))
            .await;
        assert!(
            page.contains(words) && page.contains("known"),
            "{words}: {page}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn widget_is_there_within_ten_seconds_whoever_hangs() {
    for event in [widget("dead-letters"), widget("runs"), lookup("v", "u")] {
        let functions = FakeFunctions::new([("rule:ask", Ok(preview("known")))]);
        let began = Instant::now();
        let page = functions.view(&event).await;
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(
            page.contains("it has not answered within 9 seconds"),
            "{page}"
        );
        let is_partial = event.get("lookUp").is_some();
        assert_eq!(page.contains("known</code>"), is_partial, "{page}");
    }
}

#[tokio::test]
async fn only_what_a_widget_needs_is_asked_for() {
    let commands = |event: Value| async move {
        let functions = FakeFunctions::new([
            (OPERATOR, Ok(json!({}))),
            ("rule:ask", Ok(json!({}))),
            ("make:ask", Ok(json!({}))),
        ]);
        functions.view(&event).await;
        let invoked = functions.take_invoked().into_iter();
        let named = invoked.map(|(function, event)| format!("{function} {}", event["action"]));
        named.collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    let mut described = widget("dead-letters");
    described["describe"] = true.into();
    let mut action = widget("runs");
    action["do"] = "stop".into();
    action["vendorId"] = "v".into();
    assert_eq!(
        commands(widget("dead-letters")).await,
        ["operator:ask \"status\""]
    );
    assert_eq!(commands(widget("runs")).await, ["operator:ask \"runs\""]);
    assert_eq!(commands(widget("user")).await, none);
    assert_eq!(commands(lookup("v", "")).await, none);
    assert_eq!(
        commands(lookup("v", "u")).await,
        ["rule:ask \"preview\"", "make:ask \"preview\""]
    );
    assert_eq!(commands(described).await, none);
    assert_eq!(commands(action).await, none);
    assert_eq!(commands(json!({})).await, none);
}

#[tokio::test]
async fn documentation_is_markdown() {
    let page = FakeFunctions::default()
        .view(&json!({ "describe": true }))
        .await;
    assert!(page.starts_with("### ") && !page.contains("<div"), "{page}");
}

/// The actions in the page's buttons, all of which ask first.
fn actions(page: &str) -> Vec<Value> {
    let buttons = page.split("<cwdb-action ").skip(1);
    let acting = buttons.filter(|button| button.contains(ACTIONS));
    let actions = acting.map(|button| {
        assert!(button.contains("confirmation=\""), "{button}");
        assert!(button.contains("display=\"popup\""), "{button}");
        let (_, json) = button.split_once('>').unwrap();
        serde_json::from_str(json.split_once('<').unwrap().0).unwrap()
    });
    actions.collect()
}

#[tokio::test]
async fn group_of_a_vendor_can_be_redriven_and_a_foreign_message_not() {
    let mut status = status("bug");
    let group = status["connectors"]["rule"]["deadLetters"]["groups"][0].take();
    let mut foreign = group.clone();
    foreign["vendorId"] = Value::Null;
    status["connectors"]["rule"]["deadLetters"]["groups"] = json!([foreign, group]);
    let page = operator(status).view(&widget("dead-letters")).await;
    let redrive =
        json!({ "do": "redrive", "connector": "rule", "vendorId": "bug", "errorKind": "bug" });
    assert_eq!(actions(&page), [redrive]);
}

#[tokio::test]
async fn question_before_a_redrive_counts_no_more_than_is_known_and_moved() {
    for (count, complete, expected) in [
        (3, true, "Move 3 messages of "),
        (100, true, "Move 100 messages of "),
        (101, true, "Move up to 100 messages of "),
        (3, false, "Move up to 100 messages of "),
    ] {
        let mut status = status("bug");
        let dead = &mut status["connectors"]["rule"]["deadLetters"];
        dead["complete"] = complete.into();
        dead["groups"][0]["count"] = count.into();
        let page = operator(status).view(&widget("dead-letters")).await;
        assert!(page.contains(expected), "{count} {complete}: {page}");
    }
}

#[tokio::test]
async fn run_that_goes_on_can_be_stopped_and_one_that_does_not_resumed() {
    let stop = json!({ "do": "stop", "vendorId": "v" });
    let resume = json!({ "do": "resume", "vendorId": "v" });
    let cases = [
        ("running", Some(stop)),
        ("stopped", Some(resume.clone())),
        ("failed", Some(resume)),
        ("finished", None),
    ];
    for (state, action) in cases {
        let runs = json!({ "runs": [run("v", state)], "more": 0 });
        let page = operator(runs).view(&widget("runs")).await;
        assert_eq!(actions(&page), Vec::from_iter(action), "{state}");
    }
}

#[tokio::test]
async fn user_can_be_synced_wherever_the_vendor_uses_the_connector() {
    let outcome = |outcome: &str| {
        let mut preview = preview("text");
        preview["outcome"] = outcome.into();
        preview
    };
    for (other, can_sync) in [
        ("would_sync", true),
        ("unchanged", true),
        ("skipped", true),
        ("error", true),
        ("not_configured", false),
    ] {
        let functions = connectors(Ok(outcome(other)), Err(NoAnswer::Failed));
        let page = functions.view(&lookup("v", "u")).await;
        let sync = json!({ "do": "sync", "connector": "rule", "vendorId": "v", "userId": "u" });
        assert_eq!(
            actions(&page),
            Vec::from_iter(can_sync.then_some(sync)),
            "{other}"
        );
    }
}

#[tokio::test]
async fn what_is_remembered_is_told_from_what_is_not_known() {
    let mut unknown = preview("text");
    unknown.as_object_mut().unwrap().remove("lastSync");
    unknown.as_object_mut().unwrap().remove("nextWakeUp");
    let mut never = preview("text");
    never["lastSync"] = Value::Null;
    for (preview, told) in [
        (preview("text"), "Last sync: 2026-01-15 09:30 UTC."),
        (never, "Last sync: never."),
        (unknown, "Last sync and next wake-up are not known"),
    ] {
        let page = connectors(Ok(preview), Err(NoAnswer::Failed))
            .view(&lookup("v", "u"))
            .await;
        assert!(page.contains(told), "{told}: {page}");
    }
}

#[tokio::test]
async fn form_invokes_the_alias_that_the_console_invoked() {
    let page = FakeFunctions::default().view(&widget("user")).await;
    assert!(page.contains(&format!("endpoint=\"{OWN}\"")), "{page}");
    assert_eq!(actions(&page), [] as [Value; 0]);
}
