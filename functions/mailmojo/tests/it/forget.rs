//! Forgetting a reader at the strict stand-in of Mailmojo.

use bench::Bench;
use mailmojo::Mailmojo;
use serde_json::json;
use stand_ins::mailmojo::{Contact, FieldKind, MailmojoAccount, Status};
use stand_ins::sesamy::{Contract, User};
use stand_ins::{Api, Fault};

const USER: &str = "email|84cc";
const EMAIL: &str = "anna@example.no";
const LIST: u64 = 42;

async fn start() -> (Bench<Mailmojo>, MailmojoAccount) {
    let bench = Bench::new(Mailmojo::default()).await;
    let account = bench.stand_ins.mailmojo().add_account("account", "token");
    account.add_list(LIST, "Readers");
    account.define("Shoe size", FieldKind::Number);
    bench.put_connector_secret(&json!({
        "apiToken": "token", "listId": LIST, "apiUrl": bench.stand_ins.urls().mailmojo,
    }));
    (bench, account)
}

fn anna() -> User {
    User::new(USER)
        .email(EMAIL)
        .name("Anna", "Ask")
        .contract(Contract::active("c1"))
        .contract(Contract::single_purchase("c2"))
}

/// A contact of the publisher's own, synced.
async fn synced() -> (Bench<Mailmojo>, MailmojoAccount) {
    let (bench, account) = start().await;
    let own = Contact::new(EMAIL).on_list(LIST, Status::Unsubscribed);
    account.put_contact(own.tags(&["vip", "SESAMY_x"]).custom("Shoe size", 38));
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    (bench, account)
}

/// What is left is the publisher's, with the name that a sync filled in.
fn assert_forgotten(account: &MailmojoAccount, place: &str) {
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.tags, ["vip", "SESAMY_x"], "{place}");
    let fields: Vec<_> = contact.custom.keys().map(String::as_str).collect();
    assert_eq!(fields, ["Shoe size"], "{place}");
    assert_eq!(contact.first_name.as_deref(), Some("Anna"), "{place}");
    assert_eq!(contact.on(LIST), Some(Status::Unsubscribed), "{place}");
}

#[tokio::test]
async fn all_that_was_written_goes_and_the_publishers_own_stays() {
    let (bench, account) = synced().await;
    let forgotten = bench.forget(USER, None).await;
    assert_eq!(forgotten.outcome, "forgotten");
    let contact = &forgotten.contacts[0];
    let tags = ["sesamy_active_subscriber", "sesamy_made_single_purchase"];
    assert_eq!(contact.tags.removed, tags);
    assert!(
        contact
            .fields
            .removed
            .contains(&"Sesamy User ID".to_owned())
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
    assert_eq!(
        bench.calls(Api::Mailmojo),
        ["GET /v1/contacts/anna%40example.no/"]
    );
}

#[tokio::test]
async fn nobody_is_created_to_be_forgotten() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(anna());
    assert_eq!(bench.forget(USER, None).await.outcome, "nothing_to_forget");
    assert_eq!(account.contacts(), []);
}

#[tokio::test]
async fn whom_sesamy_has_forgotten_is_found_by_the_address_given() {
    let (bench, account) = synced().await;
    bench.sesamy.remove_user(USER);
    assert_eq!(bench.forget(USER, None).await.outcome, "error");
    assert_eq!(bench.forget(USER, Some(EMAIL)).await.outcome, "forgotten");
    assert_forgotten(&account, "");
}

#[tokio::test]
async fn an_address_that_is_another_readers_is_not_touched() {
    let (bench, account) = synced().await;
    let before = account.contact(EMAIL);
    let forgotten = bench.forget("email|other", Some(EMAIL)).await;
    let error = forgotten.contacts[0].error.as_ref().unwrap();
    assert_eq!(error.code, "another_reader");
    assert_eq!(account.contact(EMAIL), before);
}

#[tokio::test]
async fn whatever_fails_is_told_and_made_good_by_the_next_try() {
    for method in ["GET", "PATCH"] {
        for fault in [Fault::status(500), Fault::reset(), Fault::status(400)] {
            let (bench, account) = synced().await;
            let fault = fault
                .on(Api::Mailmojo)
                .method(method)
                .path("/v1/contacts/*");
            bench.stand_ins.fault(fault.once());
            let failed = bench.forget(USER, None).await;
            let contact = &failed.contacts[0];
            let outcome = if contact.found { "incomplete" } else { "error" };
            assert_eq!(failed.outcome, outcome, "{method}");
            assert!(contact.error.is_some(), "{method}");
            assert_eq!(contact.tags.removed, [""; 0], "{method}");
            assert_eq!(contact.tags.left.len(), if contact.found { 2 } else { 0 });
            assert_eq!(
                bench.forget(USER, None).await.outcome,
                "forgotten",
                "{method}"
            );
            assert_forgotten(&account, method);
        }
    }
}
