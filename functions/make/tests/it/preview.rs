//! Previews against the strict stand-in of Make.as: what is announced is what is done.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bench::{Bench, Held, any_state, any_tags, seeded};
use make::Make;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use stand_ins::make::{MakeAccount, Subscriber};
use stand_ins::sesamy::{Contract, User};
use stand_ins::{Api, RecordedRequest};

const USER: &str = "email|84cc";
const EMAIL: &str = "anna@example.no";
const LIST: u64 = 77;

fn is_read(request: &RecordedRequest) -> bool {
    request.method == "GET" || request.path == "/subscribers/by_email"
}

fn set(bench: &Bench<Make>, user: &str, list: u64) -> Value {
    json!({
        "userId": user,
        "apiKey": "key",
        "listId": list.to_string(),
        "apiUrl": bench.stand_ins.urls().make,
    })
}

/// An account with one list. A credential set is named after its user.
fn add_account(bench: &Bench<Make>, user: &str, list: u64) -> MakeAccount {
    let account = bench.stand_ins.make().add_account(user, user, "key");
    account.add_list(list, "Readers");
    account
}

/// What a subscriber holds: its tags, and its fields.
fn held(account: &MakeAccount) -> Held {
    let Some(subscriber) = account.subscriber(EMAIL) else {
        return Default::default();
    };
    let details = subscriber.details.into_iter();
    let mut fields: BTreeMap<String, Value> =
        details.map(|(key, value)| (key, value.into())).collect();
    let id = subscriber.external_id;
    fields.extend(id.map(|id| ("external_id".to_owned(), id.into())));
    (subscriber.tags, fields)
}

#[tokio::test]
async fn a_preview_says_what_why_and_by_which_calls() {
    let bench = Bench::new(Make).await;
    let account = add_account(&bench, "user", LIST);
    bench.put_connector_secret(&set(&bench, "user", LIST));
    account.put_subscriber(
        Subscriber::new(EMAIL)
            .on_list(LIST)
            .detail("firstname", "Anna")
            .tags(&["vip", "sesamy_overdue_contract"]),
    );
    let contract = Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly");
    let user = User::new(USER).email(EMAIL).name("Anna", "Ask");
    bench.sesamy.put_user(user.contract(contract));
    let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
    assert_eq!(preview["outcome"], "would_sync");
    assert_eq!(
        preview["contacts"],
        json!([{
            "list": LIST.to_string(),
            "new": false,
            "tags": {
                "add": [{
                    "tag": "sesamy_active_subscriber",
                    "because": ["has an active subscription (c1)"],
                }],
                "remove": [{
                    "tag": "sesamy_overdue_contract",
                    "because": ["no longer applies"],
                }],
                "kept": 1,
            },
            "fields": [
                { "name": "lastname", "personal": true },
                { "name": "external_id", "set": USER },
            ],
        }])
    );
    assert_eq!(
        preview["writes"],
        json!([
            { "method": "PATCH", "endpoint": "/subscribers/{id}" },
            { "method": "POST", "endpoint": "/subscribers/subscriptions/products/bulkinsert" },
            { "method": "POST", "endpoint": "/subscribers/subscriptions/bulkinsert" },
        ])
    );
}

#[tokio::test]
async fn each_list_of_a_vendor_is_previewed_by_itself() {
    let bench = Bench::new(Make).await;
    let first = add_account(&bench, "first", 1);
    add_account(&bench, "second", 2);
    bench.put_connector_secret(&json!([set(&bench, "first", 1), set(&bench, "second", 2)]));
    first.put_subscriber(
        Subscriber::new(EMAIL)
            .on_list(1)
            .tags(&["sesamy_tag_vip", "vip"]),
    );
    let user = User::new(USER).email(EMAIL).tags(&["VIP"]);
    bench.sesamy.put_user(user);
    let preview = bench
        .previewed_and_synced(USER, Api::Make, is_read, &[EMAIL])
        .await;
    let told: Vec<_> = preview
        .contacts
        .iter()
        .map(|c| (c.list.as_deref(), c.new, c.tags.add.len(), c.tags.kept))
        .collect();
    assert_eq!(told, [(Some("1"), false, 0, 2), (Some("2"), true, 1, 0)]);
}

#[test]
fn what_is_announced_is_what_is_done() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bench = RefCell::new(runtime.block_on(Bench::new(Make)));
    bench.borrow().sesamy.set_rate_limit(None);
    let accounts = RefCell::new(0);
    let states = prop::collection::vec(any_state(USER, EMAIL), 1..4);
    let cases = (option::weighted(0.8, any_subscriber()), states);
    let announced = |(before, states): (Option<Subscriber>, Vec<User>)| {
        bench.borrow_mut().restart(Make);
        accounts.replace_with(|n| *n + 1);
        let name = format!("user{}", accounts.borrow());
        let bench = bench.borrow();
        let account = add_account(&bench, &name, LIST);
        bench.put_connector_secret(&set(&bench, &name, LIST));
        if let Some(before) = before {
            account.put_subscriber(before);
        }
        let law = bench.previews_tell_the_truth(
            states,
            Api::Make,
            is_read,
            &[EMAIL, "Anna", "Ask", "X AS"],
            || held(&account),
        );
        runtime.block_on(law);
        Ok(())
    };
    seeded(300).run(&cases, announced).unwrap();
}

/// What the publisher, an earlier sync or another system may have left.
fn any_subscriber() -> impl Strategy<Value = Subscriber> {
    let tags = any_tags();
    let details = prop::sample::subsequence(
        vec![
            ("firstname", "Anna"),
            ("lastname", "Aas"),
            ("company", "X AS"),
            ("phone", "12345678"),
        ],
        0..=4,
    );
    (tags, details, any::<bool>(), any::<bool>()).prop_map(|(tags, details, on_list, consents)| {
        let mut subscriber = Subscriber::new(EMAIL).tags(&tags);
        for (key, value) in details {
            subscriber = subscriber.detail(key, value);
        }
        if on_list {
            subscriber = subscriber.on_list(LIST);
        }
        if consents {
            subscriber
        } else {
            subscriber.unsubscribed()
        }
    })
}
