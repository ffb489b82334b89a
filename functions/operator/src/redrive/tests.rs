use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use shared::identity::{EventId, UserId, VendorId};
use shared::message::{Message, Reader};

use super::report::Left;
use super::*;
use crate::connectors::Connector;
use crate::letters::{ErrorKind, Outgoing};
use crate::stand_in::{DEDUPLICATION, Death, Order, StandIn};

/// The time of an invocation, as in the template.
const INVOCATION: Duration = Duration::from_secs(60);

/// A call of a slow day, of which an invocation has time for some hundred.
const SLOW: Duration = Duration::from_millis(200);

/// A message of the vendor's reader; its event is what it is told apart by.
fn body(vendor: &str, user: &str, event: &str) -> String {
    let message = Message {
        event_id: EventId::try_from(event).unwrap(),
        reader: Reader {
            vendor_id: VendorId::try_from(vendor).unwrap(),
            user_id: UserId::try_from(user).unwrap(),
        },
        received_at: "2026-01-15T09:30:01Z".parse().unwrap(),
        event: None,
    };
    message.to_json()
}

#[derive(Clone, Default)]
struct Asked {
    vendor: Option<&'static str>,
    kind: Option<&'static str>,
    limit: Option<u64>,
}

/// One invocation.
async fn invoke(queues: &StandIn, asked: &Asked) -> Report {
    let connector = Connector {
        name: "rule".to_owned(),
        queues: queues.clone(),
    };
    let request = request::Redrive {
        connector: &connector,
        filter: Filter {
            vendor_id: asked.vendor.map(|id| VendorId::try_from(id).unwrap()),
            error_kind: asked.kind.map(|kind| ErrorKind::known(kind).unwrap()),
        },
        limit: asked.limit.map(|limit| limit.try_into().unwrap()),
    };
    run(request, Deadline::after(INVOCATION)).await
}

/// One invocation that may die on the way.
async fn invoke_mortal(queues: &StandIn, death: Death) -> Option<Report> {
    queues.die(Some(death));
    let asked = Asked::default();
    let report = tokio::select! {
        biased;
        () = queues.died() => None,
        report = invoke(queues, &asked) => Some(report),
    };
    queues.die(None);
    report
}

fn bodies(messages: &[Outgoing]) -> Vec<String> {
    messages.iter().map(|one| one.body.clone()).collect()
}

fn by_group(messages: &[Outgoing]) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in messages {
        let group = groups.entry(message.group.clone()).or_default();
        group.push(message.body.clone());
    }
    groups
}

/// Each text once, where it stood first.
fn once(texts: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let new = texts.iter().filter(|text| seen.insert(*text));
    new.cloned().collect()
}

/// Letters of readers with one to `most` letters each, interleaved.
fn bury_many(queues: &StandIn, letters: usize, readers: usize) -> BTreeMap<String, Vec<String>> {
    let mut buried: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for number in 0..letters {
        // A few readers have many letters, most have few.
        let reader = (number * number * number) % readers;
        let group = format!("group-{reader}");
        let body = body("nordposten", &format!("u{reader}"), &format!("e{number}"));
        queues.bury(&group, &body, Some("rejected_by_api"));
        buried.entry(group).or_default().push(body);
    }
    buried
}

#[tokio::test(start_paused = true)]
async fn a_letter_goes_home_as_it_was_queued() {
    let queues = StandIn::default();
    let message = body("nordposten", "email|anna", "e1");
    let id = queues.bury("anna", &message, Some("bug"));
    let report = invoke(&queues, &Asked::default()).await;
    let expected = Outgoing {
        body: message,
        group: "anna".to_owned(),
        deduplication_id: format!("redrive-{id}"),
        trace: Some(format!("Root=1-{id}")),
    };
    assert_eq!(queues.queued(), [expected]);
    assert_eq!(queues.left(), [] as [&str; 0]);
    assert_eq!((report.moved, report.skipped), (1, 0));
    assert_eq!(
        report.matching_left,
        Left {
            count: 0,
            exact: true
        }
    );
    assert_eq!((report.stopped, report.run_again), ("finished", false));
    assert_eq!(report.dead_letters_left, Some(0));
}

#[tokio::test(start_paused = true)]
async fn without_letters_nothing_is_done() {
    let queues = StandIn::default();
    let report = invoke(&queues, &Asked::default()).await;
    assert_eq!((report.moved, report.stopped), (0, "finished"));
    assert!(!report.run_again);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_comes_back_is_not_swallowed() {
    let queues = StandIn::default();
    let message = body("nordposten", "email|anna", "e1");
    for _ in 0..3 {
        queues.bury("anna", &message, Some("bug"));
        let report = invoke(&queues, &Asked::default()).await;
        assert_eq!(report.moved, 1);
        assert_eq!(bodies(&queues.consume()), [message.as_str()]);
    }
}

/// Kills a redrive of so many letters at every `stride`th call, before any, after
/// some and after all of what the call does, and runs it again after `wait`.
async fn killed(order: Order, letters: usize, stride: usize, wait: Duration, most_copies: usize) {
    for call in (0..).step_by(stride) {
        for entries in [0, 4, usize::MAX] {
            let queues = StandIn::new(order);
            let buried = bury_many(&queues, letters, letters / 3);
            let death = Death { call, entries };
            if invoke_mortal(&queues, death).await.is_some() {
                // There are no more calls to die in.
                assert!(call > letters / 5, "{call}");
                return;
            }
            tokio::time::advance(wait).await;
            let report = invoke(&queues, &Asked::default()).await;
            assert_eq!(report.stopped, "finished", "{death:?}");
            assert_eq!(queues.left().len(), 0, "{death:?}");
            let queued = queues.queued();
            let copies = queued.len() - letters;
            assert!(copies <= most_copies, "{death:?}: {copies}");
            for (group, found) in by_group(&queued) {
                assert_eq!(once(&found), buried[&group], "{death:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_step_it_brings_every_letter_home_once() {
    // What the dead run had in its hands shows again when its time is over.
    for order in [Order::ByGroup, Order::ByAge] {
        killed(order, 60, 1, INVOCATION, 0).await;
        killed(order, 1_000, 97, INVOCATION, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn killed_and_run_again_too_late_it_doubles_one_receive_at_most() {
    killed(Order::ByGroup, 60, 1, DEDUPLICATION, MOST_AT_ONCE).await;
    killed(Order::ByGroup, 1_000, 97, DEDUPLICATION, MOST_AT_ONCE).await;
}

#[tokio::test(start_paused = true)]
async fn run_again_at_once_it_says_that_letters_are_out_of_sight() {
    let queues = StandIn::default();
    bury_many(&queues, 10, 10);
    // Call 0 asks for the depth, 1 receives, 2 sends.
    let death = Death {
        call: 2,
        entries: 5,
    };
    assert_eq!(invoke_mortal(&queues, death).await, None);
    let report = invoke(&queues, &Asked::default()).await;
    assert_eq!(report.moved, 0);
    assert!(report.run_again);
    assert!(!report.matching_left.exact);
    assert!(report.advice.contains("somebody's hands"), "{report:?}");
    assert_eq!(report.dead_letters_left, Some(10));

    tokio::time::advance(INVOCATION).await;
    assert_eq!(invoke(&queues, &Asked::default()).await.moved, 10);
    assert_eq!(queues.queued().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_meant_stays_where_it_is() {
    for order in [Order::ByGroup, Order::ByAge] {
        let queues = StandIn::new(order);
        for number in 0..200 {
            let vendor = ["nordposten", "sydposten"][number % 2];
            let kind = [Some("bug"), Some("rejected_by_api"), None][number % 3];
            let user = format!("u{}", number % 20);
            let body = body(vendor, &user, &format!("e{number}"));
            queues.bury(&format!("{vendor}-{user}"), &body, kind);
        }
        let cases = [
            (Some("nordposten"), Some("bug"), 34),
            (Some("nordposten"), None, 66),
            (None, Some("exhausted"), 33),
            (Some("elsewhere"), None, 0),
            (None, None, 67),
        ];
        for (vendor, kind, moved) in cases {
            let before = queues.left();
            let limit = None;
            let asked = Asked {
                vendor,
                kind,
                limit,
            };
            let report = invoke(&queues, &asked).await;
            assert_eq!(report.moved, moved, "{order:?} {vendor:?} {kind:?}");
            assert_eq!(
                report.skipped,
                before.len() - usize::try_from(moved).unwrap()
            );
            assert_eq!(
                report.matching_left,
                Left {
                    count: 0,
                    exact: true
                }
            );
            // All the others are in sight again, in their order.
            assert_eq!(queues.in_flight(), 0);
            let gone: BTreeSet<_> = bodies(&queues.consume()).into_iter().collect();
            let stay = before.into_iter().filter(|body| !gone.contains(body));
            assert_eq!(queues.left(), stay.collect::<Vec<_>>());
        }
        assert_eq!(queues.left().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_meant_does_not_come_again_and_again() {
    let queues = StandIn::default();
    for number in 0..500 {
        let user = format!("u{number}");
        queues.bury(&user, &body("sydposten", &user, "e"), Some("bug"));
    }
    queues.bury("last", &body("nordposten", "last", "e"), Some("bug"));
    let asked = Asked {
        vendor: Some("nordposten"),
        ..Asked::default()
    };
    let report = invoke(&queues, &asked).await;
    assert_eq!((report.moved, report.skipped), (1, 500));
    // Once more for the last one of a full receive, which may have been cut off.
    assert!(queues.most_receives() <= 2, "{}", queues.most_receives());
}

#[tokio::test(start_paused = true)]
async fn letters_behind_others_of_their_reader_are_reached() {
    for order in [Order::ByGroup, Order::ByAge] {
        let queues = StandIn::new(order);
        // Nine that are not meant, then 30 that are; and a crowd of others.
        for number in 0..39 {
            let kind = if number < 9 { "bug" } else { "rejected_by_api" };
            let body = body("nordposten", "anna", &format!("a{number}"));
            queues.bury("anna", &body, Some(kind));
            for other in 0..3 {
                let user = format!("u{number}-{other}");
                queues.bury(&user, &self::body("nordposten", &user, "e"), Some("bug"));
            }
        }
        let asked = Asked {
            kind: Some("rejected_by_api"),
            ..Asked::default()
        };
        let report = invoke(&queues, &asked).await;
        assert_eq!((report.moved, report.skipped), (30, 9 + 117), "{order:?}");
        assert!(report.matching_left.exact, "{order:?}: {report:?}");
        let expected: Vec<_> = (9..39)
            .map(|number| body("nordposten", "anna", &format!("a{number}")))
            .collect();
        assert_eq!(bodies(&queues.queued()), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn letters_that_sqs_hides_behind_ten_others_are_told() {
    let queues = StandIn::default();
    for number in 0..11 {
        let kind = if number < 10 { "bug" } else { "exhausted" };
        let body = body("nordposten", "anna", &format!("a{number}"));
        queues.bury("anna", &body, Some(kind));
    }
    let asked = Asked {
        kind: Some("exhausted"),
        ..Asked::default()
    };
    let report = invoke(&queues, &asked).await;
    assert_eq!((report.moved, report.skipped), (0, 10));
    assert_eq!(
        report.matching_left,
        Left {
            count: 0,
            exact: false
        }
    );
    assert!(report.advice.contains("wider filter"), "{report:?}");

    // Ten with nothing behind them hide nothing.
    let report = invoke(
        &queues,
        &Asked {
            limit: Some(1),
            ..Asked::default()
        },
    )
    .await;
    assert_eq!(report.moved, 1);
    let asked = Asked {
        vendor: Some("elsewhere"),
        ..Asked::default()
    };
    let report = invoke(&queues, &asked).await;
    assert_eq!(report.skipped, 10);
    assert!(report.matching_left.exact, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_is_moved_and_the_first_of_each_reader() {
    let queues = StandIn::default();
    let buried = bury_many(&queues, 100, 30);
    let mut moved = Vec::new();
    for (limit, expected) in [(1, 1), (7, 7), (25, 25), (90, 67)] {
        let limit = Some(limit);
        let report = invoke(
            &queues,
            &Asked {
                limit,
                ..Asked::default()
            },
        )
        .await;
        assert_eq!(report.moved, expected);
        let stopped = if expected == 67 { "finished" } else { "limit" };
        assert_eq!(report.stopped, stopped);
        assert_eq!(report.matching_left.exact, stopped == "finished");
        assert!(!report.run_again);
        assert_eq!(queues.in_flight(), 0);
        moved.extend(queues.consume());
    }
    assert_eq!(by_group(&moved), buried);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_invocation_is_kept() {
    let queues = StandIn::default();
    let buried = bury_many(&queues, 1_200, 800);
    queues.slow(SLOW);
    let mut moved = Vec::new();
    let mut runs = 0;
    loop {
        runs += 1;
        let began = Instant::now();
        let report = invoke(&queues, &Asked::default()).await;
        assert!(began.elapsed() < INVOCATION);
        moved.extend(queues.consume());
        if !report.run_again {
            assert_eq!(report.stopped, "finished");
            break;
        }
        assert_eq!(report.stopped, "time");
        assert_eq!(queues.in_flight(), 0);
    }
    assert!(runs > 1);
    assert_eq!(by_group(&moved), buried);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_at_the_end_of_the_time_shows_again() {
    let queues = StandIn::default();
    for number in 0..3_000 {
        let user = format!("u{number}");
        queues.bury(&user, &body("sydposten", &user, "e"), Some("bug"));
    }
    queues.slow(SLOW);
    let asked = Asked {
        vendor: Some("nordposten"),
        ..Asked::default()
    };
    let began = Instant::now();
    let report = invoke(&queues, &asked).await;
    assert!(began.elapsed() < INVOCATION);
    assert_eq!(report.stopped, "time");
    // The next run would see the same ones first.
    assert!(!report.run_again);
    // It did not put all of them back itself: they were in flight until its end.
    assert!(queues.in_flight() > 0);
    tokio::time::advance(INVOCATION + SLOW - began.elapsed()).await;
    assert_eq!(queues.in_flight(), 0);
    assert_eq!(queues.left().len(), 3_000);
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_no_message_go_home_unless_a_vendor_is_named() {
    let queues = StandIn::default();
    queues.bury("poison", "this is no message", Some("unreadable_message"));
    queues.bury("poison", "", None);
    let asked = Asked {
        vendor: Some("nordposten"),
        ..Asked::default()
    };
    let report = invoke(&queues, &asked).await;
    assert_eq!((report.moved, report.skipped), (0, 2));
    let report = invoke(&queues, &Asked::default()).await;
    assert_eq!((report.moved, report.skipped), (2, 0));
    assert_eq!(bodies(&queues.queued()), ["this is no message", ""]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_taken_holds_up_its_reader_alone() {
    let queues = StandIn::default();
    let letter = |user: &str, event: &str| {
        let body = body("nordposten", user, event);
        queues.bury(user, &body, Some("bug"));
        body
    };
    let (a1, a2, b1, a3, b2) = (
        letter("anna", "1"),
        letter("anna", "2"),
        letter("bo", "1"),
        letter("anna", "3"),
        letter("bo", "2"),
    );
    queues.refuse(&a2);
    let report = invoke(&queues, &Asked::default()).await;
    assert_eq!(report.moved, 3);
    assert_eq!(by_group(&queues.queued())["anna"], [a1]);
    assert_eq!(by_group(&queues.queued())["bo"], [b1, b2]);
    let failed = report.failed.unwrap();
    assert_eq!((failed.not_sent, failed.sent_but_not_deleted), (1, 0));
    assert_eq!(failed.reasons, ["InternalError"]);
    assert_eq!(
        report.matching_left,
        Left {
            count: 2,
            exact: false
        }
    );
    assert!(report.run_again);
    assert_eq!(queues.in_flight(), 0);

    queues.mend();
    queues.consume();
    assert_eq!(invoke(&queues, &Asked::default()).await.moved, 2);
    assert_eq!(bodies(&queues.queued()), [a2, a3]);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_cannot_be_deleted_is_not_sent_twice() {
    let queues = StandIn::default();
    let first = body("nordposten", "anna", "1");
    let second = body("nordposten", "anna", "2");
    queues.bury("anna", &first, Some("bug"));
    queues.bury("anna", &second, Some("bug"));
    queues.keep(&first);
    let report = invoke(&queues, &Asked::default()).await;
    assert_eq!(report.moved, 1);
    assert_eq!(report.failed.unwrap().sent_but_not_deleted, 1);
    assert!(report.run_again);
    queues.mend();
    assert_eq!(invoke(&queues, &Asked::default()).await.moved, 1);
    assert_eq!(bodies(&queues.queued()), [first, second]);
    assert_eq!(queues.left().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_takes_nothing_is_left_alone() {
    for call in ["dead_depth", "receive", "send"] {
        let queues = StandIn::default();
        bury_many(&queues, 500, 300);
        queues.break_call(call);
        let report = invoke(&queues, &Asked::default()).await;
        assert_eq!((report.moved, report.stopped), (0, "error"), "{call}");
        assert!(report.run_again);
        let answer = serde_json::to_value(&report).unwrap();
        assert_eq!(answer["error"]["code"], "queue_unavailable", "{call}");
        assert!(queues.calls() < 20, "{call}: {}", queues.calls());
        assert_eq!(queues.left().len(), 500);
        assert_eq!(queues.in_flight(), 0, "{call}");
        queues.mend();
        assert_eq!(invoke(&queues, &Asked::default()).await.moved, 500);
    }
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_the_same_time_do_each_letter_once() {
    let queues = StandIn::default();
    let buried = bury_many(&queues, 1_000, 300);
    let asked = Asked::default();
    let (one, other) = tokio::join!(invoke(&queues, &asked), invoke(&queues, &asked));
    assert_eq!(one.moved + other.moved, 1_000);
    assert!(one.moved > 0 && other.moved > 0);
    assert_eq!(by_group(&queues.queued()), buried);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the letters, however often and wherever a run dies, and however
    /// long it takes until the next: none is lost, the order within a reader is
    /// kept, and none is doubled that is run again within five minutes.
    #[test]
    fn however_it_dies_all_come_home(
        readers in prop::collection::vec(0_usize..8, 0..120),
        deaths in prop::collection::vec((0_usize..40, 0_usize..11, 0_u64..400), 0..6),
        by_age in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let order = if by_age { Order::ByAge } else { Order::ByGroup };
            let queues = StandIn::new(order);
            let mut buried: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (number, reader) in readers.iter().enumerate() {
                let group = format!("group-{reader}");
                let body = body("nordposten", &format!("u{reader}"), &format!("e{number}"));
                queues.bury(&group, &body, None);
                buried.entry(group).or_default().push(body);
            }
            let began = Instant::now();
            let mut died = 0;
            for (call, entries, wait) in deaths {
                let death = Death { call, entries };
                died += usize::from(invoke_mortal(&queues, death).await.is_none());
                tokio::time::advance(Duration::from_secs(wait)).await;
            }
            tokio::time::advance(INVOCATION).await;
            let in_time = began.elapsed() < DEDUPLICATION;
            let report = invoke(&queues, &Asked::default()).await;
            prop_assert_eq!(report.stopped, "finished");
            prop_assert_eq!(queues.left().len(), 0);
            let queued = queues.queued();
            let copies = queued.len() - readers.len();
            prop_assert!(copies <= died * MOST_AT_ONCE);
            prop_assert!(copies == 0 || !in_time);
            for (group, found) in by_group(&queued) {
                prop_assert_eq!(&once(&found), &buried[&group]);
            }
            Ok(())
        })?;
    }
}
