//! Syncs to Rule.

use conformance::{Bench, EMAIL, TestedCrm, USER, anna, record, resync};
use fakes::rule::{RuleAccount, Subscriber};
use fakes::sesamy::{Address, Bill, Contract, Entitlement, User};
use fakes::{Api, Fault, RetryAfter};
use rule::Rule;
use serde_json::{Value, json};

use crate::crm::{RuleCrm, daily_subscriber, start};

fn put_secret(bench: &Bench<Rule>, key: &str, value: Value) {
    let mut secret = RuleCrm::secret(&bench.fakes, "account");
    secret[key] = value;
    bench.put_connector_secret(&secret);
}

fn sorted_tags(account: &RuleAccount) -> Vec<String> {
    let mut tags = account.subscriber(EMAIL).unwrap().tags;
    tags.sort();
    tags
}

/// Each entitlement gives two tags.
fn with_entitlements(user: User, count: usize) -> User {
    (0..count).fold(user, |user, n| {
        let (id, sku, title) = (format!("e{n}"), format!("sku-{n}"), format!("Title {n}"));
        user.entitlement(Entitlement::new(&id, &sku, &title))
    })
}

/// Also clears the recorded calls.
fn writes_phone(bench: &Bench<Rule>) -> bool {
    let calls = bench.calls(Api::Rule);
    calls.iter().any(|call| call.starts_with("PUT"))
}

#[tokio::test]
async fn a_new_contact_has_tags_and_fields() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(
        daily_subscriber()
            .phone_number("+46701234567")
            .billing_address(Address::new("Storgatan 1", "111 22", "Stockholm", "SE"))
            .bill(
                Bill::paid("b1", "c1")
                    .price(99.5, "SEK")
                    .paid_at("2026-02-01T08:00:00Z"),
            ),
    );
    bench.synced(USER, "a").await;
    let contact = account.subscriber(EMAIL).unwrap();
    assert_eq!(
        sorted_tags(&account),
        [
            "sesamy",
            "sesamy_active_entitlement_the-daily",
            "sesamy_active_sku_sid-daily",
            "sesamy_active_subscriber",
            "sesamy_event_contract-update",
        ]
    );
    let expected = [
        ("Subscriber.FirstName", json!("Anna")),
        ("Subscriber.LastName", json!("Ask")),
        ("Subscriber.Phone", json!("+46701234567")),
        ("Sesamy_User.ID", json!(USER)),
        ("Sesamy_BillingAddress.Street", json!("Storgatan 1")),
        ("Sesamy_ActiveProducts.Titles", json!(["The Daily"])),
        ("Sesamy_Subscription.Status", json!("ACTIVE")),
        ("Sesamy_Event.Type", json!("contract.1#update")),
        ("Sesamy_Event.OccurredAt", json!("2026-01-01T00:00:00Z")),
        ("Sesamy_LastPayment.Amount", json!("99.5")),
        ("Sesamy_LastPayment.Currency", json!("SEK")),
        ("Sesamy_LastPayment.Date", json!("2026-02-01")),
    ];
    for (key, value) in expected {
        assert_eq!(contact.fields.get(key), Some(&value), "{key}");
    }
    assert_eq!(contact.phone_number.as_deref(), Some("+46701234567"));
}

#[tokio::test]
async fn a_typical_sync_makes_two_calls_and_one_or_two_per_event() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    assert_eq!(
        bench.calls(Api::Rule),
        [
            "POST /v2/customizations",
            "POST /v2/subscribers",
            "GET /v2/subscribers/anna%40example.se/tags",
            "POST /v2/subscribers",
        ]
    );
    bench.fakes.clear_requests();
    bench.synced(USER, "b").await;
    let reads = bench.fakes.requests_to(Api::Sesamy).len();
    assert_eq!(reads, 4, "profile, contracts, entitlements, bills");
    assert_eq!(
        bench.calls(Api::Rule),
        [
            "POST /v2/subscribers",
            "GET /v2/subscribers/anna%40example.se/tags",
            "DELETE /v2/subscribers/anna%40example.se/tags/sesamy_event_contract-update",
            "POST /v2/subscribers",
        ],
        "fields are defined once per account and function instance"
    );
}

#[tokio::test]
async fn stale_tags_are_removed_and_event_tags_stay() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).tags(&[
        "vip",
        "SESAMY_legacy",
        "sesamy",
        "sesamy_active_subscriber",
        "sesamy_active_sku_old",
        "sesamy_made_single_purchase",
        "sesamy_event_checkout-confirm",
    ]));
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    assert_eq!(
        sorted_tags(&account),
        [
            "SESAMY_legacy",
            "sesamy",
            "sesamy_event_checkout-confirm",
            "sesamy_event_contract-update",
            "sesamy_made_single_purchase",
            "vip",
        ]
    );
}

/// A resync must not send welcome mails to old users.
#[tokio::test]
async fn a_resync_starts_no_flow() {
    let (bench, account) = start().await;
    let user = |n: usize| format!("email|{n}");
    for n in 0..5 {
        // The first user has more tags than fit in one call.
        let entitlements = if n == 0 { 60 } else { 1 };
        let state = User::new(&user(n))
            .email(&format!("old-{n}@example.se"))
            .contract(Contract::active("c1"));
        bench
            .sesamy
            .put_user(with_entitlements(state, entitlements));
    }
    let in_another_case = Subscriber::new("old-1@example.se").tags(&["sesamy_Active_Subscriber"]);
    account.put_subscriber(in_another_case);
    let records = (0..5).map(|n| resync(&n.to_string(), &user(n)));
    assert_eq!(bench.handle(records).await, [""; 0]);
    assert_eq!(account.flows(), []);
    assert_eq!(account.subscribers().len(), 5);
    let first = account.subscriber("old-0@example.se").unwrap();
    assert_eq!(first.tags.len(), 2 + 2 * 60);
    for request in bench.fakes.requests_to(Api::Rule) {
        if request.path == "/v2/subscribers" {
            assert_eq!(request.body.unwrap()["sync_subscribers"], false);
        }
    }
}

#[tokio::test]
async fn a_tag_that_an_event_adds_starts_its_flow_once() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    bench.synced(USER, "b").await;
    assert_eq!(account.started(EMAIL, "sesamy_active_subscriber"), 1);
}

/// A tag with a prefix in another case is ours only if Rule ignores case.
#[tokio::test]
async fn a_prefix_in_another_case_is_replaced_only_if_it_hides_a_desired_tag() {
    for ignores_case in [false, true] {
        let (bench, account) = start().await;
        if ignores_case {
            account.set_settings(RuleCrm::settings_that_ignore_case());
        }
        let others = ["Sesamy_active_subscriber", "SESAMY_x"];
        account.put_subscriber(Subscriber::new(EMAIL).tags(&others));
        bench
            .sesamy
            .put_user(anna().contract(Contract::active("c1")));
        // A preview cannot know whether the account ignores case.
        let preview = bench.preview(USER).await;
        assert!(preview.contacts[0].tags.remove.is_empty(), "{preview:?}");
        bench.calls(Api::Rule);
        bench.resynced(USER).await;
        let calls = bench.calls(Api::Rule);
        let expected: &[&str] = if ignores_case {
            &[
                "DELETE /v2/subscribers/anna%40example.se/tags/Sesamy_active_subscriber",
                "POST /v2/subscribers",
            ]
        } else {
            &[]
        };
        assert_eq!(calls[3..], *expected, "ignores case: {ignores_case}");
        let tags = sorted_tags(&account);
        assert!(tags.iter().any(|tag| tag == others[1]), "{tags:?}");
        let has = |tag: &String| tag.eq_ignore_ascii_case(others[0]);
        assert!(tags.iter().any(has), "{tags:?}");
        assert_eq!(account.flows(), []);
    }
}

/// An account that ignores case keeps the old spelling, so every sync restores the tag.
#[tokio::test]
async fn restoring_a_tag_in_another_case_starts_no_flow() {
    let (bench, account) = start().await;
    account.set_settings(RuleCrm::settings_that_ignore_case());
    account.put_subscriber(Subscriber::new(EMAIL).tags(&["sesamy_Active_Subscriber"]));
    bench
        .sesamy
        .put_user(anna().contract(Contract::active("c1")));
    bench.synced(USER, "a").await;
    bench.synced(USER, "b").await;
    assert_eq!(account.started(EMAIL, "sesamy_Active_Subscriber"), 0);
}

#[tokio::test]
async fn without_events_no_event_is_sent_and_no_bill_is_read() {
    let (bench, account) = start().await;
    put_secret(&bench, "events", json!(false));
    bench.sesamy.put_user(anna().bill(Bill::paid("b1", "c1")));
    bench.synced(USER, "a").await;
    assert_eq!(sorted_tags(&account), ["sesamy"]);
    let fields = account.subscriber(EMAIL).unwrap().fields;
    assert!(
        !fields
            .keys()
            .any(|k| k.starts_with("Sesamy_Event") || k.starts_with("Sesamy_LastPayment"))
    );
    let paths: Vec<_> = bench
        .fakes
        .requests_to(Api::Sesamy)
        .into_iter()
        .map(|r| r.path)
        .collect();
    assert_eq!(paths.len(), 3);
    assert!(!paths.contains(&"/bills".to_owned()), "{paths:?}");
}

#[tokio::test]
async fn a_value_that_no_longer_applies_is_cleared() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    assert!(
        account
            .subscriber(EMAIL)
            .unwrap()
            .fields
            .contains_key("Sesamy_Subscription.Status")
    );
    bench.sesamy.put_user(User::new(USER).email(EMAIL));
    bench.synced(USER, "b").await;
    let fields = account.subscriber(EMAIL).unwrap().fields;
    for gone in [
        "Sesamy_Subscription.Status",
        "Sesamy_ActiveProducts.SKU",
        "Sesamy_User.FirstName",
    ] {
        assert!(!fields.contains_key(gone), "{gone}");
    }
    assert_eq!(
        fields.get("Subscriber.FirstName"),
        Some(&json!("Anna")),
        "Rule's own name stays"
    );
}

#[tokio::test]
async fn a_shared_phone_number_adds_no_tags_to_another_contact() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new("father@example.se").phone("+46701234567"));
    bench
        .sesamy
        .put_user(daily_subscriber().phone_number("+46701234567"));
    bench.synced(USER, "a").await;
    assert_eq!(
        account.subscriber("father@example.se").unwrap().tags,
        [""; 0]
    );
    let fields = account.subscriber(EMAIL).unwrap().fields;
    assert_eq!(fields.get("Subscriber.Phone"), Some(&json!("+46701234567")));
}

#[tokio::test]
async fn a_refused_phone_number_is_not_sent_again() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(anna().phone_number("call me"));
    bench.synced(USER, "a").await;
    bench.fakes.clear_requests();
    bench.synced(USER, "b").await;
    assert!(!writes_phone(&bench));
    assert_eq!(account.subscriber(EMAIL).unwrap().phone_number, None);
}

#[tokio::test]
async fn a_phone_number_in_another_spelling_is_not_written() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).phone("+46701234567"));
    bench.sesamy.put_user(anna().phone_number("070-123 45 67"));
    bench.synced(USER, "a").await;
    assert!(!writes_phone(&bench));
}

#[tokio::test]
async fn hundreds_of_tags_are_sent_in_chunks() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(with_entitlements(anna(), 150));
    bench.synced(USER, "a").await;
    assert_eq!(sorted_tags(&account).len(), 1 + 2 * 150 + 1);
}

#[tokio::test]
async fn a_retry_waits_until_the_stockholm_time() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(anna());
    bench.fakes.fault(
        Fault::too_many_requests(RetryAfter::Stockholm(600))
            .on(Api::Rule)
            .method("POST")
            .path("/v2/subscribers"),
    );
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    let (_, wait) = bench.queue.visibility_changes().remove(0);
    assert!((598..=901).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn a_rotated_key_is_used_without_a_failure() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    account.set_api_key("rotated");
    put_secret(&bench, "apiKey", json!("rotated"));
    bench.synced(USER, "b").await;
    assert_eq!(account.started(EMAIL, "sesamy_event_contract-update"), 2);
}
