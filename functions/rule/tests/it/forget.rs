//! Forgetting a reader at the strict stand-in of Rule.

use bench::Bench;
use rule::Rule;
use serde_json::json;
use stand_ins::rule::{RuleAccount, Subscriber};
use stand_ins::sesamy::{Contract, Entitlement, User};
use stand_ins::{Api, Fault};

const USER: &str = "email|84cc";
const EMAIL: &str = "anna@example.se";

async fn start() -> (Bench<Rule>, RuleAccount) {
    let bench = Bench::new(Rule::default()).await;
    let account = bench.stand_ins.rule().add_account("account", "key");
    bench.put_connector_secret(&json!({ "apiKey": "key", "apiUrl": bench.stand_ins.urls().rule }));
    (bench, account)
}

fn anna() -> User {
    User::new(USER)
        .email(EMAIL)
        .name("Anna", "Ask")
        .phone_number("+46701234567")
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
        .contract(Contract::single_purchase("c2").item("sid:A", "A", "po", "Own"))
        .entitlement(Entitlement::new("e1", "sid:Daily", "The Daily").from_contract("c1"))
}

/// A subscriber of the publisher's own, synced, who then unsubscribed.
async fn synced() -> (Bench<Rule>, RuleAccount) {
    let (bench, account) = start().await;
    let own = Subscriber::new(EMAIL).field("Shop.Size", "38");
    account.put_subscriber(own.tags(&["vip", "SESAMY_x", "sesamyfan"]));
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    account.put_subscriber(account.subscriber(EMAIL).unwrap().unsubscribed());
    (bench, account)
}

/// What is left is the publisher's, with the name and phone a sync corrected.
fn assert_forgotten(account: &RuleAccount, place: &str) {
    let subscriber = account.subscriber(EMAIL).unwrap();
    assert_eq!(subscriber.tags, ["vip", "SESAMY_x", "sesamyfan"], "{place}");
    let fields: Vec<_> = subscriber.fields.keys().map(String::as_str).collect();
    let own = [
        "Shop.Size",
        "Subscriber.FirstName",
        "Subscriber.LastName",
        "Subscriber.Phone",
    ];
    assert_eq!(fields, own, "{place}");
    assert_eq!(
        subscriber.phone_number.as_deref(),
        Some("+46701234567"),
        "{place}"
    );
    assert!(!subscriber.opted_in, "{place}");
}

#[tokio::test]
async fn all_that_was_written_goes_and_the_publishers_own_stays() {
    let (bench, account) = synced().await;
    let forgotten = bench.forget(USER, None).await;
    assert_eq!(forgotten.outcome, "forgotten");
    let contact = &forgotten.contacts[0];
    assert_eq!(
        contact.tags.removed,
        [
            "sesamy",
            "sesamy_active_entitlement_the-daily",
            "sesamy_active_sku_sid-daily",
            "sesamy_active_subscriber",
            "sesamy_made_single_purchase",
            "sesamy_event_contract-update",
        ]
    );
    assert!(
        contact
            .fields
            .removed
            .iter()
            .all(|name| name.starts_with("Sesamy_"))
    );
    assert!(
        contact
            .fields
            .removed
            .contains(&"Sesamy_Event.Type".to_owned())
    );
    assert_forgotten(&account, "");
    assert_eq!(bench.stand_ins.violations(), []);
}

#[tokio::test]
async fn the_second_time_there_is_nothing_to_forget() {
    let (bench, _) = synced().await;
    bench.forget(USER, None).await;
    bench.stand_ins.clear_requests();
    assert_eq!(bench.forget(USER, None).await.outcome, "nothing_to_forget");
    let requests = bench.stand_ins.requests_to(Api::Rule);
    assert!(requests.iter().all(|request| request.method == "GET"));
}

#[tokio::test]
async fn nobody_is_created_to_be_forgotten() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(anna());
    let forgotten = bench.forget(USER, None).await;
    assert_eq!(forgotten.outcome, "nothing_to_forget");
    assert!(!forgotten.contacts[0].found);
    assert_eq!(account.subscribers(), []);
}

#[tokio::test]
async fn whom_sesamy_has_forgotten_is_found_by_the_address_given() {
    let (bench, account) = synced().await;
    bench.sesamy.remove_user(USER);
    let unknown = serde_json::to_value(bench.forget(USER, None).await).unwrap();
    assert_eq!(unknown["error"]["code"], "address_unknown");
    let forgotten = bench.forget(USER, Some(" Anna@Example.SE ")).await;
    assert_eq!(forgotten.outcome, "forgotten");
    assert_forgotten(&account, "");
}

#[tokio::test]
async fn an_address_that_is_another_readers_is_not_touched() {
    let (bench, account) = synced().await;
    let before = account.subscriber(EMAIL);
    let forgotten = bench.forget("email|other", Some(EMAIL)).await;
    assert_eq!(forgotten.outcome, "incomplete");
    let error = forgotten.contacts[0].error.as_ref().unwrap();
    assert_eq!(error.code, "another_reader");
    assert_eq!(account.subscriber(EMAIL), before);
}

#[tokio::test]
async fn a_guest_is_forgotten_too() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).tags(&["sesamy_active_subscriber"]));
    bench
        .sesamy
        .put_user(User::new("guest|1").email(EMAIL).guest());
    assert_eq!(bench.forget("guest|1", None).await.outcome, "forgotten");
    assert_eq!(account.subscriber(EMAIL).unwrap().tags, [""; 0]);
}

#[tokio::test]
async fn whatever_fails_is_told_and_made_good_by_the_next_try() {
    // What fails, how many tags are gone then.
    let steps = [
        ("GET", "/v2/subscribers/*", 0, 0),
        ("GET", "/v2/subscriber/*/fields", 0, 0),
        ("GET", "/v2/subscribers/*/tags", 0, 0),
        ("DELETE", "/v2/subscribers/*/tags/*", 0, 0),
        ("DELETE", "/v2/subscribers/*/tags/*", 3, 3),
        ("PUT", "/v2/subscribers/*", 0, 6),
    ];
    for (method, path, skipped, gone) in steps {
        for fault in [Fault::status(500), Fault::reset(), Fault::status(400)] {
            let (bench, account) = synced().await;
            let fault = fault.on(Api::Rule).method(method).path(path);
            bench.stand_ins.fault(fault.skip(skipped).once());
            let place = format!("{method} {path} after {skipped}");
            let failed = bench.forget(USER, None).await;
            let contact = &failed.contacts[0];
            let outcome = if contact.found { "incomplete" } else { "error" };
            assert_eq!(failed.outcome, outcome, "{place}");
            assert!(contact.error.is_some(), "{place}");
            assert_eq!(contact.tags.removed.len(), gone, "{place}");
            if contact.found {
                assert_eq!(contact.tags.left.len(), 6 - gone, "{place}");
                assert!(!contact.fields.left.is_empty(), "{place}");
            }
            assert_eq!(
                bench.forget(USER, None).await.outcome,
                "forgotten",
                "{place}"
            );
            assert_forgotten(&account, &place);
        }
    }
}
