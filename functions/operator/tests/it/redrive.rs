use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use operator::command::RedriveCommand;
use operator::dead_letters::ErrorKind;
use operator::deadline::Deadline;
use operator::redrive::RedriveReport;
use proptest::prelude::*;
use shared::identity::VendorId;
use shared::sqs::{MAX_BATCH, OutgoingMessage};
use tokio::time::Instant;

use crate::fakes::body;
use crate::fakes::queues::{BatchCrash, DEDUPLICATION, FakeQueues, ReceiveOrder};
use crate::in_virtual_time;

/// The function's timeout, as in the template.
const INVOCATION: Duration = Duration::from_secs(60);

/// An invocation has time for some hundred calls that are so slow.
const SLOW: Duration = Duration::from_millis(200);

fn everything() -> RedriveCommand {
    RedriveCommand {
        connector: "rule".to_owned().try_into().unwrap(),
        vendor_id: None,
        error_kind: None,
        limit: None,
    }
}

fn of_vendor(vendor: &str) -> RedriveCommand {
    RedriveCommand {
        vendor_id: Some(VendorId::try_from(vendor).unwrap()),
        ..everything()
    }
}

fn of_kind(kind: &str) -> RedriveCommand {
    RedriveCommand {
        error_kind: Some(ErrorKind::try_from(kind.to_owned()).unwrap()),
        ..everything()
    }
}

fn limited(limit: u64) -> RedriveCommand {
    RedriveCommand {
        limit: Some(limit.try_into().unwrap()),
        ..everything()
    }
}

async fn invoke(queues: &FakeQueues, command: &RedriveCommand) -> RedriveReport {
    operator::redrive::run(queues, command, Deadline::after(INVOCATION)).await
}

/// `None` if the function crashes.
async fn invoke_with_crash(queues: &FakeQueues, crash: BatchCrash) -> Option<RedriveReport> {
    queues.set_crash(Some(crash));
    let command = everything();
    let report = tokio::select! {
        biased;
        () = queues.crashed() => None,
        report = invoke(queues, &command) => Some(report),
    };
    queues.set_crash(None);
    report
}

fn bodies(messages: &[OutgoingMessage]) -> Vec<String> {
    messages.iter().map(|one| one.body.clone()).collect()
}

type BodiesByGroup = BTreeMap<String, Vec<String>>;

fn by_group(messages: &[OutgoingMessage]) -> BodiesByGroup {
    let mut groups = BodiesByGroup::new();
    for message in messages {
        let group = groups.entry(message.group.clone()).or_default();
        group.push(message.body.clone());
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
fn add_many(queues: &FakeQueues, messages: usize, users: usize) -> BodiesByGroup {
    let users = (0..messages).map(|number| (number * number * number) % users);
    add_for_users(queues, users, Some("rejected_by_api"))
}

fn add_for_users(
    queues: &FakeQueues,
    users: impl Iterator<Item = usize>,
    kind: Option<&str>,
) -> BodiesByGroup {
    let mut added = BodiesByGroup::new();
    for (number, user) in users.enumerate() {
        let group = format!("group-{user}");
        let body = body("nordposten", &format!("u{user}"), &format!("e{number}"));
        queues.add_dead_letter(&group, &body, kind);
        added.entry(group).or_default().push(body);
    }
    added
}

#[tokio::test(start_paused = true)]
async fn a_redriven_message_is_as_it_was_queued_first() {
    let queues = FakeQueues::default();
    let message = body("nordposten", "email|anna", "e1");
    let id = queues.add_dead_letter("anna", &message, Some("bug"));
    let report = invoke(&queues, &everything()).await;
    let expected = OutgoingMessage {
        body: message,
        group: "anna".to_owned(),
        deduplication_id: format!("redrive-{id}"),
        attributes: Vec::new(),
        trace: Some(format!("Root=1-{id}")),
    };
    assert_eq!(queues.queued(), [expected]);
    assert_eq!(queues.dead_letter_bodies(), [] as [&str; 0]);
    assert_eq!((report.moved, report.skipped), (1, 0));
    assert_eq!((report.stopped, report.run_again), ("finished", false));
    assert_eq!(report.dead_letters_left, Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_finishes_at_once() {
    let queues = FakeQueues::default();
    let report = invoke(&queues, &everything()).await;
    assert_eq!((report.moved, report.stopped), (0, "finished"));
    assert!(!report.run_again);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_again_is_not_dropped_as_a_duplicate() {
    let queues = FakeQueues::default();
    let message = body("nordposten", "email|anna", "e1");
    for _ in 0..3 {
        queues.add_dead_letter("anna", &message, Some("bug"));
        let report = invoke(&queues, &everything()).await;
        assert_eq!(report.moved, 1);
        assert_eq!(bodies(&queues.consume()), [message.as_str()]);
    }
}

/// Crashes a redrive at every `stride`th call, before any, after some and after
/// all of what the call does, and runs it again after `wait`.
async fn crash_and_run_again(
    order: ReceiveOrder,
    messages: usize,
    stride: usize,
    wait: Duration,
    max_copies: usize,
) {
    for call in (0..).step_by(stride) {
        for entries in [0, 4, usize::MAX] {
            let queues = FakeQueues::new(order);
            let added = add_many(&queues, messages, messages / 3);
            let crash = BatchCrash { call, entries };
            if invoke_with_crash(&queues, crash).await.is_some() {
                // It ended before this call.
                assert!(call > messages / 5, "{call}");
                return;
            }
            tokio::time::advance(wait).await;
            let report = invoke(&queues, &everything()).await;
            assert_eq!(report.stopped, "finished", "{crash:?}");
            assert_eq!(queues.dead_letter_bodies().len(), 0, "{crash:?}");
            let queued = queues.queued();
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
    for order in [ReceiveOrder::ByGroup, ReceiveOrder::ByAge] {
        crash_and_run_again(order, 60, 1, INVOCATION, 0).await;
        crash_and_run_again(order, 1_000, 97, INVOCATION, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_run_after_a_crash_doubles_at_most_one_receive() {
    let order = ReceiveOrder::ByGroup;
    crash_and_run_again(order, 60, 1, DEDUPLICATION, MAX_BATCH).await;
    crash_and_run_again(order, 1_000, 97, DEDUPLICATION, MAX_BATCH).await;
}

#[tokio::test(start_paused = true)]
async fn messages_in_flight_after_a_crash_are_reported() {
    let queues = FakeQueues::default();
    add_many(&queues, 10, 10);
    // Call 0 asks for the depth, 1 receives, 2 sends.
    let crash = BatchCrash {
        call: 2,
        entries: 5,
    };
    assert_eq!(invoke_with_crash(&queues, crash).await, None);
    let report = invoke(&queues, &everything()).await;
    assert_eq!(report.moved, 0);
    assert!(report.run_again);
    assert_eq!(report.dead_letters_left, Some(10));

    tokio::time::advance(INVOCATION).await;
    assert_eq!(invoke(&queues, &everything()).await.moved, 10);
    assert_eq!(queues.queued().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn messages_that_do_not_match_stay_in_order() {
    struct Case {
        vendor: Option<&'static str>,
        kind: Option<&'static str>,
        moved: u64,
    }
    let case = |vendor, kind, moved| Case {
        vendor,
        kind,
        moved,
    };
    for order in [ReceiveOrder::ByGroup, ReceiveOrder::ByAge] {
        let queues = FakeQueues::new(order);
        // Each user's messages are all of one kind.
        for number in 0..200 {
            let vendor = ["nordposten", "sydposten"][number % 2];
            let kind = [Some("bug"), Some("rejected_by_api"), None][number % 3];
            let user = format!("u{}", number % 30);
            let body = body(vendor, &user, &format!("e{number}"));
            queues.add_dead_letter(&format!("{vendor}-{user}"), &body, kind);
        }
        let cases = [
            case(Some("nordposten"), Some("bug"), 34),
            case(Some("nordposten"), None, 66),
            case(None, Some("exhausted"), 33),
            case(Some("elsewhere"), None, 0),
            case(None, None, 67),
        ];
        for case in cases {
            let before = queues.dead_letter_bodies();
            let command = RedriveCommand {
                vendor_id: case.vendor.and_then(|vendor| of_vendor(vendor).vendor_id),
                error_kind: case.kind.and_then(|kind| of_kind(kind).error_kind),
                ..everything()
            };
            let report = invoke(&queues, &command).await;
            assert_eq!(report.moved, case.moved, "{order:?} {command:?}");
            let moved: BTreeSet<_> = bodies(&queues.consume()).into_iter().collect();
            let stay = before.into_iter().filter(|body| !moved.contains(body));
            assert_eq!(queues.dead_letter_bodies(), stay.collect::<Vec<_>>());
            // What was skipped is visible again after the invocation.
            tokio::time::advance(INVOCATION).await;
            assert_eq!(queues.in_flight(), 0);
        }
        assert_eq!(queues.dead_letter_bodies().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn each_message_that_does_not_match_is_received_once() {
    let queues = FakeQueues::default();
    for number in 0..500 {
        let user = format!("u{number}");
        queues.add_dead_letter(&user, &body("sydposten", &user, "e"), Some("bug"));
    }
    queues.add_dead_letter("last", &body("nordposten", "last", "e"), Some("bug"));
    let report = invoke(&queues, &of_vendor("nordposten")).await;
    assert_eq!((report.moved, report.skipped), (1, 500));
    assert_eq!(queues.max_receives(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_stays_holds_back_those_behind_it() {
    let queues = FakeQueues::default();
    for (number, kind) in ["exhausted", "bug", "exhausted"].iter().enumerate() {
        let body = body("nordposten", "anna", &format!("a{number}"));
        queues.add_dead_letter("anna", &body, Some(kind));
    }
    let report = invoke(&queues, &of_kind("exhausted")).await;
    assert_eq!((report.moved, report.skipped, report.held_back), (1, 1, 1));
    assert_eq!(report.dead_letters_left, Some(2));
    assert!(!report.run_again);
}

#[tokio::test(start_paused = true)]
async fn a_limit_takes_the_first_messages_of_each_user() {
    let queues = FakeQueues::default();
    let added = add_many(&queues, 100, 30);
    let mut moved = Vec::new();
    for (limit, expected) in [(1, 1), (7, 7), (25, 25), (90, 67)] {
        let report = invoke(&queues, &limited(limit)).await;
        assert_eq!(report.moved, expected);
        let stopped = if expected == 67 { "finished" } else { "limit" };
        assert_eq!(report.stopped, stopped);
        assert_eq!(report.run_again, stopped == "limit");
        moved.extend(queues.consume());
        tokio::time::advance(INVOCATION).await;
    }
    assert_eq!(by_group(&moved), added);
}

#[tokio::test(start_paused = true)]
async fn a_long_redrive_stops_in_time_and_can_be_repeated() {
    let queues = FakeQueues::default();
    let added = add_many(&queues, 1_200, 800);
    queues.set_latency(SLOW);
    let mut moved = Vec::new();
    let mut runs = 0;
    loop {
        runs += 1;
        let began = Instant::now();
        let report = invoke(&queues, &everything()).await;
        assert!(began.elapsed() < INVOCATION);
        moved.extend(queues.consume());
        if !report.run_again {
            assert_eq!(report.stopped, "finished");
            break;
        }
        assert_eq!(report.stopped, "time");
    }
    assert!(runs > 1);
    assert_eq!(by_group(&moved), added);
}

#[tokio::test(start_paused = true)]
async fn messages_held_when_the_time_ends_become_visible_by_themselves() {
    let queues = FakeQueues::default();
    for number in 0..3_000 {
        let user = format!("u{number}");
        queues.add_dead_letter(&user, &body("sydposten", &user, "e"), Some("bug"));
    }
    queues.set_latency(SLOW);
    let began = Instant::now();
    let report = invoke(&queues, &of_vendor("nordposten")).await;
    assert!(began.elapsed() < INVOCATION);
    assert_eq!(report.stopped, "time");
    // The next run would receive the same ones first.
    assert!(!report.run_again);
    assert!(queues.in_flight() > 0);
    tokio::time::advance(INVOCATION + SLOW - began.elapsed()).await;
    assert_eq!(queues.in_flight(), 0);
    assert_eq!(queues.dead_letter_bodies().len(), 3_000);
}

#[tokio::test(start_paused = true)]
async fn unreadable_bodies_are_moved_unless_a_vendor_is_named() {
    let queues = FakeQueues::default();
    queues.add_dead_letter("poison", "this is no message", Some("unreadable_message"));
    queues.add_dead_letter("poison", "", None);
    let report = invoke(&queues, &of_vendor("nordposten")).await;
    assert_eq!((report.moved, report.skipped), (0, 2));
    tokio::time::advance(INVOCATION).await;
    let report = invoke(&queues, &everything()).await;
    assert_eq!((report.moved, report.skipped), (2, 0));
    assert_eq!(bodies(&queues.queued()), ["this is no message", ""]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_sent_holds_back_only_its_user() {
    let queues = FakeQueues::default();
    let add = |user: &str, event: &str| {
        let body = body("nordposten", user, event);
        queues.add_dead_letter(user, &body, Some("bug"));
        body
    };
    let a1 = add("anna", "1");
    let a2 = add("anna", "2");
    let b1 = add("bo", "1");
    let a3 = add("anna", "3");
    let b2 = add("bo", "2");
    queues.refuse_to_send(&a2);
    let report = invoke(&queues, &everything()).await;
    assert_eq!(report.moved, 3);
    assert_eq!(by_group(&queues.queued())["anna"], [a1]);
    assert_eq!(by_group(&queues.queued())["bo"], [b1, b2]);
    let failed = report.failed.unwrap();
    assert_eq!((failed.not_sent, failed.sent_but_not_deleted), (1, 0));
    assert_eq!(failed.reasons, ["InternalError"]);
    assert_eq!(report.held_back, 1);
    assert!(report.run_again);

    queues.repair();
    queues.consume();
    tokio::time::advance(INVOCATION).await;
    assert_eq!(invoke(&queues, &everything()).await.moved, 2);
    assert_eq!(bodies(&queues.queued()), [a2, a3]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_deleted_is_not_sent_twice() {
    let queues = FakeQueues::default();
    let first = body("nordposten", "anna", "1");
    let second = body("nordposten", "anna", "2");
    queues.add_dead_letter("anna", &first, Some("bug"));
    queues.add_dead_letter("anna", &second, Some("bug"));
    queues.refuse_to_delete(&first);
    let report = invoke(&queues, &everything()).await;
    assert_eq!((report.moved, report.held_back), (0, 1));
    assert_eq!(report.failed.unwrap().sent_but_not_deleted, 1);
    assert!(report.run_again);
    queues.repair();
    tokio::time::advance(INVOCATION).await;
    assert_eq!(invoke(&queues, &everything()).await.moved, 2);
    assert_eq!(bodies(&queues.queued()), [first, second]);
    assert_eq!(queues.dead_letter_bodies().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_broken_queue_stops_the_run_after_a_few_calls() {
    for call in ["dead_letter_depth", "receive", "send"] {
        let queues = FakeQueues::default();
        add_many(&queues, 500, 300);
        queues.break_call(call);
        let report = invoke(&queues, &everything()).await;
        assert_eq!((report.moved, report.stopped), (0, "error"), "{call}");
        assert!(report.run_again);
        let answer = serde_json::to_value(&report).unwrap();
        assert_eq!(answer["error"]["code"], "queue_unavailable", "{call}");
        assert!(queues.calls() < 20, "{call}: {}", queues.calls());
        assert_eq!(queues.dead_letter_bodies().len(), 500);
        queues.repair();
        tokio::time::advance(INVOCATION).await;
        assert_eq!(invoke(&queues, &everything()).await.moved, 500);
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_redrives_move_each_message_once() {
    let queues = FakeQueues::default();
    let added = add_many(&queues, 1_000, 300);
    let command = everything();
    let (one, other) = tokio::join!(invoke(&queues, &command), invoke(&queues, &command));
    assert_eq!(one.moved + other.moved, 1_000);
    assert!(one.moved > 0 && other.moved > 0);
    assert_eq!(by_group(&queues.queued()), added);
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
            let order = if by_age { ReceiveOrder::ByAge } else { ReceiveOrder::ByGroup };
            let queues = FakeQueues::new(order);
            let added = add_for_users(&queues, users.iter().copied(), None);
            let began = Instant::now();
            let mut crashed = 0;
            for (call, entries, wait) in crashes {
                let crash = BatchCrash { call, entries };
                crashed += usize::from(invoke_with_crash(&queues, crash).await.is_none());
                tokio::time::advance(Duration::from_secs(wait)).await;
            }
            tokio::time::advance(INVOCATION).await;
            let in_time = began.elapsed() < DEDUPLICATION;
            let report = invoke(&queues, &everything()).await;
            prop_assert_eq!(report.stopped, "finished");
            prop_assert_eq!(queues.dead_letter_bodies().len(), 0);
            let queued = queues.queued();
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
