//! Forgetting a reader at the strict stand-in of Make.as.

use bench::Bench;
use make::Make;
use serde_json::{Value, json};
use stand_ins::make::{MakeAccount, Subscriber};
use stand_ins::sesamy::{Contract, User};
use stand_ins::{Api, Fault};

const USER: &str = "email|84cc";
const EMAIL: &str = "anna@example.no";

fn set(bench: &Bench<Make>, user: &str, list: u64) -> Value {
    json!({
        "userId": user, "apiKey": "key", "listId": list,
        "apiUrl": bench.stand_ins.urls().make,
    })
}

/// A bench whose vendor has two accounts with a list each, 1 and 2.
async fn start() -> (Bench<Make>, [MakeAccount; 2]) {
    let bench = Bench::new(Make).await;
    let account = |user: &str, list: u64| {
        let account = bench.stand_ins.make().add_account(user, user, "key");
        account.add_list(list, "Readers");
        account
    };
    let accounts = [account("one", 1), account("two", 2)];
    bench.put_connector_secret(&json!([set(&bench, "one", 1), set(&bench, "two", 2)]));
    (bench, accounts)
}

fn anna() -> User {
    User::new(USER)
        .email(EMAIL)
        .name("Anna", "Ask")
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
        .contract(Contract::single_purchase("c2").item("sid:A", "A", "po", "Own"))
}

/// Subscribers of the publisher's own, synced.
async fn synced() -> (Bench<Make>, [MakeAccount; 2]) {
    let (bench, accounts) = start().await;
    for account in &accounts {
        let own = Subscriber::new(EMAIL).detail("phone", "12345678");
        account.put_subscriber(own.tags(&["vip", "SESAMY_x"]).unsubscribed());
    }
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    (bench, accounts)
}

/// What is left is the publisher's, with the name that a sync wrote, and what
/// no known call takes away.
fn assert_forgotten(account: &MakeAccount, place: &str) {
    let subscriber = account.subscriber(EMAIL).unwrap();
    assert_eq!(subscriber.tags, ["vip", "SESAMY_x"], "{place}");
    assert_eq!(subscriber.external_id, None, "{place}");
    assert_eq!(subscriber.details["firstname"], "Anna", "{place}");
    assert_eq!(subscriber.details["phone"], "12345678", "{place}");
    assert_eq!(subscriber.email_status, "unsubscribed", "{place}");
    assert_eq!(account.subscriptions_of(EMAIL).len(), 2, "{place}");
}

#[tokio::test]
async fn all_that_can_be_taken_off_goes_and_what_stays_is_told() {
    let (bench, accounts) = synced().await;
    let forgotten = bench.forget(USER, None).await;
    assert_eq!(forgotten.outcome, "forgotten");
    let told: Vec<_> = forgotten
        .contacts
        .iter()
        .map(|c| (c.list.as_deref(), c.tags.removed.len(), c.stays.len()))
        .collect();
    assert_eq!(told, [(Some("1"), 2, 1), (Some("2"), 2, 1)]);
    for contact in &forgotten.contacts {
        assert_eq!(contact.fields.removed, ["external_id"]);
        assert!(contact.stays[0].contains("subscriptions"));
    }
    for account in &accounts {
        assert_forgotten(account, "");
    }
    assert_eq!(bench.stand_ins.violations(), []);
}

#[tokio::test]
async fn the_second_time_there_is_nothing_to_forget() {
    let (bench, _) = synced().await;
    bench.forget(USER, None).await;
    bench.stand_ins.clear_requests();
    assert_eq!(bench.forget(USER, None).await.outcome, "nothing_to_forget");
    assert_eq!(bench.calls(Api::Make), ["POST /subscribers/by_email"; 2]);
}

#[tokio::test]
async fn nobody_is_created_to_be_forgotten() {
    let (bench, accounts) = start().await;
    bench.sesamy.put_user(anna());
    assert_eq!(bench.forget(USER, None).await.outcome, "nothing_to_forget");
    assert!(
        accounts
            .iter()
            .all(|account| account.subscribers().is_empty())
    );
}

#[tokio::test]
async fn an_address_that_is_another_readers_is_not_touched() {
    let (bench, [account, _]) = synced().await;
    let before = account.subscriber(EMAIL);
    let forgotten = bench.forget("email|other", Some(EMAIL)).await;
    let error = forgotten.contacts[0].error.as_ref().unwrap();
    assert_eq!(error.code, "another_reader");
    assert_eq!(account.subscriber(EMAIL), before);
}

#[tokio::test]
async fn the_id_of_another_system_is_the_publishers() {
    let (bench, [account, _]) = start().await;
    let mut own = Subscriber::new(EMAIL).tags(&["sesamy_x"]);
    own.external_id = Some("customer 17".to_owned());
    account.put_subscriber(own);
    bench.sesamy.put_user(anna());
    assert_eq!(bench.forget(USER, None).await.outcome, "forgotten");
    let left = account.subscriber(EMAIL).unwrap();
    assert_eq!(left.external_id.as_deref(), Some("customer 17"));
    assert_eq!(left.tags, [""; 0]);
}

#[tokio::test]
async fn a_list_that_fails_stops_no_other_and_is_made_good_by_the_next_try() {
    for (method, path) in [
        ("POST", "/subscribers/by_email"),
        ("PATCH", "/subscribers/*"),
    ] {
        for fault in [Fault::status(500), Fault::reset(), Fault::status(400)] {
            let (bench, accounts) = synced().await;
            let fault = fault.on(Api::Make).account("one").method(method).path(path);
            bench.stand_ins.fault(fault.once());
            let failed = bench.forget(USER, None).await;
            assert_eq!(failed.outcome, "incomplete", "{path}");
            let failures: Vec<_> = failed.contacts.iter().map(|c| c.error.is_some()).collect();
            assert_eq!(failures, [true, false], "{path}");
            assert_forgotten(&accounts[1], path);
            assert_eq!(
                bench.forget(USER, None).await.outcome,
                "forgotten",
                "{path}"
            );
            assert_forgotten(&accounts[0], path);
        }
    }
}

#[tokio::test]
async fn a_malformed_set_is_told_and_stops_no_other() {
    let (mut bench, [account, _]) = synced().await;
    bench.put_connector_secret(&json!([set(&bench, "one", 1), { "userId": "two" }]));
    bench.restart(Make);
    let forgotten = bench.forget(USER, None).await;
    assert_eq!(forgotten.outcome, "incomplete");
    assert_forgotten(&account, "");
    let bad = forgotten.contacts.iter().find(|c| c.error.is_some());
    let bad = bad.unwrap();
    assert_eq!(bad.list.as_deref(), Some("set 2 of the secret"));
    let error = bad.error.as_ref().unwrap();
    assert_eq!(error.code, "refused");
    assert!(error.message.contains("\"apiKey\" is missing"));
}

#[tokio::test]
async fn foreign_tags_are_sent_along_even_where_no_tag_of_ours_is_there() {
    let (bench, [account, _]) = start().await;
    let mut own = Subscriber::new(EMAIL).tags(&["vip"]);
    own.external_id = Some(USER.to_owned());
    account.put_subscriber(own);
    bench.sesamy.put_user(anna());
    assert_eq!(bench.forget(USER, None).await.outcome, "forgotten");
    let requests = bench.stand_ins.requests_to(Api::Make);
    let written = requests.iter().find(|request| request.method == "PATCH");
    let body = written.unwrap().body.clone().unwrap();
    assert_eq!(body, json!({ "external_id": "", "tags": ["vip"] }));
}
