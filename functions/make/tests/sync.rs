//! Syncs against the strict stand-in of Make.as, through the real consumer.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeSet;

use bench::{Bench, any_state, derived, our_tags, record, split_tags};
use make::{Make, mapping};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use stand_ins::make::{MakeAccount, MakeSettings, Subscriber, TagForm};
use stand_ins::sesamy::{Contract, User};
use stand_ins::{Api, Fault};

const USER: &str = "email|84cc";
const EMAIL: &str = "anna@example.no";
const LIST: u64 = 77;

/// A bench whose vendor has a Make.as account with one list.
async fn start() -> (Bench<Make>, MakeAccount) {
    let bench = Bench::new(Make).await;
    let account = bench.stand_ins.make().add_account("account", "user", "key");
    account.add_list(LIST, "Readers");
    bench.put_connector_secret(&set(&bench, "user", LIST));
    (bench, account)
}

fn set(bench: &Bench<Make>, user: &str, list: u64) -> Value {
    json!({
        "userId": user,
        "apiKey": "key",
        "listId": list.to_string(),
        "apiUrl": bench.stand_ins.urls().make,
    })
}

fn anna() -> User {
    User::new(USER)
        .email(EMAIL)
        .name("Anna", "Ask")
        .company("X AS")
}

fn subscriber_of_the_daily() -> User {
    anna().contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
}

#[tokio::test]
async fn a_new_reader_arrives_with_tags_product_and_subscription() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    let subscriber = account.subscriber(EMAIL).unwrap();
    assert_eq!(subscriber.details["firstname"], "Anna");
    assert_eq!(subscriber.details["lastname"], "Ask");
    assert_eq!(subscriber.details["company"], "X AS");
    assert_eq!(subscriber.external_id.as_deref(), Some(USER));
    assert_eq!(subscriber.tags, ["sesamy_active_subscriber"]);
    assert_eq!(subscriber.lists, [LIST]);
    let product = &account.products()[0];
    assert_eq!(product.external_id, "sid:Daily|po1");
    assert_eq!(product.name, "The Daily - Monthly");
    let subscription = &account.subscriptions_of(EMAIL)[0];
    assert_eq!(subscription.external_id, "c1");
    assert_eq!(subscription.product_external_id, "sid:Daily|po1");
    assert_eq!(subscription.status, "active");
    assert_eq!(subscription.end_date, None);
}

#[tokio::test]
async fn a_typical_sync_makes_four_calls_and_three_where_the_subscriber_is_unchanged() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    assert_eq!(
        bench.calls(Api::Make),
        [
            "POST /subscribers/by_email",
            "POST /subscribers",
            "POST /subscribers/subscriptions/products/bulkinsert",
            "POST /subscribers/subscriptions/bulkinsert",
        ]
    );
    bench.synced(USER, "b").await;
    assert_eq!(
        bench.calls(Api::Make),
        [
            "POST /subscribers/by_email",
            "POST /subscribers/subscriptions/products/bulkinsert",
            "POST /subscribers/subscriptions/bulkinsert",
        ]
    );
    bench.sesamy.put_user(anna());
    bench.synced(USER, "c").await;
    bench.calls(Api::Make);
    bench.synced(USER, "d").await;
    assert_eq!(
        bench.calls(Api::Make),
        ["POST /subscribers/by_email"],
        "no empty lists are sent"
    );
}

#[tokio::test]
async fn overdue_and_ended_contracts_are_cancelled_and_ended_ones_have_an_end() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(
        anna()
            .contract(Contract::overdue("late"))
            .contract(Contract::expired("gone")),
    );
    bench.synced(USER, "a").await;
    let mut found = account.subscriptions_of(EMAIL);
    found.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    let found: Vec<_> = found
        .iter()
        .map(|s| {
            (
                s.external_id.as_str(),
                s.status.as_str(),
                s.end_date.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("gone", "cancelled", Some("2025-06-15")),
            ("late", "cancelled", None)
        ]
    );
}

#[tokio::test]
async fn foreign_tags_stay_in_whatever_form_make_shows_tags() {
    for tag_form in [TagForm::Names, TagForm::Ids, TagForm::Objects] {
        let (bench, account) = start().await;
        account.set_settings(MakeSettings {
            tag_form,
            ..MakeSettings::default()
        });
        account.put_subscriber(Subscriber::new(EMAIL).on_list(LIST).tags(&[
            "vip",
            "SESAMY_legacy",
            "sesamy_old",
        ]));
        bench.sesamy.put_user(subscriber_of_the_daily());
        bench.synced(USER, "a").await;
        let tags = account.subscriber(EMAIL).unwrap().tags;
        assert_eq!(
            tags,
            ["vip", "SESAMY_legacy", "sesamy_active_subscriber"],
            "{tag_form:?}"
        );
    }
}

#[tokio::test]
async fn a_tag_whose_name_cannot_be_found_stops_the_sync_before_it_is_lost() {
    let answers = [
        json!([]),
        json!([{"id": 1}]),
        json!([{"id": {"odd": true}, "title": "vip"}]),
    ];
    for answer in answers {
        let (bench, account) = start().await;
        account.set_settings(MakeSettings {
            tag_form: TagForm::Ids,
            ..MakeSettings::default()
        });
        account.put_subscriber(Subscriber::new(EMAIL).on_list(LIST).tags(&["vip"]));
        bench.sesamy.put_user(subscriber_of_the_daily());
        let odd = Fault::json(200, answer.clone()).on(Api::Make);
        bench.stand_ins.fault(odd.path("/subscriber_tags"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, _) = bench.queue.buried().remove(0);
        assert_eq!(kind, "malformed_answer", "{answer}");
        assert_eq!(account.subscriber(EMAIL).unwrap().tags, ["vip"], "{answer}");
        assert_eq!(bench.stand_ins.harms(), [], "{answer}");
    }
}

#[tokio::test]
async fn a_tag_of_an_unknown_form_stops_the_sync_before_it_is_lost() {
    for tag in [json!({ "label": "vip" }), json!(null), json!(["vip"])] {
        let (bench, account) = start().await;
        bench.sesamy.put_user(subscriber_of_the_daily());
        let answer = json!({ "id": 1, "email": EMAIL, "lists": [LIST], "tags": [tag] });
        let odd = Fault::json(200, answer).on(Api::Make);
        bench.stand_ins.fault(odd.path("/subscribers/by_email"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, _) = bench.queue.buried().remove(0);
        assert_eq!(kind, "malformed_answer", "{tag}");
        assert_eq!(account.subscribers().len(), 0, "nothing was written");
    }
}

#[tokio::test]
async fn names_and_company_that_vanish_are_left_alone() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    bench.sesamy.put_user(User::new(USER).email(EMAIL));
    bench.synced(USER, "b").await;
    let subscriber = account.subscriber(EMAIL).unwrap();
    assert_eq!(subscriber.details["company"], "X AS");
    assert_eq!(subscriber.details["firstname"], "Anna");
}

#[tokio::test]
async fn a_reader_known_from_another_list_joins_this_one() {
    let (bench, account) = start().await;
    account.add_list(78, "Others");
    account.put_subscriber(Subscriber::new(EMAIL).on_list(78).tags(&["vip"]));
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    let mut lists = account.subscriber(EMAIL).unwrap().lists;
    lists.sort_unstable();
    assert_eq!(lists, [LIST, 78]);
}

#[tokio::test]
async fn every_list_is_synced_and_one_that_fails_stops_no_other() {
    let (bench, first) = start().await;
    let second = bench.stand_ins.make().add_account("second", "other", "key");
    second.add_list(5, "Other readers");
    bench.put_connector_secret(&json!([set(&bench, "user", LIST), set(&bench, "other", 5)]));
    bench.sesamy.put_user(subscriber_of_the_daily());
    let failing = Fault::status(500).on(Api::Make).account("account").once();
    bench.stand_ins.fault(failing);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(first.subscribers().len(), 0);
    assert_eq!(second.subscriptions_of(EMAIL).len(), 1);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    assert_eq!(first.subscriptions_of(EMAIL).len(), 1);
}

#[tokio::test]
async fn a_list_that_may_recover_is_tried_again_before_another_ones_refusal_counts() {
    let (bench, first) = start().await;
    let second = bench.stand_ins.make().add_account("second", "other", "key");
    second.add_list(5, "Other readers");
    bench.put_connector_secret(&json!([set(&bench, "user", LIST), set(&bench, "other", 5)]));
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench
        .stand_ins
        .fault(Fault::status(500).on(Api::Make).account("account").once());
    bench
        .stand_ins
        .fault(Fault::status(422).on(Api::Make).account("second"));
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    assert_eq!(first.subscriptions_of(EMAIL).len(), 1);
    assert_eq!(bench.queue.buried().len(), 1);
}

#[tokio::test]
async fn more_than_a_thousand_items_go_in_parts() {
    let (bench, account) = start().await;
    let user = (0..1001).fold(anna(), |user, n| {
        let id = format!("c{n}");
        user.contract(Contract::active(&id).item(&format!("sku{n}"), "Title", "po", "Option"))
    });
    bench.sesamy.put_user(user);
    bench.synced(USER, "a").await;
    assert_eq!(account.products().len(), 1001);
    assert_eq!(account.subscriptions_of(EMAIL).len(), 1001);
    let bulk = bench
        .calls(Api::Make)
        .into_iter()
        .filter(|call| call.ends_with("bulkinsert"));
    assert_eq!(bulk.count(), 4);
}

#[tokio::test]
async fn who_unsubscribed_stays_so() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).on_list(LIST).unsubscribed());
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    assert_eq!(
        account.subscriber(EMAIL).unwrap().email_status,
        "unsubscribed"
    );
}

#[tokio::test]
async fn each_call_that_fails_is_made_good_by_the_next_try() {
    let endpoints = [
        "/subscribers/by_email",
        "/subscribers",
        "/subscribers/subscriptions/products/bulkinsert",
        "/subscribers/subscriptions/bulkinsert",
    ];
    for path in endpoints {
        for fault in [Fault::status(500), Fault::bad_gateway(), Fault::reset()] {
            let (bench, account) = start().await;
            account.put_subscriber(Subscriber::new(EMAIL).tags(&["vip"]));
            bench.sesamy.put_user(subscriber_of_the_daily());
            bench.stand_ins.fault(fault.on(Api::Make).path(path).once());
            assert_eq!(
                bench.handle([record("1", USER, "a")]).await,
                ["1"],
                "{path}"
            );
            assert_eq!(
                bench.handle([record("1", USER, "a")]).await,
                [""; 0],
                "{path}"
            );
            let tags = account.subscriber(EMAIL).unwrap().tags;
            assert_eq!(tags, ["vip", "sesamy_active_subscriber"], "{path}");
            assert_eq!(account.subscriptions_of(EMAIL).len(), 1, "{path}");
        }
    }
}

/// Whatever states a reader goes through, the publisher's own survives and ours
/// equals the derivation: for a thousand sequences of states.
#[test]
fn foreign_data_survives_any_sequence_of_states() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bench, account) = runtime.block_on(start());
    bench.sesamy.set_rate_limit(None);
    let sequences = prop::collection::vec(any_state(USER, EMAIL), 1..5);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(1_000));
    let survives = |states: Vec<User>| {
        runtime.block_on(async {
            account.put_subscriber(
                Subscriber::new(EMAIL)
                    .on_list(LIST)
                    .detail("phone", "12345678")
                    .tags(&["vip", "SESAMY_x", "sesamy_stale"]),
            );
            let mut ours = BTreeSet::new();
            for (n, state) in states.iter().enumerate() {
                bench.sesamy.put_user(state.clone());
                bench.synced(USER, &n.to_string()).await;
                let subscriber = account.subscriber(EMAIL).unwrap();
                let (held, foreign) = split_tags(&subscriber.tags);
                let wanted = derived(state);
                ours = our_tags(&wanted, &ours);
                assert_eq!(held, ours);
                assert_eq!(
                    foreign,
                    BTreeSet::from(["vip".to_owned(), "SESAMY_x".to_owned()])
                );
                assert_eq!(subscriber.details["phone"], "12345678");
                let held = account.subscriptions_of(EMAIL);
                for wanted in mapping::subscriptions(&wanted) {
                    let id = wanted["external_id"].as_str().unwrap();
                    let held = held.iter().find(|s| s.external_id == id).unwrap();
                    assert_eq!(held.status, wanted["status"].as_str().unwrap());
                }
            }
        });
        Ok(())
    };
    runner.run(&sequences, survives).unwrap();
}
