//! The consumer, with Sesamy's stand-in, a scripted connector and a queue in memory.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod alone;
mod checks;
mod hostile;
mod lists;
mod logs;
mod missing_user;
mod pauses;
mod requests;
mod scripted;
mod unconfirmed;

use std::time::Duration;

use bench::{raw, record, secret_name};
use scripted::{Step, USER, error, start};
use serde_json::json;
use shared::http::Fault as CallFault;
use stand_ins::sesamy::User;

#[tokio::test]
async fn messages_of_one_reader_are_one_sync_that_gets_each_event() {
    let (bench, crm) = start().await;
    let failures = bench
        .handle([
            record("1", USER, "a"),
            record("2", USER, "b"),
            record("3", USER, "a"),
        ])
        .await;
    assert_eq!(failures, [""; 0]);
    assert_eq!(crm.syncs(), [(USER.to_owned(), 2)]);
}

#[tokio::test]
async fn readers_of_a_batch_succeed_and_fail_each_for_themselves() {
    let (bench, crm) = start().await;
    for user in ["email|ok", "email|fails", "email|panics", "email|poison"] {
        bench
            .sesamy
            .put_user(User::new(user).email("reader@example.se"));
    }
    crm.script("email|fails", [Step::Fail(error(CallFault::Timeout))]);
    crm.script("email|panics", [Step::Panic]);
    crm.script(
        "email|poison",
        [Step::Fail(error(CallFault::Status {
            status: 422,
            code: None,
            wait: None,
        }))],
    );
    let failures = bench
        .handle([
            record("1", "email|fails", "a"),
            record("2", "email|panics", "b"),
            record("3", "email|ok", "c"),
            record("4", "email|poison", "d"),
            raw("5", "not a message"),
        ])
        .await;
    assert_eq!(failures, ["1"]);
    let mut dead_letters = bench.queue.dead_letters();
    dead_letters.sort();
    assert_eq!(
        dead_letters,
        [
            ("2".to_owned(), "bug".to_owned(), None),
            (
                "4".to_owned(),
                "rejected_by_api".to_owned(),
                Some("422".to_owned())
            ),
            ("5".to_owned(), "unreadable_message".to_owned(), None),
        ]
    );
}

#[tokio::test]
async fn what_needs_no_sync_is_done_without_a_call_to_the_crm() {
    let (bench, crm) = start().await;
    bench
        .sesamy
        .put_user(User::new("email|guest").email("g@example.se").guest());
    bench.sesamy.put_user(User::new("email|mute"));
    let failures = bench
        .handle([
            record("1", "email|guest", "a"),
            record("2", "email|mute", "b"),
            record("3", "email|unknown", "c"),
        ])
        .await;
    assert_eq!(failures, [""; 0]);
    assert_eq!(crm.syncs(), []);
    assert_eq!(bench.queue.dead_letters(), []);
}

#[tokio::test]
async fn a_vendor_without_the_connectors_secret_has_it_switched_off() {
    let (bench, crm) = start().await;
    bench.secrets.remove(&secret_name("crm"));
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    assert_eq!(crm.syncs(), []);
    assert_eq!(bench.stand_ins.request_count(), 0);
}

#[tokio::test]
async fn configuration_faults_are_retried_after_a_minute_and_are_no_dead_letters() {
    for (secret, content) in [
        ("crm", Some("{}")),
        ("crm", Some("not JSON")),
        ("sesamy", Some("{}")),
        ("sesamy", None),
    ] {
        let (bench, _) = start().await;
        match content {
            Some(content) => bench.secrets.put(&secret_name(secret), content),
            None => bench.secrets.remove(&secret_name(secret)),
        }
        assert_eq!(
            bench.handle([record("1", USER, "a")]).await,
            ["1"],
            "{secret}"
        );
        let (_, wait) = bench.queue.hidden().remove(0);
        assert_eq!(wait, Duration::from_secs(60), "{secret}");
        assert_eq!(bench.queue.dead_letters(), [], "{secret}");
    }
}

#[tokio::test]
async fn an_unreachable_secret_store_is_tried_again_soon() {
    let (bench, _) = start().await;
    bench.secrets.fail(&secret_name("crm"));
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    let (_, wait) = bench.queue.hidden().remove(0);
    assert!(wait <= Duration::from_secs(60), "{wait:?}");
}

#[tokio::test]
async fn a_refusal_by_the_crm_reads_the_secret_again_and_uses_the_new_one() {
    let (bench, crm) = start().await;
    let refused = error(CallFault::Status {
        status: 401,
        code: None,
        wait: None,
    });
    crm.script(USER, [Step::Do, Step::FailAndRotate(refused), Step::Do]);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    assert_eq!(bench.handle([record("2", USER, "b")]).await, [""; 0]);
    assert_eq!(crm.credentials_used(), ["first", "first", "rotated"]);
}

#[tokio::test]
async fn a_refusal_that_stays_is_retried_after_a_minute() {
    let (bench, crm) = start().await;
    let refused = error(CallFault::Status {
        status: 403,
        code: None,
        wait: None,
    });
    crm.script(USER, [Step::Fail(refused)]);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(
        crm.credentials_used(),
        ["first"],
        "the same secret is not tried twice"
    );
    let (_, wait) = bench.queue.hidden().remove(0);
    assert_eq!(wait, Duration::from_secs(60));
}

#[tokio::test]
async fn a_token_that_sesamy_forgot_is_replaced_without_a_failed_event() {
    let (bench, _) = start().await;
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    bench.sesamy.revoke_tokens();
    assert_eq!(bench.handle([record("2", USER, "b")]).await, [""; 0]);
    assert_eq!(bench.sesamy.token_grants().len(), 2);
}

#[tokio::test]
async fn rotated_sesamy_credentials_are_read_again_without_a_failed_event() {
    let (bench, crm) = start().await;
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    bench.sesamy.set_client_secret("rotated");
    bench.sesamy.revoke_tokens();
    bench.put_sesamy_secret("rotated");
    assert_eq!(bench.handle([record("2", USER, "b")]).await, [""; 0]);
    assert_eq!(crm.syncs().len(), 2);
}

#[tokio::test]
async fn what_is_delivered_is_done_even_where_the_next_event_fails() {
    let (bench, crm) = start().await;
    crm.script(
        USER,
        [Step::DeliverThenFail(1, error(CallFault::Connection))],
    );
    let failures = bench
        .handle([
            record("1", USER, "a"),
            record("2", USER, "b"),
            record("3", USER, "c"),
        ])
        .await;
    assert_eq!(failures, ["2", "3"]);
}

#[tokio::test]
async fn without_time_nothing_is_begun_and_all_is_handed_back_for_half_a_minute() {
    let (bench, crm) = start().await;
    let failures = bench
        .handle_within([record("1", USER, "a")], Duration::from_secs(5))
        .await;
    assert_eq!(failures, ["1"]);
    assert_eq!(crm.syncs(), []);
    let (_, wait) = bench.queue.hidden().remove(0);
    assert!((30..=45).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn a_sync_that_takes_too_long_is_given_up_before_the_function_dies() {
    let (bench, crm) = start().await;
    crm.script(USER, [Step::Hang]);
    let failures = bench
        .handle_within([record("1", USER, "a")], Duration::from_millis(10_300))
        .await;
    assert_eq!(failures, ["1"]);
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_moved_stays_in_the_queue_alone() {
    let (bench, _) = start().await;
    bench.queue.refuse_letter("2");
    let batch = ["1", "2", "3"].map(|id| raw(id, "poison"));
    assert_eq!(bench.handle(batch).await, ["2"]);
    let (receipt, wait) = bench.queue.hidden().remove(0);
    assert_eq!(receipt, "receipt-2");
    assert!(wait >= Duration::from_secs(30), "{wait:?}");
    let dead_letters = bench.queue.dead_letters().into_iter().map(|(id, ..)| id);
    assert_eq!(dead_letters.collect::<Vec<_>>(), ["1", "3"]);
}

/// One after the other, ten of them could take longer than an invocation has
/// left; those that were moved would then come again and be moved again.
#[tokio::test]
async fn all_dead_letters_of_a_batch_are_moved_at_once() {
    let (bench, _) = start().await;
    let batch: Vec<_> = (0..10).map(|n| raw(&n.to_string(), "poison")).collect();
    assert_eq!(bench.handle(batch).await, [""; 0]);
    assert_eq!(bench.queue.dead_letters().len(), 10);
    assert_eq!(bench.queue.dead_letter_calls(), 1);
}

#[tokio::test]
async fn how_old_a_message_is_is_told_when_it_is_put_back_and_only_then() {
    let (bench, crm) = start().await;
    crm.script(USER, [Step::Fail(error(CallFault::Timeout))]);
    let an_hour_ago = jiff::Timestamp::now().as_millisecond() - 3_600_000;
    let mut old = record("1", USER, "a");
    old.attributes
        .insert("SentTimestamp".into(), an_hour_ago.to_string());
    assert_eq!(bench.handle([old.clone()]).await, ["1"]);
    let told = bench.metrics();
    assert!(told.contains(r#""RetriedAge": (Seconds, [360"#), "{told}");
    assert_eq!(bench.handle([old]).await, [""; 0]);
    let told = bench.metrics();
    assert!(!told.contains("RetriedAge"), "{told}");
}

#[tokio::test]
async fn a_letter_that_comes_back_is_not_taken_for_its_first_time() {
    let (bench, _) = start().await;
    let mut again = raw("1", "poison");
    again.receipt_handle = Some("another receipt".into());
    bench.handle([raw("1", "poison")]).await;
    bench.handle([again]).await;
    let ids = bench.queue.deduplication_ids();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn one_odd_contract_is_left_out_but_nothing_but_odd_ones_stop_the_sync() {
    let (bench, crm) = start().await;
    let good = json!({ "id": "c1", "status": "ACTIVE" });
    let profile = json!({ "userId": USER, "email": "anna@example.se" });
    for (contracts, syncs, dead_letters) in [
        (json!([good, 1, { "id": 2 }]), 1, 0),
        (json!([]), 2, 0),
        (json!([1, { "id": { "odd": true } }]), 2, 1),
    ] {
        let user = json!({ "id": USER, "profile": profile, "contracts": contracts });
        bench.sesamy.put_user_json(user).unwrap();
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        assert_eq!(crm.syncs().len(), syncs, "{contracts}");
        assert_eq!(
            bench.queue.dead_letters().len(),
            dead_letters,
            "{contracts}"
        );
    }
}

#[tokio::test]
async fn an_empty_batch_is_done() {
    let (bench, _) = start().await;
    assert_eq!(bench.handle([]).await, [""; 0]);
}
