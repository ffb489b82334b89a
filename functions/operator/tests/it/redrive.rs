use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use shared::sqs::MAX_BATCH;
use tokio::time::{Instant, advance};

use crate::fakes::fifo::{DEDUPLICATION, Fifo};
use crate::fakes::{Crash, INVOCATION, World, body};
use crate::in_virtual_time;

/// An invocation has time for some hundred calls that are so slow.
const SLOW: Duration = Duration::from_millis(200);

fn world() -> World {
    World::new(&["rule"], 100)
}

/// Redrives with these filters.
async fn redrive(world: &World, filters: Value) -> Value {
    world.ask(command(filters)).await
}

async fn redrive_all(world: &World) -> Value {
    redrive(world, json!({})).await
}

fn command(mut filters: Value) -> Value {
    filters["action"] = "redrive".into();
    filters["connector"] = "rule".into();
    filters
}

/// `None` if the function dies.
async fn redrive_with_crash(world: &World, crash: Crash) -> Option<Value> {
    world.set_crash(Some(crash));
    let answer = world.invoke(command(json!({})), INVOCATION).await;
    world.set_crash(None);
    answer.map(Result::unwrap)
}

fn add(world: &World, group: &str, body: &str, kind: Option<&str>) -> String {
    world.queue("rule-dead", |queue| queue.add(group, body, kind))
}

/// Of the dead-letter messages.
fn bodies(world: &World) -> Vec<String> {
    world.queue("rule-dead", |queue| queue.bodies())
}

fn in_flight(world: &World) -> usize {
    world.queue("rule-dead", |queue| queue.in_flight())
}

/// Takes the messages from the connector's queue.
fn take(world: &World) -> Vec<Value> {
    world.queue("rule", |queue| queue.take())
}

fn take_bodies(world: &World) -> Vec<String> {
    let taken = take(world).into_iter();
    taken
        .map(|one| one["MessageBody"].as_str().unwrap().to_owned())
        .collect()
}

type BodiesByGroup = BTreeMap<String, Vec<String>>;

fn by_group(messages: &[Value]) -> BodiesByGroup {
    let mut groups = BodiesByGroup::new();
    for message in messages {
        let text = |key: &str| message[key].as_str().unwrap().to_owned();
        groups
            .entry(text("MessageGroupId"))
            .or_default()
            .push(text("MessageBody"));
    }
    groups
}

/// Each text once, at its first position.
fn without_copies(texts: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let first = texts.iter().filter(|text| seen.insert(*text));
    first.cloned().collect()
}

/// Adds interleaved messages of the users, of which a few have many.
fn add_many(world: &World, messages: usize, users: usize) -> BodiesByGroup {
    let users = (0..messages).map(|number| (number * number * number) % users);
    add_for_users(world, users)
}

fn add_for_users(world: &World, users: impl Iterator<Item = usize>) -> BodiesByGroup {
    let mut added = BodiesByGroup::new();
    for (number, user) in users.enumerate() {
        let group = format!("group-{user}");
        let body = body("nordposten", &format!("u{user}"), &format!("e{number}"));
        add(world, &group, &body, Some("rejected_by_api"));
        added.entry(group).or_default().push(body);
    }
    added
}

/// The values of these keys.
fn values<const N: usize>(answer: &Value, keys: [&str; N]) -> [Value; N] {
    keys.map(|key| answer[key].clone())
}

#[tokio::test(start_paused = true)]
async fn a_redriven_message_is_as_it_was_queued_first() {
    let world = world();
    let message = body("nordposten", "email|anna", "e1");
    // Each time it fails again, it is not dropped as a duplicate.
    for _ in 0..3 {
        let id = add(&world, "anna", &message, Some("bug"));
        let answer = redrive_all(&world).await;
        let expected = json!({
            "action": "redrive", "connector": "rule", "vendorId": null, "errorKind": null,
            "moved": 1, "skipped": 0, "heldBack": 0, "failed": null,
            "stopped": "finished", "runAgain": false,
        });
        assert_eq!(answer, expected);
        let expected = json!({
            "Id": "0",
            "MessageBody": message,
            "MessageGroupId": "anna",
            "MessageDeduplicationId": format!("redrive-{id}"),
            "MessageSystemAttributes": {
                "AWSTraceHeader": {"DataType": "String", "StringValue": format!("Root=1-{id}")},
            },
        });
        assert_eq!(take(&world), [expected]);
        assert_eq!(bodies(&world).len(), 0);
    }
    // Of an empty queue.
    let answer = redrive_all(&world).await;
    assert_eq!(
        values(&answer, ["moved", "stopped", "runAgain"]),
        [json!(0), json!("finished"), json!(false)]
    );
}

/// Crashes a redrive at every `stride`th call, before any, after some and after
/// all of what the call does, and runs it again after `wait`.
async fn crash_and_run_again(
    by_age: bool,
    messages: usize,
    stride: usize,
    wait: Duration,
    max_copies: usize,
) {
    let world = world();
    for call in (0..).step_by(stride) {
        for entries in [0, 4, usize::MAX] {
            for name in ["rule", "rule-dead"] {
                world.queue(name, |queue| *queue = Fifo::default());
            }
            world.queue("rule-dead", |queue| queue.by_age = by_age);
            let added = add_many(&world, messages, messages / 3);
            let crash = Crash { call, entries };
            if redrive_with_crash(&world, crash).await.is_some() {
                // It ended before this call.
                assert!(call > messages / 5, "{call}");
                return;
            }
            advance(wait).await;
            let answer = redrive_all(&world).await;
            assert_eq!(answer["stopped"], "finished", "{crash:?}");
            assert_eq!(bodies(&world).len(), 0, "{crash:?}");
            let queued = take(&world);
            let copies = queued.len() - messages;
            assert!(copies <= max_copies, "{crash:?}: {copies}");
            for (group, found) in by_group(&queued) {
                assert_eq!(without_copies(&found), added[&group], "{crash:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_call_neither_loses_nor_doubles_messages() {
    crash_and_run_again(false, 30, 1, INVOCATION, 0).await;
    crash_and_run_again(true, 30, 1, INVOCATION, 0).await;
    crash_and_run_again(false, 200, 29, INVOCATION, 0).await;
    // A late run doubles at most one receive.
    crash_and_run_again(false, 30, 1, DEDUPLICATION, MAX_BATCH).await;
}

#[tokio::test(start_paused = true)]
async fn messages_in_flight_after_a_crash_are_reported() {
    let world = world();
    add_many(&world, 10, 10);
    // Call 0 asks for the depth, 1 receives, 2 sends.
    let crash = Crash {
        call: 2,
        entries: 5,
    };
    assert_eq!(redrive_with_crash(&world, crash).await, None);
    let answer = redrive_all(&world).await;
    assert_eq!(
        values(&answer, ["moved", "runAgain"]),
        [json!(0), json!(true)]
    );

    advance(INVOCATION).await;
    assert_eq!(redrive_all(&world).await["moved"], 10);
    assert_eq!(take(&world).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn messages_that_do_not_match_stay_in_order() {
    for by_age in [false, true] {
        let world = world();
        world.queue("rule-dead", |queue| queue.by_age = by_age);
        // Each user's messages are all of one kind.
        for number in 0..200 {
            let vendor = ["nordposten", "sydposten"][number % 2];
            let kind = [Some("bug"), Some("rejected_by_api"), None][number % 3];
            let user = format!("u{}", number % 30);
            let body = body(vendor, &user, &format!("e{number}"));
            add(&world, &format!("{vendor}-{user}"), &body, kind);
        }
        let cases = [
            (json!({"vendorId": "nordposten", "errorKind": "bug"}), 34),
            (json!({"vendorId": "nordposten"}), 66),
            (json!({"errorKind": "exhausted"}), 33),
            (json!({"vendorId": "elsewhere"}), 0),
            (json!({}), 67),
        ];
        for (filters, moved) in cases {
            let before = bodies(&world);
            let answer = redrive(&world, filters.clone()).await;
            assert_eq!(answer["moved"], moved, "{by_age} {filters}");
            let moved: BTreeSet<_> = take_bodies(&world).into_iter().collect();
            let stay = before.into_iter().filter(|body| !moved.contains(body));
            assert_eq!(bodies(&world), stay.collect::<Vec<_>>());
            // What was skipped is visible again after the invocation.
            advance(INVOCATION).await;
            assert_eq!(in_flight(&world), 0);
        }
        assert_eq!(bodies(&world).len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn each_message_that_does_not_match_is_received_once() {
    let world = world();
    for number in 0..500 {
        let user = format!("u{number}");
        add(&world, &user, &body("sydposten", &user, "e"), Some("bug"));
    }
    add(
        &world,
        "last",
        &body("nordposten", "last", "e"),
        Some("bug"),
    );
    let answer = redrive(&world, json!({"vendorId": "nordposten"})).await;
    assert_eq!(values(&answer, ["moved", "skipped"]), [1, 500]);
    assert_eq!(world.queue("rule-dead", |queue| queue.max_receives()), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_stays_holds_back_those_behind_it() {
    let world = world();
    for (number, kind) in ["exhausted", "bug", "exhausted"].iter().enumerate() {
        add(
            &world,
            "anna",
            &body("nordposten", "anna", &format!("a{number}")),
            Some(kind),
        );
    }
    let answer = redrive(&world, json!({"errorKind": "exhausted"})).await;
    assert_eq!(values(&answer, ["moved", "skipped", "heldBack"]), [1, 1, 1]);
    assert_eq!(answer["runAgain"], false);
}

#[tokio::test(start_paused = true)]
async fn a_limit_takes_the_first_messages_of_each_user() {
    let world = world();
    let added = add_many(&world, 100, 30);
    let mut moved = Vec::new();
    for (limit, expected) in [(1, 1), (7, 7), (25, 25), (90, 67)] {
        let answer = redrive(&world, json!({"limit": limit})).await;
        assert_eq!(answer["moved"], expected);
        let stopped = if expected == 67 { "finished" } else { "limit" };
        assert_eq!(
            values(&answer, ["stopped", "runAgain"]),
            [json!(stopped), json!(stopped == "limit")]
        );
        moved.extend(take(&world));
        advance(INVOCATION).await;
    }
    assert_eq!(by_group(&moved), added);
}

#[tokio::test(start_paused = true)]
async fn a_long_redrive_stops_in_time_and_can_be_repeated() {
    let world = world();
    let added = add_many(&world, 1_200, 800);
    world.lock().latency = SLOW;
    let mut moved = Vec::new();
    let mut runs = 0;
    loop {
        runs += 1;
        let began = Instant::now();
        let answer = redrive_all(&world).await;
        assert!(began.elapsed() < INVOCATION);
        moved.extend(take(&world));
        if answer["runAgain"] == false {
            assert_eq!(answer["stopped"], "finished");
            break;
        }
        assert_eq!(answer["stopped"], "time");
    }
    assert!(runs > 1);
    assert_eq!(by_group(&moved), added);
}

#[tokio::test(start_paused = true)]
async fn messages_held_when_the_time_ends_become_visible_by_themselves() {
    let world = world();
    for number in 0..3_000 {
        let user = format!("u{number}");
        add(&world, &user, &body("sydposten", &user, "e"), Some("bug"));
    }
    world.lock().latency = SLOW;
    let began = Instant::now();
    let answer = redrive(&world, json!({"vendorId": "nordposten"})).await;
    assert!(began.elapsed() < INVOCATION);
    // The next run would receive the same ones first.
    assert_eq!(
        values(&answer, ["stopped", "runAgain"]),
        [json!("time"), json!(false)]
    );
    assert!(in_flight(&world) > 0);
    // SQS counts whole seconds.
    advance(INVOCATION + Duration::from_secs(1) - began.elapsed()).await;
    assert_eq!(in_flight(&world), 0);
    assert_eq!(bodies(&world).len(), 3_000);
}

#[tokio::test(start_paused = true)]
async fn unreadable_bodies_are_moved_unless_a_vendor_is_named() {
    let world = world();
    add(
        &world,
        "poison",
        "this is no message",
        Some("unreadable_message"),
    );
    add(&world, "poison", "", None);
    let answer = redrive(&world, json!({"vendorId": "nordposten"})).await;
    assert_eq!(values(&answer, ["moved", "skipped"]), [0, 2]);
    advance(INVOCATION).await;
    let answer = redrive_all(&world).await;
    assert_eq!(values(&answer, ["moved", "skipped"]), [2, 0]);
    assert_eq!(take_bodies(&world), ["this is no message", ""]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_sent_holds_back_only_its_user() {
    let world = world();
    let add = |user: &str, event: &str| {
        let body = body("nordposten", user, event);
        add(&world, user, &body, Some("bug"));
        body
    };
    let a1 = add("anna", "1");
    let a2 = add("anna", "2");
    let b1 = add("bo", "1");
    let a3 = add("anna", "3");
    let b2 = add("bo", "2");
    world.queue("rule", |queue| queue.refused.insert(a2.clone()));
    let answer = redrive_all(&world).await;
    let failed = json!({"notSent": 1, "sentButNotDeleted": 0, "reasons": ["InternalError"]});
    let found = values(&answer, ["moved", "heldBack", "failed", "runAgain"]);
    assert_eq!(found, [json!(3), json!(1), failed, json!(true)]);
    let queued = by_group(&take(&world));
    assert_eq!((&queued["anna"], &queued["bo"]), (&vec![a1], &vec![b1, b2]));

    world.queue("rule", |queue| queue.refused.clear());
    advance(INVOCATION).await;
    assert_eq!(redrive_all(&world).await["moved"], 2);
    assert_eq!(take_bodies(&world), [a2, a3]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_deleted_is_not_sent_twice() {
    let world = world();
    let sent = ["1", "2"].map(|event| body("nordposten", "anna", event));
    for body in &sent {
        add(&world, "anna", body, Some("bug"));
    }
    world.queue("rule-dead", |queue| queue.refused.insert(sent[0].clone()));
    let answer = redrive_all(&world).await;
    assert_eq!(values(&answer, ["moved", "heldBack"]), [0, 1]);
    assert_eq!(answer["failed"]["sentButNotDeleted"], 1);
    assert_eq!(answer["runAgain"], true);
    world.queue("rule-dead", |queue| queue.refused.clear());
    advance(INVOCATION).await;
    assert_eq!(redrive_all(&world).await["moved"], 2);
    assert_eq!(take_bodies(&world), sent);
    assert_eq!(bodies(&world).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_queue_stops_the_run_after_a_few_calls() {
    for call in ["GetQueueAttributes", "ReceiveMessage", "SendMessageBatch"] {
        let world = world();
        add_many(&world, 500, 300);
        world.lock().broken.insert(call);
        let answer = redrive_all(&world).await;
        assert_eq!(
            values(&answer, ["moved", "stopped", "runAgain"]),
            [json!(0), json!("error"), json!(true)]
        );
        assert_eq!(answer["error"]["code"], "queue_unavailable", "{call}");
        let calls = world.lock().calls;
        assert!(calls < 20, "{call}: {calls}");
        assert_eq!(bodies(&world).len(), 500);
        world.lock().broken.clear();
        advance(INVOCATION).await;
        assert_eq!(redrive_all(&world).await["moved"], 500);
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_redrives_move_each_message_once() {
    let world = world();
    let added = add_many(&world, 1_000, 300);
    let (one, other) = tokio::join!(redrive_all(&world), redrive_all(&world));
    let moved = [one, other].map(|answer| answer["moved"].as_u64().unwrap());
    assert!(
        moved[0] > 0 && moved[1] > 0 && moved[0] + moved[1] == 1_000,
        "{moved:?}"
    );
    assert_eq!(by_group(&take(&world)), added);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the messages, however often and wherever a run crashes, and however
    /// long the next one takes to come: no message is lost, each user's order is
    /// kept, and none is doubled if it is run again within five minutes.
    #[test]
    fn crashes_lose_no_message_and_keep_each_users_order(
        users in prop::collection::vec(0_usize..8, 0..120),
        crashes in prop::collection::vec((0_usize..40, 0_usize..11, 0_u64..400), 0..6),
        by_age in any::<bool>(),
    ) {
        in_virtual_time(async {
            let world = world();
            world.queue("rule-dead", |queue| queue.by_age = by_age);
            let added = add_for_users(&world, users.iter().copied());
            let began = Instant::now();
            let mut crashed = 0;
            for (call, entries, wait) in crashes {
                let crash = Crash { call, entries };
                crashed += usize::from(redrive_with_crash(&world, crash).await.is_none());
                advance(Duration::from_secs(wait)).await;
            }
            advance(INVOCATION).await;
            let in_time = began.elapsed() < DEDUPLICATION;
            let answer = redrive_all(&world).await;
            prop_assert_eq!(&answer["stopped"], "finished");
            prop_assert_eq!(bodies(&world).len(), 0);
            let queued = take(&world);
            let copies = queued.len() - users.len();
            prop_assert!(copies <= crashed * MAX_BATCH);
            prop_assert!(copies == 0 || !in_time);
            for (group, found) in by_group(&queued) {
                prop_assert_eq!(&without_copies(&found), &added[&group]);
            }
            Ok(())
        })?;
    }
}
