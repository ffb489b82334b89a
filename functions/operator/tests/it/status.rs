use std::num::NonZeroU32;
use std::time::Duration;

use operator::connectors::Connectors;
use operator::deadline::Deadline;
use operator::resync::Resyncs;
use serde_json::{Value, json};
use shared::sqs::Depth;
use tokio::time::Instant;

use crate::fakes::body;
use crate::fakes::platform::FakePlatform;
use crate::fakes::queues::FakeQueues;

const INVOCATION: Duration = Duration::from_secs(60);

async fn status(rule: &FakeQueues, make: &FakeQueues) -> Value {
    let urls = Connectors::parse("rule=rule,rule-dead;make=make,make-dead").unwrap();
    let connectors = urls.map(|urls| match urls.queue.as_str() {
        "rule" => rule.clone(),
        _ => make.clone(),
    });
    let resyncs = Resyncs {
        connectors: &connectors,
        platform: &FakePlatform::new(&["rule"], 0, 100),
        requests_per_minute: NonZeroU32::new(100).unwrap(),
    };
    let deadline = Deadline::after(INVOCATION);
    let status = operator::status::run(&connectors, &resyncs, deadline).await;
    serde_json::to_value(status).unwrap()
}

#[tokio::test(start_paused = true)]
async fn dead_letter_messages_are_grouped_by_error_kind_and_vendor() {
    let (rule, make) = (FakeQueues::default(), FakeQueues::default());
    rule.set_queue_depth(Depth {
        visible: 4,
        delayed: 2,
        in_flight: 1,
    });
    let first = rule.add_dead_letter("anna", &body("nordposten", "email|anna", "e1"), Some("bug"));
    for number in 0..4 {
        let body = body("sydposten", "email|bo", &format!("e{number}"));
        rule.add_dead_letter("bo", &body, None);
    }
    let poison = rule.add_dead_letter("poison", "anna@example.com", Some("unreadable_message"));
    let status = status(&rule, &make).await;
    let rule_status = &status["connectors"]["rule"];
    assert_eq!(
        rule_status["queue"],
        json!({"waiting": 4, "delayed": 2, "inFlight": 1})
    );
    let dead = &rule_status["deadLetters"];
    assert_eq!((&dead["total"], &dead["lookedAt"]), (&json!(6), &json!(6)));
    assert_eq!(dead["complete"], true);
    assert_eq!(dead["oldest"], "2026-01-15T09:30:00Z");
    let group = |index: usize| &dead["groups"][index];
    assert_eq!(group(0)["errorKind"], "exhausted");
    assert_eq!(group(0)["vendorId"], "sydposten");
    assert_eq!(group(0)["count"], 4);
    assert_eq!(group(0)["samples"].as_array().unwrap().len(), 3);
    assert_eq!(
        group(1),
        &json!({
            "errorKind": "bug", "vendorId": "nordposten", "count": 1,
            "samples": [{
                "messageId": first, "eventId": "e1", "userId": "email|anna", "status": "422",
                "message": "fix it", "diedAt": "2026-01-15T09:30:00Z",
                "sentAt": null,
            }],
        })
    );
    assert_eq!(group(2)["errorKind"], "unreadable_message");
    assert_eq!(group(2)["vendorId"], Value::Null);
    assert_eq!(group(2)["samples"][0]["messageId"], poison);
    // A body that is not a message may hold anything, so it is never shown.
    assert!(!status.to_string().contains("anna@example.com"));
    assert_eq!(status["connectors"]["make"]["deadLetters"]["total"], 0);
}

#[tokio::test(start_paused = true)]
async fn the_sample_is_bounded_and_visible_again() {
    let (rule, make) = (FakeQueues::default(), FakeQueues::default());
    for number in 0..300 {
        let user = format!("u{}", number % 40);
        let body = body("nordposten", &user, &format!("e{number}"));
        rule.add_dead_letter(&user, &body, None);
    }
    let before = rule.dead_letter_bodies();
    let status = status(&rule, &make).await;
    let dead = &status["connectors"]["rule"]["deadLetters"];
    assert_eq!(dead["total"], 300);
    assert_eq!(dead["lookedAt"], 100);
    assert_eq!(dead["complete"], false);
    assert_eq!(rule.in_flight(), 0);
    assert_eq!(rule.dead_letter_bodies(), before);
    assert_eq!(rule.max_receives(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_user_with_many_dead_letter_messages_does_not_hide_other_users() {
    let (rule, make) = (FakeQueues::default(), FakeQueues::default());
    for number in 0..50 {
        let body = body("nordposten", "anna", &format!("e{number}"));
        rule.add_dead_letter("anna", &body, Some("bug"));
    }
    rule.add_dead_letter("bo", &body("sydposten", "bo", "e"), Some("bug"));
    let status = status(&rule, &make).await;
    let dead = &status["connectors"]["rule"]["deadLetters"];
    assert_eq!(dead["lookedAt"], 11);
    assert_eq!(dead["complete"], false);
    assert_eq!(dead["groups"][1]["vendorId"], "sydposten");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_leaves_the_rest_of_the_status() {
    let (rule, make) = (FakeQueues::default(), FakeQueues::default());
    rule.break_call("queue_depth");
    make.add_dead_letter("anna", &body("nordposten", "anna", "e"), Some("bug"));
    let answer = status(&rule, &make).await;
    let connectors = &answer["connectors"];
    assert_eq!(connectors["rule"]["error"]["code"], "queue_unavailable");
    assert_eq!(connectors["make"]["deadLetters"]["lookedAt"], 1);

    make.break_call("receive");
    let answer = status(&rule, &make).await;
    let dead = &answer["connectors"]["make"]["deadLetters"];
    assert_eq!(dead["total"], 1);
    assert_eq!(dead["complete"], false);
    assert_eq!(dead["error"]["code"], "queue_unavailable");
}

#[tokio::test(start_paused = true)]
async fn sampling_slow_queues_ends_in_time() {
    let (rule, make) = (FakeQueues::default(), FakeQueues::default());
    for number in 0..100 {
        let user = format!("u{number}");
        rule.add_dead_letter(&user, &body("nordposten", &user, "e"), None);
    }
    rule.set_latency(Duration::from_secs(3));
    let began = Instant::now();
    let status = status(&rule, &make).await;
    let dead = &status["connectors"]["rule"]["deadLetters"];
    assert_eq!(dead["lookedAt"], 30);
    assert!(began.elapsed() < INVOCATION);
    assert_eq!(rule.in_flight(), 0);
}
