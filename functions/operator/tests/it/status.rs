use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::fakes::{INVOCATION, World, body};

fn world() -> World {
    World::new(&["rule", "make"], 100)
}

async fn status(world: &World) -> Value {
    world.ask(json!({"action": "status"})).await
}

fn add(world: &World, group: &str, body: &str, kind: Option<&str>) -> String {
    world.queue("rule-dead", |queue| queue.add(group, body, kind))
}

#[tokio::test(start_paused = true)]
async fn dead_letter_messages_are_grouped_by_error_kind_and_vendor() {
    let world = world();
    world.queue("rule", |queue| queue.others = [4, 2, 1]);
    let first = add(
        &world,
        "anna",
        &body("nordposten", "email|anna", "e1"),
        Some("bug"),
    );
    for number in 0..4 {
        add(
            &world,
            "bo",
            &body("sydposten", "email|bo", &format!("e{number}")),
            None,
        );
    }
    let poison = add(
        &world,
        "poison",
        "anna@example.com",
        Some("unreadable_message"),
    );
    let status = status(&world).await;
    let rule = &status["connectors"]["rule"];
    assert_eq!(
        rule["queue"],
        json!({"waiting": 4, "delayed": 2, "inFlight": 1})
    );
    let dead = &rule["deadLetters"];
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
    struct Case {
        messages: usize,
        users: usize,
        latency: Duration,
        looked_at: usize,
    }
    let (fast, slow) = (Duration::from_millis(10), Duration::from_secs(3));
    let cases = [
        Case {
            messages: 300,
            users: 40,
            latency: fast,
            looked_at: 100,
        },
        // A user with many does not hide the others.
        Case {
            messages: 50,
            users: 1,
            latency: fast,
            looked_at: 11,
        },
        // It ends in time.
        Case {
            messages: 100,
            users: 100,
            latency: slow,
            looked_at: 30,
        },
    ];
    for case in cases {
        let world = world();
        for number in 0..case.messages {
            let user = format!("u{}", number % case.users);
            add(
                &world,
                &user,
                &body("nordposten", &user, &format!("e{number}")),
                None,
            );
        }
        add(&world, "bo", &body("sydposten", "bo", "e"), None);
        let bodies = || world.queue("rule-dead", |queue| queue.bodies());
        let before = bodies();
        world.lock().latency = case.latency;
        let began = Instant::now();
        let status = status(&world).await;
        assert!(began.elapsed() < INVOCATION);
        let dead = &status["connectors"]["rule"]["deadLetters"];
        assert_eq!(
            (&dead["total"], &dead["complete"]),
            (&json!(case.messages + 1), &json!(false))
        );
        assert_eq!(dead["lookedAt"], case.looked_at);
        if case.users == 1 {
            assert_eq!(dead["groups"][1]["vendorId"], "sydposten");
        }
        assert_eq!(bodies(), before);
        let (in_flight, receives) = world.queue("rule-dead", |queue| {
            (queue.in_flight(), queue.max_receives())
        });
        assert_eq!((in_flight, receives), (0, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_leaves_the_rest_of_the_status() {
    for call in ["GetQueueAttributes rule", "ReceiveMessage rule-dead"] {
        let world = world();
        add(
            &world,
            "anna",
            &body("nordposten", "anna", "e"),
            Some("bug"),
        );
        world.queue("make-dead", |queue| queue.add("anna", "a", None));
        world.lock().broken.insert(call);
        let status = status(&world).await;
        let connectors = &status["connectors"];
        assert_eq!(
            connectors["rule"]["error"]["code"], "queue_unavailable",
            "{status}"
        );
        assert_eq!(connectors["make"]["deadLetters"]["lookedAt"], 1, "{status}");
    }
}
