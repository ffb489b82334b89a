//! Previews against the strict stand-in of Rule: what is announced is what is done.

use std::cell::RefCell;

use bench::{Bench, Held, any_state, any_tags, seeded};
use proptest::option;
use proptest::prelude::*;
use rule::Rule;
use serde_json::{Value, json};
use stand_ins::rule::{RuleAccount, Subscriber};
use stand_ins::sesamy::{Contract, Entitlement, User};
use stand_ins::{Api, RecordedRequest};

const USER: &str = "email|84cc";
const EMAIL: &str = "anna@example.se";

fn is_read(request: &RecordedRequest) -> bool {
    request.method == "GET"
}

fn put_secret(bench: &Bench<Rule>, key: &str) {
    bench.put_connector_secret(&json!({
        "apiKey": key, "apiUrl": bench.stand_ins.urls().rule,
    }));
}

async fn start() -> (Bench<Rule>, RuleAccount) {
    let bench = Bench::new(Rule::default()).await;
    let account = bench.stand_ins.rule().add_account("account", "key");
    put_secret(&bench, "key");
    (bench, account)
}

fn subscriber_of_the_daily() -> User {
    User::new(USER)
        .email(EMAIL)
        .name("Anna", "Ask")
        .phone_number("+46701234567")
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
        .entitlement(Entitlement::new("e1", "sid:Daily", "The Daily").from_contract("c1"))
}

/// What a subscriber holds: its tags, and its fields with Rule's own phone number.
fn held(account: &RuleAccount) -> Held {
    let Some(subscriber) = account.subscriber(EMAIL) else {
        return Default::default();
    };
    let mut fields = subscriber.fields;
    let phone = subscriber.phone_number.map(Value::from);
    fields.extend(phone.map(|number| ("phone_number".to_owned(), number)));
    (subscriber.tags, fields)
}

#[tokio::test]
async fn a_preview_says_what_why_and_by_which_calls() {
    let (bench, account) = start().await;
    account.put_subscriber(
        Subscriber::new(EMAIL)
            .tags(&["vip", "sesamy", "sesamy_overdue_contract"])
            .field("Sesamy_Subscription.Status", "OVERDUE")
            .field("Sesamy_Subscription.CanceledAt", "2020-01-01"),
    );
    bench.sesamy.put_user(subscriber_of_the_daily());
    let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
    assert_eq!(preview["outcome"], "would_sync");
    let contact = &preview["contacts"][0];
    assert_eq!(contact["new"], false);
    assert_eq!(
        contact["tags"]["add"],
        json!([
            { "tag": "sesamy_active_entitlement_the-daily",
              "because": ["has access to a product of this title (e1)"] },
            { "tag": "sesamy_active_sku_sid-daily",
              "because": ["has access to a product of this SKU (e1)"] },
            { "tag": "sesamy_active_subscriber",
              "because": ["has an active subscription (c1)"] },
        ])
    );
    assert_eq!(
        contact["tags"]["remove"],
        json!([{ "tag": "sesamy_overdue_contract", "because": ["no longer applies"] }])
    );
    assert_eq!(contact["tags"]["kept"], 2);
    let fields = contact["fields"].as_array().unwrap();
    for field in [
        json!({ "name": "Subscriber.FirstName", "personal": true }),
        json!({ "name": "Sesamy_User.ID", "set": USER }),
        json!({ "name": "Sesamy_ActiveProducts.SKU", "set": ["sid:Daily"] }),
        json!({ "name": "Sesamy_Subscription.Status", "set": "ACTIVE" }),
        json!({ "name": "Sesamy_Subscription.CanceledAt", "clear": true }),
        json!({ "name": "phone_number", "personal": true }),
    ] {
        assert!(fields.contains(&field), "{field} of {fields:?}");
    }
    assert_eq!(
        preview["writes"],
        json!([
            { "method": "POST", "endpoint": "/v2/customizations" },
            { "method": "POST", "endpoint": "/v2/subscribers" },
            { "method": "DELETE", "endpoint": "/v2/subscribers/{email}/tags/{tag}" },
            { "method": "PUT", "endpoint": "/v2/subscribers/{id}" },
        ])
    );
}

#[tokio::test]
async fn a_preview_is_of_a_sync_that_starts_no_flow() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
    let preview = bench.preview(USER).await;
    let upsert = &preview.withheld[1];
    assert_eq!(upsert.endpoint, "/v2/subscribers");
    assert_eq!(upsert.body["sync_subscribers"], false);
}

#[tokio::test]
async fn a_preview_leaves_nothing_behind_in_the_function() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.preview(USER).await;
    assert_eq!(account.subscribers(), []);
    bench.stand_ins.clear_requests();
    bench.synced(USER, "a").await;
    let calls = bench.calls(Api::Rule);
    assert_eq!(calls[0], "POST /v2/customizations", "still to be defined");
    let preview = bench.preview(USER).await;
    assert_eq!(preview.withheld[0].endpoint, "/v2/subscribers", "defined");
}

#[test]
fn what_is_announced_is_what_is_done() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bench, _) = runtime.block_on(start());
    bench.sesamy.set_rate_limit(None);
    let bench = RefCell::new(bench);
    let accounts = RefCell::new(0);
    let states = prop::collection::vec(any_state(USER, EMAIL), 1..4);
    let cases = (option::weighted(0.8, any_subscriber()), states);
    let announced = |(before, states): (Option<Subscriber>, Vec<User>)| {
        bench.borrow_mut().restart(Rule::default());
        accounts.replace_with(|n| *n + 1);
        let name = format!("account {}", accounts.borrow());
        let bench = bench.borrow();
        let account = bench.stand_ins.rule().add_account(&name, &name);
        put_secret(&bench, &name);
        if let Some(before) = before {
            account.put_subscriber(before);
        }
        let law = bench.previews_tell_the_truth(
            states,
            Api::Rule,
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
fn any_subscriber() -> impl Strategy<Value = Subscriber> {
    let tags = any_tags();
    let fields = prop::sample::subsequence(
        vec![
            ("Subscriber.FirstName", json!("Anne")),
            ("Sesamy_User.ID", json!(USER)),
            ("Sesamy_User.LastName", json!("Aas")),
            ("Sesamy_BillingAddress.City", json!("Ås")),
            ("Sesamy_ActiveProducts.SKU", json!(["sid:Daily"])),
            ("Sesamy_Subscription.Status", json!("ACTIVE")),
            ("Shop.Size", json!("38")),
        ],
        0..=7,
    );
    let phone = prop::sample::select(vec![None, Some("+4790000001"), Some("+4790000002")]);
    let consents = any::<bool>();
    (tags, fields, phone, consents).prop_map(|(tags, fields, phone, consents)| {
        let mut subscriber = Subscriber::new(EMAIL).tags(&tags);
        for (key, value) in fields {
            subscriber = subscriber.field(key, value);
        }
        if let Some(number) = phone {
            subscriber = subscriber.phone(number);
        }
        if consents {
            subscriber
        } else {
            subscriber.unsubscribed()
        }
    })
}
