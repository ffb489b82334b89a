//! Syncs against the strict stand-in of Mailmojo, through the real consumer.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeSet;

use bench::{Bench, any_state, derived, our_tags, record, split_tags};
use mailmojo::{Mailmojo, mapping};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use stand_ins::mailmojo::{Contact, FieldKind, MailmojoAccount, MailmojoSettings, Status};
use stand_ins::sesamy::{Contract, User};
use stand_ins::{Api, Fault};

const USER: &str = "email|84cc";
const EMAIL: &str = "anna@example.no";
const LIST: u64 = 42;

/// A bench whose vendor has a Mailmojo account with one list.
async fn start() -> (Bench<Mailmojo>, MailmojoAccount) {
    let bench = Bench::new(Mailmojo::default()).await;
    let account = bench.stand_ins.mailmojo().add_account("account", "token");
    account.add_list(LIST, "Readers");
    bench.put_connector_secret(&json!({
        "apiToken": "token",
        "listId": LIST.to_string(),
        "apiUrl": bench.stand_ins.urls().mailmojo,
    }));
    (bench, account)
}

fn anna() -> User {
    User::new(USER).email(EMAIL).name("Anna", "Ask")
}

fn subscriber_of_the_daily() -> User {
    anna()
        .phone_number("+4790000001")
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
}

#[tokio::test]
async fn a_new_reader_is_put_on_the_list_with_everything() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.first_name.as_deref(), Some("Anna"));
    assert_eq!(contact.last_name.as_deref(), Some("Ask"));
    assert_eq!(contact.phone.as_deref(), Some("+4790000001"));
    assert_eq!(contact.tags, ["sesamy_active_subscriber"]);
    assert_eq!(contact.on(LIST), Some(Status::Active));
    let expected = [
        ("Sesamy User ID", json!(USER)),
        ("Has Active Subscription", json!(true)),
        ("Active Subscriptions", json!(1)),
        ("Contract Duration Type", json!("recurring")),
        ("Subscription Expires At", json!("2099-01-15")),
    ];
    for (name, value) in expected {
        assert_eq!(contact.custom.get(name), Some(&value), "{name}");
    }
}

#[tokio::test]
async fn missing_fields_are_defined_once_and_those_there_are_left() {
    let (bench, account) = start().await;
    account.define("Has Active Subscription", FieldKind::Boolean);
    account.define("Shoe size", FieldKind::Number);
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    let definitions = account.definitions();
    assert_eq!(definitions.len(), 13 + 1);
    let defining = |calls: Vec<String>| calls.iter().filter(|c| c.contains("/v1/fields/")).count();
    assert_eq!(defining(bench.calls(Api::Mailmojo)), 1 + 12);
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "b").await;
    assert_eq!(defining(bench.calls(Api::Mailmojo)), 0);
}

#[tokio::test]
async fn a_field_that_another_instance_defined_meanwhile_is_no_reason_to_give_up() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
    // Refused because it is there already: a moment before, it was not.
    let taken = Fault::status(400).on(Api::Mailmojo).method("POST");
    let taken = taken.path("/v1/fields/").after_effect();
    bench.stand_ins.fault(taken.once());
    bench.synced(USER, "a").await;
    assert_eq!(account.definitions().len(), 13);
    assert_eq!(
        account.contact(EMAIL).unwrap().tags,
        ["sesamy_active_subscriber"]
    );
}

#[tokio::test]
async fn an_account_that_knows_no_address_of_fields_is_synced_all_the_same() {
    let (bench, account) = start().await;
    account.set_settings(MailmojoSettings {
        fields_endpoint: false,
        ..MailmojoSettings::default()
    });
    for (name, _) in mapping::DEFINITIONS {
        account.define(name, FieldKind::Text);
    }
    bench.sesamy.put_user(anna());
    let failures = bench.handle([record("1", USER, "a")]).await;
    assert_eq!(failures, [""; 0]);
    assert!(
        bench
            .calls(Api::Mailmojo)
            .contains(&"GET /v1/fields/".to_owned())
    );
}

#[tokio::test]
async fn a_typical_sync_makes_two_calls_and_one_where_nothing_changed() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    bench.calls(Api::Mailmojo);
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "b").await;
    assert_eq!(
        bench.calls(Api::Mailmojo),
        [
            "GET /v1/contacts/anna%40example.no/",
            "PATCH /v1/contacts/anna%40example.no/",
        ]
    );
    bench.synced(USER, "c").await;
    assert_eq!(
        bench.calls(Api::Mailmojo),
        ["GET /v1/contacts/anna%40example.no/"]
    );
}

#[tokio::test]
async fn what_the_publisher_entered_stays() {
    let (bench, account) = start().await;
    account.define("Shoe size", FieldKind::Number);
    account.put_contact(
        Contact::new(EMAIL)
            .on_list(LIST, Status::Active)
            .names("Anne", "")
            .phone("12345678")
            .tags(&["vip", "SESAMY_legacy", "sesamy_old"])
            .custom("Shoe size", 38),
    );
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.first_name.as_deref(), Some("Anne"));
    assert_eq!(
        contact.last_name.as_deref(),
        Some("Ask"),
        "an empty name is none"
    );
    assert_eq!(contact.phone.as_deref(), Some("12345678"));
    assert_eq!(
        contact.tags,
        ["vip", "SESAMY_legacy", "sesamy_active_subscriber"]
    );
    assert_eq!(contact.custom.get("Shoe size"), Some(&json!(38)));
}

#[tokio::test]
async fn a_value_that_no_longer_applies_is_cleared() {
    let (bench, account) = start().await;
    let leaving = Contract::active("c1").cancels_at("2026-01-01T00:00:00Z", "2098-01-01T00:00:00Z");
    bench.sesamy.put_user(anna().contract(leaving));
    bench.synced(USER, "a").await;
    let will_cancel_at = |account: &MailmojoAccount| {
        let custom = account.contact(EMAIL).unwrap().custom;
        custom
            .get("Will Cancel At")
            .cloned()
            .filter(|value| !value.is_null())
    };
    assert_eq!(will_cancel_at(&account), Some(json!("2098-01-01")));
    bench
        .sesamy
        .put_user(anna().contract(Contract::active("c1")));
    bench.synced(USER, "b").await;
    assert_eq!(will_cancel_at(&account), None);
}

#[tokio::test]
async fn a_contact_of_another_list_joins_this_one() {
    let (bench, account) = start().await;
    account.add_list(7, "Others");
    account.put_contact(
        Contact::new(EMAIL)
            .on_list(7, Status::Active)
            .names("Anne", "Aas"),
    );
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.on(LIST), Some(Status::Active));
    assert_eq!(contact.first_name.as_deref(), Some("Anne"));
    let requests = bench.stand_ins.requests_to(Api::Mailmojo);
    let joined = requests
        .iter()
        .find(|r| r.method == "POST" && r.path.contains("/lists/"));
    let body = joined.unwrap().body.clone().unwrap();
    assert!(
        body.get("first_name").is_none(),
        "the name is the contact's own"
    );
}

#[tokio::test]
async fn membership_of_those_who_left_is_left_alone() {
    for status in [Status::Unsubscribed, Status::Bounced, Status::Deleted] {
        let (bench, account) = start().await;
        account.put_contact(Contact::new(EMAIL).on_list(LIST, status));
        bench.sesamy.put_user(subscriber_of_the_daily());
        bench.synced(USER, "a").await;
        let contact = account.contact(EMAIL).unwrap();
        assert_eq!(contact.on(LIST), Some(status));
        assert_eq!(
            contact.tags,
            ["sesamy_active_subscriber"],
            "the data is synced"
        );
        let calls = bench.calls(Api::Mailmojo);
        assert!(
            !calls.iter().any(|call| call.contains("/lists/")),
            "{calls:?}"
        );
    }
}

#[tokio::test]
async fn a_tag_in_other_letters_is_replaced_also_where_mailmojo_takes_both_for_one() {
    for fold_tag_case in [false, true] {
        let (bench, account) = start().await;
        account.set_settings(MailmojoSettings {
            fold_tag_case,
            ..MailmojoSettings::default()
        });
        account.put_contact(
            Contact::new(EMAIL)
                .on_list(LIST, Status::Active)
                .tags(&["sesamy_Active_Subscriber", "vip"]),
        );
        bench.sesamy.put_user(subscriber_of_the_daily());
        bench.synced(USER, "a").await;
        let tags = account.contact(EMAIL).unwrap().tags;
        assert_eq!(
            tags,
            ["vip", "sesamy_active_subscriber"],
            "folding: {fold_tag_case}"
        );
    }
}

#[tokio::test]
async fn each_call_that_fails_is_made_good_by_the_next_try() {
    let endpoints = [
        ("GET", "/v1/fields/"),
        ("POST", "/v1/fields/"),
        ("GET", "/v1/contacts/*"),
        ("PATCH", "/v1/contacts/*"),
        ("POST", "/v1/lists/*"),
    ];
    for (method, path) in endpoints {
        for fault in [Fault::status(500), Fault::bad_gateway(), Fault::reset()] {
            let (bench, account) = start().await;
            account.add_list(7, "Others");
            account.put_contact(
                Contact::new(EMAIL)
                    .on_list(7, Status::Active)
                    .tags(&["vip"]),
            );
            bench.sesamy.put_user(subscriber_of_the_daily());
            bench
                .stand_ins
                .fault(fault.on(Api::Mailmojo).method(method).path(path).once());
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
            let contact = account.contact(EMAIL).unwrap();
            assert_eq!(contact.tags, ["vip", "sesamy_active_subscriber"], "{place}");
            assert_eq!(contact.on(LIST), Some(Status::Active), "{place}");
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
    account.define("Shoe size", FieldKind::Number);
    let sequences = prop::collection::vec(any_state(USER, EMAIL), 1..5);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(1_000));
    let survives = |states: Vec<User>| {
        runtime.block_on(async {
            account.put_contact(
                Contact::new(EMAIL)
                    .on_list(LIST, Status::Active)
                    .names("Anne", "Aas")
                    .phone("12345678")
                    .tags(&["vip", "SESAMY_x", "sesamy_stale"])
                    .custom("Shoe size", 38),
            );
            let mut ours = BTreeSet::new();
            for (n, state) in states.iter().enumerate() {
                bench.sesamy.put_user(state.clone());
                bench.synced(USER, &n.to_string()).await;
                let contact = account.contact(EMAIL).unwrap();
                let (held, foreign) = split_tags(&contact.tags);
                let wanted = derived(state);
                ours = our_tags(&wanted, &ours);
                assert_eq!(held, ours);
                assert_eq!(
                    foreign,
                    BTreeSet::from(["vip".to_owned(), "SESAMY_x".to_owned()])
                );
                assert_eq!(contact.first_name.as_deref(), Some("Anne"));
                assert_eq!(contact.last_name.as_deref(), Some("Aas"));
                assert_eq!(contact.phone.as_deref(), Some("12345678"));
                assert_eq!(contact.custom.get("Shoe size"), Some(&json!(38)));
                for field in mapping::fields(&wanted) {
                    let held = contact.custom.get(field.name).unwrap_or(&Value::Null);
                    assert_eq!(held, &field.value, "{}", field.name);
                }
            }
        });
        Ok(())
    };
    runner.run(&sequences, survives).unwrap();
}
