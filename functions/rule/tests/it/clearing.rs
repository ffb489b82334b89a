//! Accounts at Rule that refuse an empty date or list.

use std::collections::BTreeMap;

use conformance::{
    Bench, EMAIL, USER, anna, any_state, derived, event, preview_and_sync, resync, seeded,
};
use fakes::rule::{RuleAccount, RuleSettings, Subscriber};
use fakes::sesamy::{Bill, Contract, User};
use fakes::{Api, Fault};
use proptest::prelude::*;
use rule::{Rule, mapping};
use serde_json::{Value, json};

use crate::crm::RuleCrm;

async fn start() -> (Bench<Rule>, RuleAccount) {
    let (bench, account) = crate::crm::start().await;
    account.set_settings(RuleSettings {
        empty_clears_text_alone: true,
        error_percent_limit: Some(49),
        ..RuleSettings::default()
    });
    (bench, account)
}

fn daily_subscriber() -> User {
    crate::crm::daily_subscriber().bill(Bill::paid("b1", "c1").price(99, "SEK"))
}

/// Counts the recorded calls that Rule answered with a 400, and clears the record.
fn refusals(bench: &Bench<Rule>) -> usize {
    let requests = bench.fakes.requests_to(Api::Rule);
    bench.fakes.clear_requests();
    requests.iter().filter(|r| r.status == Some(400)).count()
}

/// The fields that are not written by events.
fn state_fields(account: &RuleAccount) -> BTreeMap<String, Value> {
    let mut fields = account.subscriber(EMAIL).unwrap().fields;
    fields.retain(|key, _| !key.starts_with("Sesamy_Event") && !key.contains("LastPayment"));
    fields
}

#[tokio::test]
async fn an_account_refuses_once_per_function_instance() {
    let (mut bench, account) = start().await;
    let user = |n: usize| format!("email|{n}");
    for n in 0..10 {
        let without_subscription = User::new(&user(n)).email(&format!("{n}@example.se"));
        bench.sesamy.put_user(without_subscription);
    }
    for _instance in 0..2 {
        for expected in [1, 0] {
            let records = (0..10).map(|n| resync(&n.to_string(), &user(n)));
            assert_eq!(bench.handle(records).await, [""; 0]);
            assert_eq!(bench.queue.dead_letters(), []);
            assert_eq!(refusals(&bench), expected);
        }
        bench.restart(Rule::default());
    }
    assert_eq!(account.subscribers().len(), 10);
    assert_eq!(bench.fakes.violations(), []);
}

#[tokio::test]
async fn a_value_that_no_longer_applies_is_cleared_with_its_group() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).field("Shop.Size", "38"));
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    bench.sesamy.put_user(anna());
    bench.fakes.clear_requests();
    bench.synced(USER, "b").await;
    let fields = state_fields(&account);
    let keys: Vec<_> = fields.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "Sesamy_User.Created",
            "Sesamy_User.FirstName",
            "Sesamy_User.ID",
            "Sesamy_User.LastName",
            "Shop.Size",
            "Subscriber.FirstName",
            "Subscriber.LastName",
        ]
    );
    let calls = bench.calls(Api::Rule);
    let deletes = calls.iter().filter(|c| c.starts_with("DELETE /v3/"));
    assert_eq!(deletes.count(), 3, "products, subscription, payment");
    bench.synced(USER, "c").await;
    let calls = bench.calls(Api::Rule);
    assert!(
        !calls.iter().any(|c| c.starts_with("DELETE /v3/")),
        "{calls:?}"
    );
}

#[tokio::test]
async fn the_other_fields_of_a_cleared_group_are_written_again() {
    let (bench, account) = start().await;
    let canceled = Contract::active("c1").set("willCancelAt", "2099-01-01T00:00:00Z");
    bench.sesamy.put_user(anna().contract(canceled));
    bench.synced(USER, "a").await;
    let key = "Sesamy_Subscription.CanceledAt";
    assert!(state_fields(&account).contains_key(key));
    bench
        .sesamy
        .put_user(anna().contract(Contract::active("c1")));
    // The next attempt recovers each failed call.
    for (method, path) in [
        ("DELETE", "/v3/custom-field-data/*"),
        ("PUT", "/v2/subscribers/*"),
    ] {
        let fault = Fault::status(500).on(Api::Rule).method(method).path(path);
        bench.fakes.fault(fault.once());
        let failures = bench.handle([resync("1", USER)]).await;
        assert_eq!(failures, ["1"], "{method} {path}");
    }
    bench.synced(USER, "b").await;
    let fields = state_fields(&account);
    assert!(!fields.contains_key(key));
    assert_eq!(fields["Sesamy_Subscription.Status"], "ACTIVE");
}

#[tokio::test]
async fn an_event_without_a_payment_clears_the_payment_fields() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let date = "Sesamy_LastPayment.Date";
    assert!(account.subscriber(EMAIL).unwrap().fields.contains_key(date));
    bench.sesamy.put_user(anna());
    let update = event("1", USER, "b", "userVendor.1#update");
    assert_eq!(bench.handle([update]).await, [""; 0]);
    let flows = account.flows_of(EMAIL);
    let flow = flows.last().unwrap();
    assert_eq!(flow.tag, "sesamy_event_uservendor-update");
    assert_eq!(flow.fields["Sesamy_Event.Type"], "userVendor.1#update");
    assert_eq!(flow.fields.get(date), None);
}

#[tokio::test]
async fn any_other_refusal_moves_the_message_to_the_dead_letter_queue() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(anna());
    let body = json!({ "error": "ValidationError", "fields": { "email": "is none" } });
    let fault = Fault::json(400, body).on(Api::Rule).method("POST");
    bench.fakes.fault(fault.path("/v2/subscribers").once());
    assert_eq!(bench.handle([resync("1", USER)]).await, [""; 0]);
    assert_eq!(bench.queue.dead_letters().len(), 1);
    assert_eq!(refusals(&bench), 1);
}

#[tokio::test]
async fn forgetting_clears_every_group() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).field("Shop.Size", "38"));
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let forgotten = bench.forget(USER, None).await;
    assert_eq!(forgotten.outcome, "forgotten");
    let fields = account.subscriber(EMAIL).unwrap().fields;
    let keys: Vec<_> = fields.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["Shop.Size", "Subscriber.FirstName", "Subscriber.LastName"]
    );
    assert_eq!(bench.forget(USER, None).await.outcome, "nothing_to_forget");
    assert_eq!(bench.fakes.violations(), []);
}

/// In any sequence of states, the fields equal the derivation after each sync, and
/// previews of an instance that knows the account announce what the sync writes.
#[test]
fn fields_equal_the_derivation_and_previews_announce_them() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bench, account) = runtime.block_on(start());
    bench.sesamy.set_rate_limit(None);
    bench.sesamy.put_user(User::new(USER).email(EMAIL));
    runtime.block_on(bench.resynced(USER));
    assert_eq!(refusals(&bench), 1, "the first sync finds out");
    let sequences = prop::collection::vec(any_state(USER, EMAIL), 1..4);
    let run = |states: Vec<User>| {
        account.put_subscriber(
            Subscriber::new(EMAIL)
                .field("Shop.Size", "38")
                .field("Sesamy_Subscription.Status", "OVERDUE")
                .field("Sesamy_ActiveProducts.SKU", json!(["stale"])),
        );
        for state in states {
            let desired = mapping::fields(&derived(&state));
            runtime.block_on(preview_and_sync::<RuleCrm>(&bench, &account, state));
            let fields = account.subscriber(EMAIL).unwrap().fields;
            assert_eq!(fields.get("Shop.Size"), Some(&json!("38")));
            for field in desired {
                let value = Some(&field.value).filter(|_| !field.is_cleared());
                assert_eq!(fields.get(field.key), value, "{}", field.key);
            }
        }
        Ok(())
    };
    seeded(200).run(&sequences, run).unwrap();
    assert_eq!(refusals(&bench), 0);
}
