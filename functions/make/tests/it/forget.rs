//! What is specific to Make.as: several lists, and data that stays.

use conformance::{Bench, EMAIL, USER, anna};
use fakes::make::{MakeAccount, Subscriber};
use fakes::{Api, Fault};
use make::Make;
use serde_json::json;

use crate::crm::{LIST, daily_subscriber, set, start, start_with_two_lists};

async fn synced_on_two_lists() -> (Bench<Make>, [MakeAccount; 2]) {
    let (bench, accounts) = start_with_two_lists().await;
    for account in &accounts {
        account.put_subscriber(Subscriber::new(EMAIL).tags(&["vip"]).unsubscribed());
    }
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    (bench, accounts)
}

fn assert_forgotten(account: &MakeAccount) {
    let contact = account.subscriber(EMAIL).unwrap();
    assert_eq!(contact.tags, ["vip"]);
    assert_eq!(contact.external_id, None);
}

#[tokio::test]
async fn each_list_is_reported_with_the_data_that_stays() {
    let (bench, accounts) = synced_on_two_lists().await;
    let forgotten = bench.forget(USER, None).await;
    let lists = forgotten.contacts.iter().map(|c| c.list.as_deref());
    assert_eq!(lists.collect::<Vec<_>>(), [Some("77"), Some("78")]);
    for contact in &forgotten.contacts {
        assert_eq!(contact.tags.removed, ["sesamy_active_subscriber"]);
        assert!(contact.stays[0].contains("subscriptions"));
        assert_eq!(contact.stays.len(), 1);
    }
    for account in &accounts {
        assert_forgotten(account);
        assert_eq!(account.subscriptions_of(EMAIL).len(), 1);
    }
}

#[tokio::test]
async fn an_external_id_of_another_system_stays() {
    let (bench, account) = start().await;
    let mut contact = Subscriber::new(EMAIL).tags(&["sesamy_x"]);
    contact.external_id = Some("customer 17".to_owned());
    account.put_subscriber(contact);
    bench.sesamy.put_user(anna());
    assert_eq!(bench.forget(USER, None).await.outcome, "forgotten");
    let contact = account.subscriber(EMAIL).unwrap();
    assert_eq!(contact.external_id.as_deref(), Some("customer 17"));
    assert_eq!(contact.tags, [""; 0]);
}

#[tokio::test]
async fn a_list_that_fails_does_not_stop_the_others() {
    for path in ["/subscribers/by_email", "/subscribers/*"] {
        let (bench, accounts) = synced_on_two_lists().await;
        let fault = Fault::status(500).on(Api::Make).account("one").path(path);
        bench.fakes.fault(fault.once());
        let failed = bench.forget(USER, None).await;
        assert_eq!(failed.outcome, "incomplete", "{path}");
        let failures: Vec<_> = failed.contacts.iter().map(|c| c.error.is_some()).collect();
        assert_eq!(failures, [true, false], "{path}");
        assert_forgotten(&accounts[1]);
        let retried = bench.forget(USER, None).await;
        assert_eq!(retried.outcome, "forgotten", "{path}");
        assert_forgotten(&accounts[0]);
    }
}

#[tokio::test]
async fn a_malformed_set_is_reported_and_does_not_stop_the_others() {
    let (mut bench, [account, _]) = synced_on_two_lists().await;
    bench.put_connector_secret(&json!([set(&bench, "one", LIST), { "userId": "two" }]));
    bench.restart(Make);
    let forgotten = bench.forget(USER, None).await;
    assert_eq!(forgotten.outcome, "incomplete");
    assert_forgotten(&account);
    let mut failed = forgotten.contacts.iter().filter(|c| c.error.is_some());
    let contact = failed.next().unwrap();
    assert_eq!(contact.list.as_deref(), Some("set 2 of the secret"));
    let error = contact.error.as_ref().unwrap();
    assert_eq!(error.code, "refused");
    assert!(error.message.contains("\"apiKey\" is missing"));
    assert_eq!(failed.count(), 0);
}

#[tokio::test]
async fn foreign_tags_are_sent_back_even_without_our_tags() {
    let (bench, account) = start().await;
    let mut contact = Subscriber::new(EMAIL).tags(&["vip"]);
    contact.external_id = Some(USER.to_owned());
    account.put_subscriber(contact);
    bench.sesamy.put_user(anna());
    assert_eq!(bench.forget(USER, None).await.outcome, "forgotten");
    let requests = bench.fakes.requests_to(Api::Make);
    let written = requests.iter().find(|request| request.method == "PATCH");
    let body = written.unwrap().body.clone().unwrap();
    assert_eq!(body, json!({ "external_id": "", "tags": ["vip"] }));
}
