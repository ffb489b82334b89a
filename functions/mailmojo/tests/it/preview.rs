//! Previews against the strict stand-in of Mailmojo: what is announced is what is done.

use std::cell::RefCell;

use bench::{Bench, Held, any_state, any_tags, seeded};
use mailmojo::Mailmojo;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;
use stand_ins::mailmojo::{Contact, MailmojoAccount, Status};
use stand_ins::sesamy::{Contract, User};
use stand_ins::{Api, RecordedRequest};

const USER: &str = "email|84cc";
const EMAIL: &str = "anna@example.no";
const LIST: u64 = 42;

fn is_read(request: &RecordedRequest) -> bool {
    request.method == "GET"
}

fn put_secret(bench: &Bench<Mailmojo>, token: &str) {
    bench.put_connector_secret(&json!({
        "apiToken": token,
        "listId": LIST.to_string(),
        "apiUrl": bench.stand_ins.urls().mailmojo,
    }));
}

async fn start() -> (Bench<Mailmojo>, MailmojoAccount) {
    let bench = Bench::new(Mailmojo::default()).await;
    let account = bench.stand_ins.mailmojo().add_account("account", "token");
    account.add_list(LIST, "Readers");
    put_secret(&bench, "token");
    (bench, account)
}

/// What a contact holds: its tags, and its fields with name and phone.
fn held(account: &MailmojoAccount) -> Held {
    let Some(contact) = account.contact(EMAIL) else {
        return Default::default();
    };
    let mut fields = contact.custom;
    for (key, value) in [
        ("first_name", contact.first_name),
        ("last_name", contact.last_name),
        ("phone", contact.phone),
    ] {
        fields.extend(value.map(|value| (key.to_owned(), value.into())));
    }
    (contact.tags, fields)
}

#[tokio::test]
async fn a_preview_says_what_why_and_by_which_calls() {
    let (bench, account) = start().await;
    account.put_contact(
        Contact::new(EMAIL)
            .on_list(LIST, Status::Active)
            .names("Anne", "Aas")
            .tags(&["vip", "sesamy_overdue_contract"])
            .custom("Will Cancel At", "2020-01-01"),
    );
    let contract = Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly");
    let user = User::new(USER).email(EMAIL).phone_number("+4790000001");
    bench.sesamy.put_user(user.contract(contract));
    let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
    assert_eq!(preview["outcome"], "would_sync");
    let contact = &preview["contacts"][0];
    assert_eq!(
        contact["tags"],
        json!({
            "add": [{
                "tag": "sesamy_active_subscriber",
                "because": ["has an active subscription (c1)"],
            }],
            "remove": [{
                "tag": "sesamy_overdue_contract",
                "because": ["no longer applies"],
            }],
            "kept": 1,
        })
    );
    let fields = contact["fields"].as_array().unwrap();
    for field in [
        json!({ "name": "phone", "personal": true }),
        json!({ "name": "Sesamy User ID", "set": USER }),
        json!({ "name": "Active Subscriptions", "set": 1 }),
        json!({ "name": "Will Cancel At", "clear": true }),
    ] {
        assert!(fields.contains(&field), "{field} of {fields:?}");
    }
    assert!(!fields.iter().any(|field| field["name"] == "first_name"));
    let writes = preview["writes"].as_array().unwrap();
    let (last, first) = writes.split_last().unwrap();
    let define = json!({ "method": "POST", "endpoint": "/v1/fields/" });
    let missing = first.iter().filter(|call| **call == define).count();
    assert_eq!(missing, 12, "all fields but the one the contact has");
    assert_eq!(
        *last,
        json!({ "method": "PATCH", "endpoint": "/v1/contacts/{email}/" })
    );
}

#[tokio::test]
async fn what_agrees_already_is_unchanged() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(User::new(USER).email(EMAIL));
    bench.synced(USER, "a").await;
    let preview = bench.preview(USER).await;
    assert_eq!(preview.outcome, "unchanged");
    assert_eq!(preview.withheld, []);
}

#[test]
fn what_is_announced_is_what_is_done() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bench, _) = runtime.block_on(start());
    bench.sesamy.set_rate_limit(None);
    let bench = RefCell::new(bench);
    let accounts = RefCell::new(0);
    let states = prop::collection::vec(any_state(USER, EMAIL), 1..4);
    let cases = (option::weighted(0.8, any_contact()), states);
    let announced = |(before, states): (Option<Contact>, Vec<User>)| {
        bench.borrow_mut().restart(Mailmojo::default());
        accounts.replace_with(|n| *n + 1);
        let name = format!("account {}", accounts.borrow());
        let bench = bench.borrow();
        let account = bench.stand_ins.mailmojo().add_account(&name, &name);
        account.add_list(LIST, "Readers");
        put_secret(&bench, &name);
        if let Some(before) = before {
            account.put_contact(before);
        }
        let law = bench.previews_tell_the_truth(
            states,
            Api::Mailmojo,
            is_read,
            &[EMAIL, "Anna", "Ask", "+47900"],
            || held(&account),
        );
        runtime.block_on(law);
        Ok(())
    };
    seeded(300).run(&cases, announced).unwrap();
}

/// What the publisher, an earlier sync or another system may have left.
fn any_contact() -> impl Strategy<Value = Contact> {
    let tags = any_tags();
    let custom = prop::sample::subsequence(
        vec![
            ("Sesamy User ID", json!(USER)),
            ("Has Active Subscription", json!(true)),
            ("Active Subscriptions", json!(1)),
            ("Issues Remaining", json!(3)),
            ("Will Cancel At", json!("2026-01-01")),
            ("Shoe size", json!(38)),
        ],
        0..=6,
    );
    let statuses = || {
        prop::sample::select(vec![
            Status::Active,
            Status::Active,
            Status::Unsubscribed,
            Status::Bounced,
            Status::Deleted,
        ])
    };
    let place = option::of(statuses());
    (tags, custom, any::<bool>(), place, statuses()).prop_map(
        |(tags, custom, named, place, status)| {
            let mut contact = Contact::new(EMAIL).tags(&tags).status(status);
            for (name, value) in custom {
                contact = contact.custom(name, value);
            }
            if named {
                contact = contact.names("Anne", "Aas");
            }
            match place {
                Some(status) => contact.on_list(LIST, status),
                None => contact,
            }
        },
    )
}
