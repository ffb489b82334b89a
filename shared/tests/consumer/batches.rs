//! Batches: one sync per user, each with its own outcome.

use std::time::Duration;

use conformance::{raw, record};
use fakes::sesamy::User;
use serde_json::json;
use shared::http::ApiErrorKind;

use crate::scripted::{Step, USER, error, start, status};

#[tokio::test]
async fn messages_of_one_user_are_one_sync_with_all_events() {
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
async fn users_of_a_batch_succeed_or_fail_independently() {
    let (bench, crm) = start().await;
    for user in ["email|ok", "email|fails", "email|panics", "email|poison"] {
        bench
            .sesamy
            .put_user(User::new(user).email("user@example.se"));
    }
    crm.script("email|fails", [Step::Fail(error(ApiErrorKind::Timeout))]);
    crm.script("email|panics", [Step::Panic]);
    crm.script("email|poison", [Step::Fail(status(422))]);
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
async fn skipped_users_are_done_without_a_call_to_the_crm() {
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
async fn delivered_event_is_done_even_if_the_next_one_fails() {
    let (bench, crm) = start().await;
    crm.script(
        USER,
        [Step::DeliverThenFail(1, error(ApiErrorKind::Connection))],
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
async fn no_sync_starts_without_time_and_all_are_retried_after_half_a_minute() {
    let (bench, crm) = start().await;
    let failures = bench
        .handle_within([record("1", USER, "a")], Duration::from_secs(5))
        .await;
    assert_eq!(failures, ["1"]);
    assert_eq!(crm.syncs(), []);
    let (_, wait) = bench.queue.visibility_changes().remove(0);
    assert!((30..=45).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn user_whose_turn_comes_after_other_vendors_returns_at_once_without_time() {
    let (bench, crm) = start().await;
    let mut others = record("other", USER, "b");
    let body = others.body.take().unwrap();
    others.body = Some(body.replace(r#""vendorId":"vendor""#, r#""vendorId":"other""#));
    let batch = [record("first", USER, "a"), others];
    let failures = bench.handle_within(batch, Duration::from_secs(5)).await;
    assert_eq!(failures.len(), 2);
    assert_eq!(crm.syncs(), []);
    for (receipt, wait) in bench.queue.visibility_changes() {
        let is_at_once = wait.is_zero();
        assert_eq!(is_at_once, receipt == "receipt-other", "{receipt} {wait:?}");
    }
    assert_eq!(bench.queue.visibility_changes().len(), 2);
}

#[tokio::test]
async fn too_slow_sync_is_aborted_before_the_invocation_ends() {
    let (bench, crm) = start().await;
    crm.script(USER, [Step::Hang]);
    let failures = bench
        .handle_within([record("1", USER, "a")], Duration::from_millis(10_300))
        .await;
    assert_eq!(failures, ["1"]);
}

#[tokio::test]
async fn retried_age_is_reported_only_for_retried_messages() {
    let (bench, crm) = start().await;
    crm.script(USER, [Step::Fail(error(ApiErrorKind::Timeout))]);
    let an_hour_ago = jiff::Timestamp::now().as_millisecond() - 3_600_000;
    let mut old = record("1", USER, "a");
    old.attributes
        .insert("SentTimestamp".into(), an_hour_ago.to_string());
    assert_eq!(bench.handle([old.clone()]).await, ["1"]);
    let metrics = bench.metrics();
    let age = r#""RetriedAge": (Seconds, [360"#;
    assert!(metrics.contains(age), "{metrics}");
    assert_eq!(bench.handle([old]).await, [""; 0]);
    let metrics = bench.metrics();
    assert!(!metrics.contains("RetriedAge"), "{metrics}");
}

#[tokio::test]
async fn malformed_contract_is_left_out_unless_all_are_malformed() {
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
async fn empty_batch_is_done() {
    let (bench, _) = start().await;
    assert_eq!(bench.handle([]).await, [""; 0]);
}
