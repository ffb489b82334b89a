//! Syncs against the strict stand-in of Rule, through the real consumer.

use std::collections::BTreeSet;

use bench::{Bench, any_state, derived, our_tags, record, resync, split_tags};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rule::{Rule, mapping};
use serde_json::{Value, json};
use stand_ins::rule::{RuleAccount, RuleSettings, Subscriber};
use stand_ins::sesamy::{Address, Bill, Contract, Entitlement, User};
use stand_ins::{Api, Fault, RetryAfter};

const USER: &str = "email|84cc";
const EMAIL: &str = "anna@example.se";

/// A bench whose vendor has a Rule account.
async fn start() -> (Bench<Rule>, RuleAccount) {
    let bench = Bench::new(Rule::default()).await;
    let account = bench.stand_ins.rule().add_account("account", "key");
    put_secret(&bench, json!({}));
    (bench, account)
}

fn put_secret(bench: &Bench<Rule>, extra: Value) {
    let mut secret = json!({ "apiKey": "key", "apiUrl": bench.stand_ins.urls().rule });
    for (key, value) in extra.as_object().unwrap() {
        secret[key] = value.clone();
    }
    bench.put_connector_secret(&secret);
}

fn anna() -> User {
    User::new(USER).email(EMAIL).name("Anna", "Ask")
}

fn subscriber_of_the_daily() -> User {
    anna()
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
        .entitlement(Entitlement::new("e1", "sid:Daily", "The Daily").from_contract("c1"))
}

fn ours(account: &RuleAccount) -> Vec<String> {
    let mut tags = account.subscriber(EMAIL).unwrap().tags;
    tags.sort();
    tags
}

#[tokio::test]
async fn a_new_subscriber_arrives_with_tags_and_fields() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(
        subscriber_of_the_daily()
            .phone_number("+46701234567")
            .billing_address(Address::new("Storgatan 1", "111 22", "Stockholm", "SE"))
            .bill(
                Bill::paid("b1", "c1")
                    .price(99.5, "SEK")
                    .paid_at("2026-02-01T08:00:00Z"),
            ),
    );
    bench.synced(USER, "a").await;
    let subscriber = account.subscriber(EMAIL).unwrap();
    assert_eq!(
        ours(&account),
        [
            "sesamy",
            "sesamy_active_entitlement_the-daily",
            "sesamy_active_sku_sid-daily",
            "sesamy_active_subscriber",
            "sesamy_event_contract-update",
        ]
    );
    let expected = [
        ("Subscriber.FirstName", json!("Anna")),
        ("Subscriber.LastName", json!("Ask")),
        ("Subscriber.Phone", json!("+46701234567")),
        ("Sesamy_User.ID", json!(USER)),
        ("Sesamy_BillingAddress.Street", json!("Storgatan 1")),
        ("Sesamy_ActiveProducts.Titles", json!(["The Daily"])),
        ("Sesamy_Subscription.Status", json!("ACTIVE")),
        ("Sesamy_Event.Type", json!("contract.1#update")),
        ("Sesamy_Event.OccurredAt", json!("2026-01-01T00:00:00Z")),
        ("Sesamy_LastPayment.Amount", json!("99.5")),
        ("Sesamy_LastPayment.Currency", json!("SEK")),
        ("Sesamy_LastPayment.Date", json!("2026-02-01")),
    ];
    for (key, value) in expected {
        assert_eq!(subscriber.fields.get(key), Some(&value), "{key}");
    }
    assert_eq!(subscriber.phone_number.as_deref(), Some("+46701234567"));
}

#[tokio::test]
async fn a_typical_sync_makes_two_calls_and_one_or_two_per_event() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    assert_eq!(
        bench.calls(Api::Rule),
        [
            "POST /v2/customizations",
            "POST /v2/subscribers",
            "GET /v2/subscribers/anna%40example.se/tags",
            "POST /v2/subscribers",
        ]
    );
    bench.stand_ins.clear_requests();
    bench.synced(USER, "b").await;
    let reads = bench.stand_ins.requests_to(Api::Sesamy).len();
    assert_eq!(reads, 4, "profile, contracts, entitlements, bills");
    assert_eq!(
        bench.calls(Api::Rule),
        [
            "POST /v2/subscribers",
            "GET /v2/subscribers/anna%40example.se/tags",
            "DELETE /v2/subscribers/anna%40example.se/tags/sesamy_event_contract-update",
            "POST /v2/subscribers",
        ],
        "fields are defined once per account and function instance"
    );
}

#[tokio::test]
async fn stale_tags_go_and_foreign_ones_stay() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).tags(&[
        "vip",
        "SESAMY_legacy",
        "sesamy",
        "sesamy_active_subscriber",
        "sesamy_active_sku_old",
        "sesamy_made_single_purchase",
        "sesamy_event_checkout-confirm",
    ]));
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    assert_eq!(
        ours(&account),
        [
            "SESAMY_legacy",
            "sesamy",
            "sesamy_event_checkout-confirm",
            "sesamy_event_contract-update",
            "sesamy_made_single_purchase",
            "vip",
        ]
    );
}

#[tokio::test]
async fn a_tag_in_other_letters_is_replaced_and_never_lost() {
    // Where an account takes both spellings for one tag, it keeps the first one
    // it saw; what counts is that the reader has it.
    for (fold_tag_case, spelling) in [
        (false, "sesamy_active_subscriber"),
        (true, "sesamy_Active_Subscriber"),
    ] {
        let (bench, account) = start().await;
        account.set_settings(RuleSettings {
            fold_tag_case,
            ..RuleSettings::default()
        });
        account.put_subscriber(Subscriber::new(EMAIL).tags(&["sesamy_Active_Subscriber"]));
        bench
            .sesamy
            .put_user(anna().contract(Contract::active("c1")));
        bench.synced(USER, "a").await;
        assert_eq!(
            ours(&account),
            ["sesamy", spelling, "sesamy_event_contract-update"],
            "folding: {fold_tag_case}"
        );
    }
}

/// A sync of old users must not send them welcome mails.
#[tokio::test]
async fn a_resync_starts_no_flow() {
    let (bench, account) = start().await;
    let user = |n: usize| format!("email|{n}");
    for n in 0..5 {
        // Of one of them more tags than one call takes, of another a misspelt one.
        let many = (0..if n == 0 { 60 } else { 1 }).fold(
            User::new(&user(n)).email(&format!("old-{n}@example.se")),
            |user, n| {
                let (id, sku, title) = (format!("e{n}"), format!("sku-{n}"), format!("Title {n}"));
                user.entitlement(Entitlement::new(&id, &sku, &title))
            },
        );
        bench.sesamy.put_user(many.contract(Contract::active("c1")));
    }
    let misspelt = Subscriber::new("old-1@example.se").tags(&["sesamy_Active_Subscriber"]);
    account.put_subscriber(misspelt);
    let records = (0..5).map(|n| resync(&n.to_string(), &user(n)));
    assert_eq!(bench.handle(records).await, [""; 0]);
    assert_eq!(account.flows(), []);
    assert_eq!(account.subscribers().len(), 5);
    let first = account.subscriber("old-0@example.se").unwrap();
    assert_eq!(first.tags.len(), 2 + 2 * 60);
    for request in bench.stand_ins.requests_to(Api::Rule) {
        if request.path == "/v2/subscribers" {
            assert_eq!(request.body.unwrap()["sync_subscribers"], false);
        }
    }
}

#[tokio::test]
async fn a_tag_that_an_event_brings_starts_its_flow_once() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    bench.synced(USER, "b").await;
    assert_eq!(account.started(EMAIL, "sesamy_active_subscriber"), 1);
}

/// Only where Rule takes both for one tag is the other spelling ours.
#[tokio::test]
async fn a_prefix_in_other_letters_is_set_right_only_where_it_hides_a_wanted_tag() {
    for fold_tag_case in [false, true] {
        let (bench, account) = start().await;
        account.set_settings(RuleSettings {
            fold_tag_case,
            ..RuleSettings::default()
        });
        let others = ["Sesamy_active_subscriber", "SESAMY_x"];
        account.put_subscriber(Subscriber::new(EMAIL).tags(&others));
        bench
            .sesamy
            .put_user(anna().contract(Contract::active("c1")));
        assert_eq!(bench.handle([resync("1", USER)]).await, [""; 0]);
        let calls = bench.calls(Api::Rule);
        let expected: &[&str] = if fold_tag_case {
            &[
                "DELETE /v2/subscribers/anna%40example.se/tags/Sesamy_active_subscriber",
                "POST /v2/subscribers",
            ]
        } else {
            &[]
        };
        assert_eq!(calls[3..], *expected, "folding: {fold_tag_case}");
        let tags = ours(&account);
        assert!(tags.iter().any(|tag| tag == others[1]), "{tags:?}");
        let has = |tag: &String| tag.eq_ignore_ascii_case(others[0]);
        assert!(tags.iter().any(has), "{tags:?}");
        assert_eq!(account.flows(), []);
        assert_eq!(bench.stand_ins.violations(), []);
    }
}

/// Where letter case makes no difference, the same tag is spelt wrong at every sync.
#[tokio::test]
async fn a_tag_in_other_letters_starts_no_flow_when_it_is_made_sure_of() {
    let (bench, account) = start().await;
    account.set_settings(RuleSettings {
        fold_tag_case: true,
        ..RuleSettings::default()
    });
    account.put_subscriber(Subscriber::new(EMAIL).tags(&["sesamy_Active_Subscriber"]));
    bench
        .sesamy
        .put_user(anna().contract(Contract::active("c1")));
    bench.synced(USER, "a").await;
    bench.synced(USER, "b").await;
    assert_eq!(account.started(EMAIL, "sesamy_Active_Subscriber"), 0);
}

#[tokio::test]
async fn with_events_off_no_event_is_sent_and_no_bill_is_read() {
    let (bench, account) = start().await;
    put_secret(&bench, json!({ "events": false }));
    bench.sesamy.put_user(anna().bill(Bill::paid("b1", "c1")));
    bench.synced(USER, "a").await;
    assert_eq!(ours(&account), ["sesamy"]);
    let fields = account.subscriber(EMAIL).unwrap().fields;
    assert!(
        !fields
            .keys()
            .any(|k| k.starts_with("Sesamy_Event") || k.starts_with("Sesamy_LastPayment"))
    );
    let paths: Vec<_> = bench
        .stand_ins
        .requests_to(Api::Sesamy)
        .into_iter()
        .map(|r| r.path)
        .collect();
    assert_eq!(paths.len(), 3);
    assert!(!paths.contains(&"/bills".to_owned()), "{paths:?}");
}

#[tokio::test]
async fn a_value_that_no_longer_applies_is_cleared() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    assert!(
        account
            .subscriber(EMAIL)
            .unwrap()
            .fields
            .contains_key("Sesamy_Subscription.Status")
    );
    bench.sesamy.put_user(User::new(USER).email(EMAIL));
    bench.synced(USER, "b").await;
    let fields = account.subscriber(EMAIL).unwrap().fields;
    for gone in [
        "Sesamy_Subscription.Status",
        "Sesamy_ActiveProducts.SKU",
        "Sesamy_User.FirstName",
    ] {
        assert!(!fields.contains_key(gone), "{gone}");
    }
    assert_eq!(
        fields.get("Subscriber.FirstName"),
        Some(&json!("Anna")),
        "Rule's own name stays"
    );
}

#[tokio::test]
async fn a_phone_that_a_family_shares_puts_no_tag_on_another_reader() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new("father@example.se").phone("+46701234567"));
    bench
        .sesamy
        .put_user(subscriber_of_the_daily().phone_number("+46701234567"));
    bench.synced(USER, "a").await;
    assert_eq!(
        account.subscriber("father@example.se").unwrap().tags,
        [""; 0]
    );
    let fields = account.subscriber(EMAIL).unwrap().fields;
    assert_eq!(fields.get("Subscriber.Phone"), Some(&json!("+46701234567")));
}

#[tokio::test]
async fn a_phone_that_rule_refuses_is_not_sent_again() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(anna().phone_number("call me"));
    bench.synced(USER, "a").await;
    bench.stand_ins.clear_requests();
    bench.synced(USER, "b").await;
    assert!(
        !bench
            .calls(Api::Rule)
            .iter()
            .any(|call| call.starts_with("PUT"))
    );
    assert_eq!(account.subscriber(EMAIL).unwrap().phone_number, None);
}

#[tokio::test]
async fn a_phone_in_another_spelling_is_left_alone() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).phone("+46701234567"));
    bench.sesamy.put_user(anna().phone_number("070-123 45 67"));
    bench.synced(USER, "a").await;
    assert!(
        !bench
            .calls(Api::Rule)
            .iter()
            .any(|call| call.starts_with("PUT"))
    );
}

#[tokio::test]
async fn somebody_who_unsubscribed_stays_so() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).unsubscribed());
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    let subscriber = account.subscriber(EMAIL).unwrap();
    assert!(!subscriber.opted_in);
    assert_eq!(subscriber.suppressed, ["email"]);
}

#[tokio::test]
async fn an_address_in_capitals_is_the_same_subscriber() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).tags(&["vip"]));
    bench
        .sesamy
        .put_user(User::new(USER).email(" Anna@Example.SE "));
    bench.synced(USER, "a").await;
    assert_eq!(account.subscribers().len(), 1);
}

#[tokio::test]
async fn hundreds_of_tags_are_sent_in_parts() {
    let (bench, account) = start().await;
    let user = (0..150).fold(anna(), |user, n| {
        let (id, sku, title) = (format!("e{n}"), format!("sku-{n}"), format!("Title {n}"));
        user.entitlement(Entitlement::new(&id, &sku, &title))
    });
    bench.sesamy.put_user(user);
    bench.synced(USER, "a").await;
    assert_eq!(ours(&account).len(), 1 + 2 * 150 + 1);
}

#[tokio::test]
async fn each_call_that_fails_is_made_good_by_the_next_try() {
    let endpoints = [
        ("POST", "/v2/customizations"),
        ("POST", "/v2/subscribers"),
        ("GET", "/v2/subscribers/*/tags"),
        ("DELETE", "/v2/subscribers/*/tags/*"),
        ("PUT", "/v2/subscribers/*"),
    ];
    let faults: [fn() -> Fault; 4] = [
        || Fault::status(500),
        Fault::bad_gateway,
        Fault::reset,
        || Fault::too_many_requests(RetryAfter::Seconds(0)),
    ];
    for (method, path) in endpoints {
        for fault in faults {
            let (bench, account) = start().await;
            account.put_subscriber(Subscriber::new(EMAIL).tags(&["vip", "sesamy_old"]));
            bench
                .sesamy
                .put_user(subscriber_of_the_daily().phone_number("+46701234567"));
            bench
                .stand_ins
                .fault(fault().on(Api::Rule).method(method).path(path).once());
            let place = format!("{method} {path}");
            assert_eq!(
                bench.handle([record("1", USER, "a")]).await,
                ["1"],
                "{place}"
            );
            assert_eq!(
                bench.handle([record("1", USER, "a")]).await,
                [""; 0],
                "{place}"
            );
            assert_eq!(
                ours(&account),
                [
                    "sesamy",
                    "sesamy_active_entitlement_the-daily",
                    "sesamy_active_sku_sid-daily",
                    "sesamy_active_subscriber",
                    "sesamy_event_contract-update",
                    "vip",
                ],
                "{place}"
            );
            assert_eq!(
                account.subscriber(EMAIL).unwrap().phone_number.as_deref(),
                Some("+46701234567")
            );
            assert_eq!(bench.queue.dead_letters(), [], "{place}");
        }
    }
}

#[tokio::test]
async fn a_block_until_a_stockholm_time_is_waited_for() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(anna());
    bench.stand_ins.fault(
        Fault::too_many_requests(RetryAfter::Stockholm(600))
            .on(Api::Rule)
            .method("POST")
            .path("/v2/subscribers"),
    );
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    let (_, wait) = bench.queue.hidden().remove(0);
    assert!((598..=901).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn a_rotated_key_is_read_again_without_a_failed_event() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    account.set_api_key("rotated");
    put_secret(&bench, json!({ "apiKey": "rotated" }));
    bench.synced(USER, "b").await;
    assert_eq!(account.started(EMAIL, "sesamy_event_contract-update"), 2);
}

/// Whatever states a reader goes through, the publisher's own survives and ours
/// equals the derivation: for a thousand sequences of states.
#[test]
fn foreign_data_survives_any_sequence_of_states() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bench, account) = runtime.block_on(start());
    bench.sesamy.set_rate_limit(None);
    put_secret(&bench, json!({ "events": false }));
    let sequences = prop::collection::vec(any_state(USER, EMAIL), 1..5);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(1_000));
    let survives = |states: Vec<User>| {
        runtime.block_on(async {
            account.put_subscriber(Subscriber::new(EMAIL).field("Shop.Size", "38").tags(&[
                "vip",
                "SESAMY_x",
                "sesamy_stale",
            ]));
            let mut ours = BTreeSet::new();
            for (n, state) in states.iter().enumerate() {
                bench.sesamy.put_user(state.clone());
                bench.synced(USER, &n.to_string()).await;
                let subscriber = account.subscriber(EMAIL).unwrap();
                let (held, foreign) = split_tags(&subscriber.tags);
                let wanted = derived(state);
                ours = our_tags(&wanted, &ours);
                assert_eq!(held, ours);
                let expected = ["vip", "SESAMY_x", "sesamy"].map(str::to_owned);
                assert_eq!(foreign, BTreeSet::from(expected));
                assert_eq!(subscriber.fields.get("Shop.Size"), Some(&json!("38")));
                for field in mapping::fields(&wanted) {
                    let held = subscriber.fields.get(field.key);
                    let value = Some(&field.value).filter(|value| **value != "");
                    assert_eq!(held, value, "{}", field.key);
                }
            }
        });
        Ok(())
    };
    runner.run(&sequences, survives).unwrap();
}
