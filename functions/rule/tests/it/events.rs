//! Events at Rule: each starts its flows with its own fields.

use conformance::{EMAIL, TestedCrm, USER, event, event_of};
use fakes::rule::{Flow, RuleAccount, Subscriber};
use fakes::sesamy::{Bill, Contract, User};
use fakes::{Api, Fault};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::message::EventType;

use crate::crm::{RuleCrm, start};

const CHECKOUT: &str = "sesamy_event_checkout-confirm";
const USER_UPDATE: &str = "sesamy_event_uservendor-update";

/// A user who paid for `c1` first, then for `c2`, and not yet for `c3`.
fn buyer() -> User {
    let bill = |id, contract, price, paid_at| {
        Bill::paid(id, contract)
            .price(price, "SEK")
            .paid_at(paid_at)
    };
    User::new(USER)
        .email(EMAIL)
        .contract(Contract::active("c1"))
        .contract(Contract::active("c2"))
        .contract(Contract::active("c3"))
        .bill(bill("b0", "c1", 1, "2026-01-01T08:00:00Z"))
        .bill(bill("b1", "c1", 11, "2026-02-01T08:00:00Z"))
        .bill(bill("b2", "c2", 22, "2026-03-01T08:00:00Z"))
        .bill(Bill::with_status("b3", "c3", "PENDING").paid_at("2026-04-01T08:00:00Z"))
}

/// The only flow that a tag started.
fn flow(account: &RuleAccount, tag: &str) -> Flow {
    let mut flows = account.flows_of(EMAIL);
    flows.retain(|flow| flow.tag == tag);
    assert_eq!(flows.len(), 1, "{tag}");
    flows.remove(0)
}

fn field(flow: &Flow, key: &str) -> Value {
    flow.fields.get(key).cloned().unwrap_or_default()
}

#[tokio::test]
async fn each_flow_starts_with_the_fields_of_its_own_event() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(buyer());
    let checkout = json!({
        "eventType": "checkout.1#confirm", "occurredAt": "2026-02-01T08:00:01Z",
        "contractId": "c1", "checkoutId": "ch1",
    });
    let update =
        json!({ "eventType": "userVendor.1#update", "occurredAt": "2026-02-01T08:00:02Z" });
    let purchase = json!({
        "eventType": "contract.1#purchased", "occurredAt": "2026-02-01T08:00:00Z",
        "contractId": "c3",
    });
    let batch = [
        event_of("1", USER, "a", &checkout),
        event_of("2", USER, "b", &update),
        event_of("3", USER, "c", &purchase),
    ];
    assert_eq!(bench.handle(batch).await, [""; 0]);
    assert_eq!(bench.fakes.violations(), []);

    let receipt = flow(&account, CHECKOUT);
    for (key, value) in [
        ("Type", json!("checkout.1#confirm")),
        ("OccurredAt", json!("2026-02-01T08:00:01Z")),
        ("ContractID", json!("c1")),
        ("CheckoutID", json!("ch1")),
    ] {
        assert_eq!(field(&receipt, &format!("Sesamy_Event.{key}")), value);
    }
    let amount = "Sesamy_LastPayment.Amount";
    assert_eq!(field(&receipt, amount), "11", "the contract's newest bill");
    let update = flow(&account, USER_UPDATE);
    for key in ["Sesamy_Event.ContractID", "Sesamy_Event.CheckoutID"] {
        assert_eq!(field(&update, key), Value::Null, "{key}");
    }
    assert_eq!(field(&update, amount), "22", "the newest of all");
    let purchase = flow(&account, "sesamy_event_contract-purchased");
    assert_eq!(field(&purchase, "Sesamy_Event.ContractID"), "c3");
    assert_eq!(field(&purchase, amount), "22", "c3 is not paid for");
    // The state is synced before any event is delivered.
    assert_eq!(field(&receipt, "Sesamy_Subscription.Status"), "ACTIVE");
    let tags: Vec<_> = account.flows_of(EMAIL).into_iter().map(|f| f.tag).collect();
    let events = tags.iter().filter(|tag| tag.starts_with("sesamy_event_"));
    assert_eq!(
        events.collect::<Vec<_>>(),
        [&receipt.tag, &update.tag, &purchase.tag],
        "in the order of the queue"
    );
}

#[tokio::test]
async fn the_upsert_of_the_state_carries_no_event() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(buyer());
    bench.synced(USER, "a").await;
    let requests = bench.fakes.requests_to(Api::Rule);
    let mut upserts = requests.iter().filter(|r| r.path == "/v2/subscribers");
    let state = upserts.next().unwrap().body.as_ref().unwrap().to_string();
    for key in ["Sesamy_Event.", "Sesamy_LastPayment.", "sesamy_event_"] {
        assert!(!state.contains(key), "{key} in {state}");
    }
    let event = upserts.next().unwrap().body.as_ref().unwrap();
    assert_eq!(event["tags"], json!(["sesamy_event_contract-update"]));
    assert_eq!(event["subscribers"]["email"], EMAIL);
    assert_eq!(event.get("sync_subscribers"), None);
    assert_eq!(upserts.count(), 0);
}

#[tokio::test]
async fn automation_is_never_sent() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(buyer());
    let batch = EventType::ALL.map(|kind| event(kind.name(), USER, kind.name(), kind.name()));
    assert_eq!(bench.handle(batch).await, [""; 0]);
    for request in bench.fakes.requests_to(Api::Rule) {
        let body = request.body.unwrap_or_default();
        assert_eq!(body.get("automation"), None, "{}", request.path);
    }
}

#[tokio::test]
async fn every_event_of_a_batch_starts_its_flow_once() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(buyer());
    let batch = [
        event("1", USER, "a", "checkout.1#confirm"),
        event("2", USER, "b", "contract.1#purchased"),
        event("3", USER, "c", "entitlement.1#new"),
        event("4", USER, "d", "userVendor.1#new"),
        event("5", USER, "a", "checkout.1#confirm"),
    ];
    assert_eq!(bench.handle(batch).await, [""; 0]);
    for tag in [
        "checkout-confirm",
        "contract-purchased",
        "entitlement-new",
        "uservendor-new",
    ] {
        let tag = format!("sesamy_event_{tag}");
        assert_eq!(account.started(EMAIL, &tag), 1, "{tag}");
    }
    let calls = bench.calls(Api::Rule);
    let upserts = calls.iter().filter(|c| *c == "POST /v2/subscribers");
    assert_eq!(upserts.count(), 1 + 4, "one sync, and one for each event");
}

#[tokio::test]
async fn a_second_event_of_a_type_starts_its_flow_again() {
    let (bench, account) = start().await;
    // The account ignores case, and the contact may have the tag in another case.
    for tag in [CHECKOUT, "Sesamy_Event_Checkout-Confirm"] {
        account.put_subscriber(Subscriber::new(EMAIL).tags(&[tag]));
        account.set_settings(RuleCrm::settings_that_ignore_case());
        let before = account.flows().len();
        bench.sesamy.put_user(User::new(USER).email(EMAIL));
        let batch = [
            event("1", USER, &format!("{tag}-a"), "checkout.1#confirm"),
            event("2", USER, &format!("{tag}-b"), "checkout.1#confirm"),
        ];
        assert_eq!(bench.handle(batch).await, [""; 0]);
        let flows = account.flows().split_off(before);
        let events = flows
            .iter()
            .filter(|f| f.tag.eq_ignore_ascii_case(CHECKOUT));
        assert_eq!(events.count(), 2, "{tag}");
    }
}

#[tokio::test]
async fn a_delivered_event_is_not_delivered_again_if_the_next_one_fails() {
    // The second event's upsert fails, or the removal of its tag before it.
    let upsert = Fault::status(500).method("POST").path("/v2/subscribers");
    let removal = Fault::status(500).method("DELETE");
    for fault in [upsert.skip(2), removal] {
        let case = format!("{fault:?}");
        let (bench, account) = start().await;
        bench.sesamy.put_user(User::new(USER).email(EMAIL));
        let purchase = "sesamy_event_contract-purchased";
        account.put_subscriber(Subscriber::new(EMAIL).tags(&[purchase]));
        bench.fakes.fault(fault.on(Api::Rule).once());
        let batch = [
            event("1", USER, "a", "checkout.1#confirm"),
            event("2", USER, "b", "contract.1#purchased"),
        ];
        assert_eq!(bench.handle(batch.clone()).await, ["2"], "{case}");
        let [_, failed] = batch;
        assert_eq!(bench.handle([failed]).await, [""; 0], "{case}");
        assert_eq!(account.started(EMAIL, CHECKOUT), 1, "{case}");
        assert_eq!(account.started(EMAIL, purchase), 1, "{case}");
    }
}

#[tokio::test]
async fn no_event_is_delivered_to_a_silenced_contact() {
    let contact = Subscriber::new(EMAIL);
    let blocked = contact.clone().blocked();
    let mut suppressed = contact.clone();
    suppressed.suppressed.push("email".to_owned());
    let mut not_opted_in = contact;
    not_opted_in.opted_in = false;
    for contact in [blocked, suppressed, not_opted_in] {
        let name = format!("{contact:?}");
        let (bench, account) = start().await;
        account.put_subscriber(contact);
        let before = account.subscriber(EMAIL).unwrap();
        bench.sesamy.put_user(buyer());
        let batch = [
            event("1", USER, "a", "checkout.1#confirm"),
            event("2", USER, "b", "contract.1#purchased"),
        ];
        assert_eq!(bench.handle(batch).await, [""; 0], "{name}");
        let after = account.subscriber(EMAIL).unwrap();
        assert_eq!(
            (after.blocked, &after.suppressed, after.opted_in),
            (before.blocked, &before.suppressed, before.opted_in),
            "{name}"
        );
        assert_eq!(
            after.tags,
            ["sesamy", "sesamy_active_subscriber"],
            "{name}: the state is synced"
        );
        let mut events = after
            .fields
            .keys()
            .filter(|key| key.starts_with("Sesamy_Event"));
        assert_eq!(events.next(), None, "{name}");
        assert_eq!(bench.fakes.violations(), [], "{name}");
    }
}

/// Its webhook came before the last read of the user's state, so nothing is read.
#[tokio::test]
async fn covered_event_starts_its_flow_with_its_own_fields_alone() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(buyer());
    let first = json!({
        "eventType": "contract.1#purchased", "occurredAt": "2026-02-01T08:00:00Z",
        "contractId": "c1",
    });
    assert_eq!(
        bench.handle([event_of("1", USER, "a", &first)]).await,
        [""; 0]
    );
    let receipt = account.subscriber(EMAIL).unwrap().fields["Sesamy_LastPayment.Amount"].clone();
    bench.fakes.clear_requests();
    let second = json!({
        "eventType": "checkout.1#confirm", "occurredAt": "2026-02-01T08:00:01Z",
        "contractId": "c2", "checkoutId": "ch2",
    });
    let covered = event_of("2", USER, "b", &second);
    let covered = bench.received(SignedDuration::from_secs(5), covered);
    for _ in 0..2 {
        assert_eq!(bench.handle([covered.clone()]).await, [""; 0]);
    }
    let flow = flow(&account, CHECKOUT);
    assert_eq!(field(&flow, "Sesamy_Event.ContractID"), "c2");
    assert_eq!(field(&flow, "Sesamy_Event.CheckoutID"), "ch2");
    assert_eq!(field(&flow, "Sesamy_LastPayment.Amount"), receipt);
    assert_eq!(bench.fakes.requests_to(Api::Sesamy), []);
    let calls = bench.calls(Api::Rule);
    let writes: Vec<_> = calls
        .iter()
        .filter(|call| !call.starts_with("GET"))
        .collect();
    assert_eq!(writes, ["POST /v2/subscribers"], "the event alone, once");
}

#[tokio::test]
async fn covered_event_is_not_delivered_to_a_suppressed_contact() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(buyer());
    bench.synced(USER, "a").await;
    account.put_subscriber(account.subscriber(EMAIL).unwrap().unsubscribed());
    let flows = account.flows().len();
    let covered = event("2", USER, "b", "checkout.1#confirm");
    let covered = bench.received(SignedDuration::from_secs(5), covered);
    assert_eq!(bench.handle([covered]).await, [""; 0]);
    assert_eq!(account.flows().len(), flows);
}

/// Another contact may have the remembered id, after a change of the account.
#[tokio::test]
async fn covered_event_is_delivered_to_no_contact_of_another_address() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(buyer());
    bench.synced(USER, "a").await;
    let mut contact = account.subscriber(EMAIL).unwrap();
    "stranger@example.se".clone_into(&mut contact.email);
    account.put_subscriber(contact);
    let covered = event("2", USER, "b", "checkout.1#confirm");
    let covered = bench.received(SignedDuration::from_secs(5), covered);
    assert_eq!(bench.handle([covered]).await, [""; 0]);
    assert_eq!(
        flow(&account, CHECKOUT).email,
        EMAIL,
        "after an ordinary sync"
    );
}
