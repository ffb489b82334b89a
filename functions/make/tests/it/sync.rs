//! Syncs against the strict stand-in of Make.as, through the real consumer.

use std::collections::BTreeSet;

use bench::{Bench, any_state, any_tags, derived, our_tags, record, seeded, split_tags};
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
        let (_, kind, _) = bench.queue.dead_letters().remove(0);
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
        let (_, kind, _) = bench.queue.dead_letters().remove(0);
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
    assert_eq!(bench.queue.dead_letters().len(), 1);
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

/// A subscriber that Make.as knows already, and how a sync writes to it.
struct Known {
    on_list: bool,
    email_status: &'static str,
    write: Write,
}

#[derive(Clone, Copy, PartialEq)]
enum Write {
    /// By id, without a list.
    Patch,
    /// With the list, which it joins.
    Post,
}

const KNOWN: [Known; 9] = [
    known(true, "active", Write::Patch),
    known(true, "unsubscribed", Write::Patch),
    known(true, "bounce", Write::Patch),
    known(false, "active", Write::Post),
    known(false, "Active", Write::Post),
    known(false, "unsubscribed", Write::Patch),
    known(false, "bounce", Write::Patch),
    known(false, "Unsubscribed", Write::Patch),
    // An unknown status does not say that they want mail.
    known(false, "complained", Write::Patch),
];

const fn known(on_list: bool, email_status: &'static str, write: Write) -> Known {
    Known {
        on_list,
        email_status,
        write,
    }
}

#[tokio::test]
async fn a_known_subscriber_is_patched_and_joins_only_where_the_status_allows() {
    for case in KNOWN {
        let name = format!("{} {}", case.on_list, case.email_status);
        let (bench, account) = start().await;
        account.add_list(78, "Others");
        let mut own = Subscriber::new(EMAIL)
            .on_list(78)
            .email_status(case.email_status)
            .tags(&["vip", "sesamy_stale"]);
        if case.on_list {
            own = own.on_list(LIST);
        }
        account.put_subscriber(own);
        let before = account.subscriber(EMAIL).unwrap();
        bench.sesamy.put_user(subscriber_of_the_daily());
        bench.synced(USER, "a").await;

        let request = bench.stand_ins.requests_to(Api::Make).remove(1);
        let (expected, lists) = match case.write {
            Write::Patch => (
                (
                    "PATCH",
                    format!("/subscribers/{}", before.id),
                    "tag=replace",
                ),
                before.lists,
            ),
            Write::Post => (
                (
                    "POST",
                    "/subscribers".to_owned(),
                    "subscriber_list_id%5B%5D=77&tag=replace",
                ),
                vec![78, LIST],
            ),
        };
        let (method, path, query) = expected;
        assert_eq!(request.method, method, "{name}");
        assert_eq!(request.path, path, "{name}");
        assert_eq!(request.query, query, "{name}");
        let after = account.subscriber(EMAIL).unwrap();
        assert_eq!(after.lists, lists, "{name}");
        assert_eq!(after.email_status, case.email_status, "{name}");
        assert_eq!(after.tags, ["vip", "sesamy_active_subscriber"], "{name}");
        assert_eq!(after.details["company"], "X AS", "{name}");
        assert_eq!(account.subscriptions_of(EMAIL).len(), 1, "{name}");

        bench.calls(Api::Make);
        bench.synced(USER, "b").await;
        assert_eq!(bench.calls(Api::Make).len(), 3, "{name}: nothing differs");
    }
}

#[tokio::test]
async fn a_tag_in_other_letters_is_replaced_without_a_change_of_consent() {
    for case in KNOWN {
        for fold_tag_case in [false, true] {
            let name = format!("{} {} {fold_tag_case}", case.on_list, case.email_status);
            let (bench, account) = start().await;
            account.set_settings(MakeSettings {
                fold_tag_case,
                ..MakeSettings::default()
            });
            let mut own = Subscriber::new(EMAIL)
                .email_status(case.email_status)
                .tags(&["sesamy_Active_Subscriber", "vip"]);
            if case.on_list {
                own = own.on_list(LIST);
            }
            account.put_subscriber(own);
            bench.sesamy.put_user(subscriber_of_the_daily());
            bench.synced(USER, "a").await;
            let after = account.subscriber(EMAIL).unwrap();
            // Where case does not count, the account keeps its own spelling.
            let tags: Vec<_> = after.tags.iter().map(|tag| tag.to_lowercase()).collect();
            assert_eq!(tags, ["vip", "sesamy_active_subscriber"], "{name}");
            assert!(fold_tag_case || after.tags == tags, "{name}");
            assert_eq!(after.email_status, case.email_status, "{name}");
            let on_list = case.on_list || case.write == Write::Post;
            assert_eq!(after.lists.contains(&LIST), on_list, "{name}");
        }
    }
}

#[tokio::test]
async fn a_subscriber_without_an_id_stops_the_sync_before_anything_is_written() {
    for id in [json!(null), json!(""), json!({"odd": true})] {
        let (bench, account) = start().await;
        bench.sesamy.put_user(subscriber_of_the_daily());
        let answer = json!({ "id": id, "email": EMAIL, "lists": [LIST], "tags": [] });
        let odd = Fault::json(200, answer).on(Api::Make);
        bench.stand_ins.fault(odd.path("/subscribers/by_email"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, _) = bench.queue.dead_letters().remove(0);
        assert_eq!(kind, "malformed_answer", "{id}");
        assert_eq!(bench.calls(Api::Make).len(), 1, "{id}");
        assert_eq!(account.subscribers(), [], "{id}");
    }
}

#[tokio::test]
async fn a_contract_that_is_active_again_has_no_end_any_more() {
    let (bench, account) = start().await;
    let item = |contract: Contract| contract.item("sid:Daily", "The Daily", "po1", "Monthly");
    let states = [
        (item(Contract::active("c1")), None),
        (item(Contract::expired("c1")), Some("2025-06-15")),
        (item(Contract::active("c1")), None),
    ];
    for (n, (contract, end)) in states.into_iter().enumerate() {
        bench.sesamy.put_user(anna().contract(contract));
        bench.synced(USER, &n.to_string()).await;
        let held = account.subscriptions_of(EMAIL).remove(0);
        assert_eq!(held.end_date.as_deref(), end, "{n}");
    }
}

/// A set that cannot be read, and what is told of it.
struct BadSet {
    set: Value,
    say: &'static str,
}

fn bad_sets() -> [BadSet; 4] {
    let url = "https://example.com";
    [
        BadSet {
            set: json!({}),
            say: "key \"userId\" is missing",
        },
        BadSet {
            set: json!("s3cret"),
            say: "it is not a JSON object",
        },
        BadSet {
            set: json!({ "userId": "u", "apiKey": 5, "listId": 1, "apiUrl": url }),
            say: "key \"apiKey\" must be a text that is not empty",
        },
        BadSet {
            set: json!({ "userId": "u", "apiKey": "s3cret", "listId": "", "apiUrl": url }),
            say: "key \"listId\" must be a text that is not empty",
        },
    ]
}

#[tokio::test]
async fn a_malformed_set_is_refused_alone_and_the_others_are_synced() {
    for bad in bad_sets() {
        let (bench, account) = start().await;
        bench.put_connector_secret(&json!([bad.set, set(&bench, "user", LIST)]));
        bench.sesamy.put_user(subscriber_of_the_daily());
        assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
        assert_eq!(bench.queue.dead_letters(), [], "it is retried");
        assert_eq!(account.subscriber(EMAIL).unwrap().lists, [LIST]);
        assert_eq!(account.subscriptions_of(EMAIL).len(), 1);

        let preview = bench.preview(USER).await;
        assert_eq!(preview.outcome, "error");
        let shown = serde_json::to_value(&preview).unwrap();
        assert_eq!(shown["error"]["code"], "refused");
        let message = shown["error"]["message"].as_str().unwrap();
        let expected = format!("set 1 of it: {}", bad.say);
        assert!(message.contains(&expected), "{message}");
        assert!(!message.contains("s3cret"), "{message}");

        // A repaired secret counts at once, though the old one was kept.
        bench.put_connector_secret(&set(&bench, "user", LIST));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_set_that_may_recover_is_tried_again_before_a_malformed_one_counts() {
    let (bench, account) = start().await;
    bench.put_connector_secret(&json!([{}, set(&bench, "user", LIST)]));
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench
        .stand_ins
        .fault(Fault::status(500).on(Api::Make).once());
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
    assert_eq!(preview["error"]["code"], "refused");
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(account.subscriptions_of(EMAIL).len(), 1);
}

#[tokio::test]
async fn where_every_set_is_malformed_nothing_is_called() {
    let (bench, _) = start().await;
    bench.put_connector_secret(&json!([{}, {}]));
    bench.sesamy.put_user(subscriber_of_the_daily());
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(bench.calls(Api::Sesamy), [""; 0]);
}

#[tokio::test]
async fn each_call_that_fails_is_made_good_by_the_next_try() {
    let endpoints = [
        ("/subscribers/by_email", false),
        ("/subscribers", false),
        ("/subscribers/*", true),
        ("/subscribers/subscriptions/products/bulkinsert", false),
        ("/subscribers/subscriptions/bulkinsert", false),
    ];
    for (path, on_list) in endpoints {
        for fault in [Fault::status(500), Fault::bad_gateway(), Fault::reset()] {
            let (bench, account) = start().await;
            let own = Subscriber::new(EMAIL).tags(&["vip"]);
            account.put_subscriber(if on_list { own.on_list(LIST) } else { own });
            bench.sesamy.put_user(subscriber_of_the_daily());
            let fault = fault.on(Api::Make).path(path).once();
            let method = if on_list { "PATCH" } else { "POST" };
            bench.stand_ins.fault(fault.method(method));
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

/// What a subscriber was before its first sync, and what Make.as makes of it.
#[derive(Clone, Debug)]
struct Prior {
    tags: Vec<&'static str>,
    lists: Vec<u64>,
    email_status: &'static str,
    lists_keep_status: bool,
}

fn any_prior() -> impl Strategy<Value = Prior> {
    let lists = prop::sample::subsequence(vec![LIST, 78], 0..=2);
    let statuses = ["active", "unsubscribed", "bounce", "unconfirmed"];
    let status = prop::sample::select(statuses.to_vec());
    let parts = (any_tags(), lists, status, any::<bool>());
    parts.prop_map(|(tags, lists, email_status, lists_keep_status)| Prior {
        tags,
        lists,
        email_status,
        lists_keep_status,
    })
}

/// Whatever a subscriber was before, no sync changes what it consented to: its
/// status stays, and it joins the list only where the status is active.
#[test]
fn no_sync_changes_consent() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bench, account) = runtime.block_on(start());
    bench.sesamy.set_rate_limit(None);
    account.add_list(78, "Others");
    let states = prop::collection::vec(any_state(USER, EMAIL), 1..4);
    let holds = |(prior, states): (Prior, Vec<User>)| {
        runtime.block_on(async {
            bench.stand_ins.clear_violations();
            account.set_settings(MakeSettings {
                lists_keep_status: prior.lists_keep_status,
                ..MakeSettings::default()
            });
            let mut own = Subscriber::new(EMAIL)
                .tags(&prior.tags)
                .email_status(prior.email_status);
            own.lists.clone_from(&prior.lists);
            account.put_subscriber(own);
            let before = account.subscriber(EMAIL).unwrap();
            let mut lists = prior.lists;
            if prior.email_status == "active" && !lists.contains(&LIST) {
                lists.push(LIST);
            }
            for (n, state) in states.into_iter().enumerate() {
                bench.sesamy.put_user(state);
                bench.synced(USER, &n.to_string()).await;
                let after = account.subscriber(EMAIL).unwrap();
                assert_eq!(after.email_status, before.email_status);
                assert_eq!(after.phone_status, before.phone_status);
                assert_eq!(after.lists, lists);
                assert_eq!(split_tags(&after.tags).1, split_tags(&before.tags).1);
            }
        });
        Ok(())
    };
    seeded(300).run(&(any_prior(), states), holds).unwrap();
}
