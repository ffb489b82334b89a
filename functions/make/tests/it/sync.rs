//! Syncs to Make.as.

use conformance::{EMAIL, USER, anna, record};
use fakes::make::{MakeSettings, Subscriber, TagForm};
use fakes::sesamy::{Contract, User};
use fakes::{Api, Fault};
use serde_json::{Value, json};

use crate::crm::{LIST, OTHER_LIST, daily_subscriber, set, start, start_with_two_lists};

#[tokio::test]
async fn a_new_user_has_tags_product_and_subscription() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let contact = account.subscriber(EMAIL).unwrap();
    assert_eq!(contact.details["firstname"], "Anna");
    assert_eq!(contact.details["lastname"], "Ask");
    assert_eq!(contact.details["company"], "X AS");
    assert_eq!(contact.external_id.as_deref(), Some(USER));
    assert_eq!(contact.tags, ["sesamy_active_subscriber"]);
    assert_eq!(contact.lists, [LIST]);
    let product = &account.products()[0];
    assert_eq!(product.external_id, "sid:Daily|po1");
    assert_eq!(product.name, "The Daily - Monthly");
    let subscription = &account.subscriptions_of(EMAIL)[0];
    assert_eq!(subscription.external_id, "c1");
    assert_eq!(subscription.product_external_id, "sid:Daily|po1");
    assert_eq!(subscription.status, "active");
    assert_eq!(subscription.end_date, None);
}

#[tokio::test]
async fn a_typical_sync_makes_four_calls_and_three_if_the_contact_is_unchanged() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    assert_eq!(
        bench.calls(Api::Make),
        [
            "POST /subscribers/by_email",
            "POST /subscribers",
            "POST /subscribers/subscriptions/products/bulkinsert",
            "POST /subscribers/subscriptions/bulkinsert",
        ]
    );
    bench.synced(USER, "b").await;
    assert_eq!(
        bench.calls(Api::Make),
        [
            "POST /subscribers/by_email",
            "POST /subscribers/subscriptions/products/bulkinsert",
            "POST /subscribers/subscriptions/bulkinsert",
        ]
    );
    bench.sesamy.put_user(anna());
    bench.synced(USER, "c").await;
    bench.calls(Api::Make);
    bench.synced(USER, "d").await;
    assert_eq!(
        bench.calls(Api::Make),
        ["POST /subscribers/by_email"],
        "no empty lists are sent"
    );
}

#[tokio::test]
async fn overdue_and_ended_contracts_are_cancelled_and_only_ended_ones_have_an_end_date() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(
        anna()
            .contract(Contract::overdue("late"))
            .contract(Contract::expired("gone")),
    );
    bench.synced(USER, "a").await;
    for (id, end) in [("gone", Some("2025-06-15")), ("late", None)] {
        let subscriptions = account.subscriptions_of(EMAIL);
        let subscription = subscriptions.iter().find(|s| s.external_id == id).unwrap();
        assert_eq!(subscription.status, "cancelled", "{id}");
        assert_eq!(subscription.end_date.as_deref(), end, "{id}");
    }
    assert_eq!(account.subscriptions_of(EMAIL).len(), 2);
}

#[tokio::test]
async fn foreign_tags_stay_in_every_form_of_tags() {
    for tag_form in [TagForm::Names, TagForm::Ids, TagForm::Objects] {
        let (bench, account) = start().await;
        account.set_settings(MakeSettings {
            tag_form,
            ..MakeSettings::default()
        });
        account.put_subscriber(Subscriber::new(EMAIL).on_list(LIST).tags(&[
            "vip",
            "SESAMY_legacy",
            "sesamy_old",
        ]));
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "a").await;
        let tags = account.subscriber(EMAIL).unwrap().tags;
        assert_eq!(
            tags,
            ["vip", "SESAMY_legacy", "sesamy_active_subscriber"],
            "{tag_form:?}"
        );
    }
}

#[tokio::test]
async fn a_tag_without_a_known_name_stops_the_sync_before_any_write() {
    let answers = [
        json!([]),
        json!([{"id": 1}]),
        json!([{"id": {"odd": true}, "title": "vip"}]),
    ];
    for answer in answers {
        let (bench, account) = start().await;
        account.set_settings(MakeSettings {
            tag_form: TagForm::Ids,
            ..MakeSettings::default()
        });
        account.put_subscriber(Subscriber::new(EMAIL).on_list(LIST).tags(&["vip"]));
        bench.sesamy.put_user(daily_subscriber());
        let fault = Fault::json(200, answer.clone()).on(Api::Make);
        bench.fakes.fault(fault.path("/subscriber_tags"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, _) = bench.queue.dead_letters().remove(0);
        assert_eq!(kind, "malformed_answer", "{answer}");
        assert_eq!(account.subscriber(EMAIL).unwrap().tags, ["vip"], "{answer}");
        assert_eq!(bench.fakes.violation_kinds(), [], "{answer}");
    }
}

#[tokio::test]
async fn names_and_company_that_sesamy_no_longer_has_stay() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    bench.sesamy.put_user(User::new(USER).email(EMAIL));
    bench.synced(USER, "b").await;
    let contact = account.subscriber(EMAIL).unwrap();
    assert_eq!(contact.details["company"], "X AS");
    assert_eq!(contact.details["firstname"], "Anna");
}

#[tokio::test]
async fn a_contact_of_another_list_joins_this_one() {
    let (bench, account) = start().await;
    account.put_subscriber(Subscriber::new(EMAIL).on_list(OTHER_LIST).tags(&["vip"]));
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    let mut lists = account.subscriber(EMAIL).unwrap().lists;
    lists.sort_unstable();
    assert_eq!(lists, [LIST, OTHER_LIST]);
}

#[tokio::test]
async fn every_list_is_synced_even_if_another_fails() {
    let (bench, [first, second]) = start_with_two_lists().await;
    bench.sesamy.put_user(daily_subscriber());
    let failing = Fault::status(500).on(Api::Make).account("one").once();
    bench.fakes.fault(failing);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(first.subscribers().len(), 0);
    assert_eq!(second.subscriptions_of(EMAIL).len(), 1);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    assert_eq!(first.subscriptions_of(EMAIL).len(), 1);
}

#[tokio::test]
async fn a_list_that_may_recover_is_retried_before_another_lists_error_counts() {
    let (bench, [first, _]) = start_with_two_lists().await;
    bench.sesamy.put_user(daily_subscriber());
    bench
        .fakes
        .fault(Fault::status(500).on(Api::Make).account("one").once());
    bench
        .fakes
        .fault(Fault::status(422).on(Api::Make).account("two"));
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    assert_eq!(first.subscriptions_of(EMAIL).len(), 1);
    assert_eq!(bench.queue.dead_letters().len(), 1);
}

#[tokio::test]
async fn more_than_a_thousand_items_are_sent_in_chunks() {
    let (bench, account) = start().await;
    let user = (0..1001).fold(anna(), |user, n| {
        let id = format!("c{n}");
        user.contract(Contract::active(&id).item(&format!("sku{n}"), "Title", "po", "Option"))
    });
    bench.sesamy.put_user(user);
    bench.synced(USER, "a").await;
    assert_eq!(account.products().len(), 1001);
    assert_eq!(account.subscriptions_of(EMAIL).len(), 1001);
    let bulk = bench
        .calls(Api::Make)
        .into_iter()
        .filter(|call| call.ends_with("bulkinsert"));
    assert_eq!(bulk.count(), 4);
}

struct ConsentCase {
    on_list: bool,
    email_status: &'static str,
    joins: bool,
}

const CONSENT_CASES: [ConsentCase; 9] = [
    case(true, "active", false),
    case(true, "unsubscribed", false),
    case(true, "bounce", false),
    case(false, "active", true),
    case(false, "Active", true),
    case(false, "unsubscribed", false),
    case(false, "bounce", false),
    case(false, "Unsubscribed", false),
    // An unknown status is not consent.
    case(false, "complained", false),
];

const fn case(on_list: bool, email_status: &'static str, joins: bool) -> ConsentCase {
    ConsentCase {
        on_list,
        email_status,
        joins,
    }
}

#[tokio::test]
async fn a_contact_is_changed_by_id_and_joins_only_if_its_status_allows() {
    for case in CONSENT_CASES {
        let name = format!("{} {}", case.on_list, case.email_status);
        let (bench, account) = start().await;
        let mut contact = Subscriber::new(EMAIL)
            .on_list(OTHER_LIST)
            .email_status(case.email_status)
            .tags(&["vip", "sesamy_stale"]);
        if case.on_list {
            contact = contact.on_list(LIST);
        }
        account.put_subscriber(contact);
        let before = account.subscriber(EMAIL).unwrap();
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "a").await;

        let mut lists = before.lists;
        let expected = if case.joins {
            lists.push(LIST);
            "POST /subscribers?subscriber_list_id%5B%5D=77&tag=replace".to_owned()
        } else {
            format!("PATCH /subscribers/{}?tag=replace", before.id)
        };
        let request = bench.fakes.requests_to(Api::Make).remove(1);
        let request = format!("{} {}?{}", request.method, request.path, request.query);
        assert_eq!(request, expected, "{name}");
        let after = account.subscriber(EMAIL).unwrap();
        assert_eq!(after.lists, lists, "{name}");
        assert_eq!(after.email_status, case.email_status, "{name}");
        assert_eq!(after.tags, ["vip", "sesamy_active_subscriber"], "{name}");
        assert_eq!(after.details["company"], "X AS", "{name}");
        assert_eq!(account.subscriptions_of(EMAIL).len(), 1, "{name}");

        bench.calls(Api::Make);
        bench.synced(USER, "b").await;
        assert_eq!(bench.calls(Api::Make).len(), 3, "{name}: nothing differs");
    }
}

#[tokio::test]
async fn a_malformed_contact_stops_the_sync_before_any_write() {
    let contact =
        |id: Value, tags: Value| json!({ "id": id, "email": EMAIL, "lists": [LIST], "tags": tags });
    for answer in [
        contact(json!(null), json!([])),
        contact(json!(""), json!([])),
        contact(json!({ "odd": true }), json!([])),
        contact(json!(1), json!([{ "label": "vip" }])),
        contact(json!(1), json!([null])),
        contact(json!(1), json!([["vip"]])),
    ] {
        let (bench, account) = start().await;
        bench.sesamy.put_user(daily_subscriber());
        let fault = Fault::json(200, answer.clone()).on(Api::Make);
        bench.fakes.fault(fault.path("/subscribers/by_email"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, _) = bench.queue.dead_letters().remove(0);
        assert_eq!(kind, "malformed_answer", "{answer}");
        assert_eq!(bench.calls(Api::Make).len(), 1, "{answer}");
        assert_eq!(account.subscribers(), [], "{answer}");
    }
}

#[tokio::test]
async fn a_contract_that_is_active_again_loses_its_end_date() {
    let (bench, account) = start().await;
    let item = |contract: Contract| contract.item("sid:Daily", "The Daily", "po1", "Monthly");
    let states = [
        (item(Contract::active("c1")), None),
        (item(Contract::expired("c1")), Some("2025-06-15")),
        (item(Contract::active("c1")), None),
    ];
    for (n, (contract, end)) in states.into_iter().enumerate() {
        bench.sesamy.put_user(anna().contract(contract));
        bench.synced(USER, &n.to_string()).await;
        let subscription = account.subscriptions_of(EMAIL).remove(0);
        assert_eq!(subscription.end_date.as_deref(), end, "{n}");
    }
}

struct MalformedSetCase {
    set: Value,
    fault: &'static str,
}

fn malformed_sets() -> [MalformedSetCase; 4] {
    let url = "https://example.com";
    [
        MalformedSetCase {
            set: json!({}),
            fault: "key \"userId\" is missing",
        },
        MalformedSetCase {
            set: json!("s3cret"),
            fault: "it is not a JSON object",
        },
        MalformedSetCase {
            set: json!({ "userId": "u", "apiKey": 5, "listId": 1, "apiUrl": url }),
            fault: "key \"apiKey\" must be a text that is not empty",
        },
        MalformedSetCase {
            set: json!({ "userId": "u", "apiKey": "s3cret", "listId": "", "apiUrl": url }),
            fault: "key \"listId\" must be a text that is not empty",
        },
    ]
}

#[tokio::test]
async fn a_malformed_set_is_refused_and_the_others_are_synced() {
    for malformed in malformed_sets() {
        let (bench, account) = start().await;
        bench.put_connector_secret(&json!([malformed.set, set(&bench, "account", LIST)]));
        bench.sesamy.put_user(daily_subscriber());
        assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
        assert_eq!(bench.queue.dead_letters(), [], "it is retried");
        assert_eq!(account.subscriber(EMAIL).unwrap().lists, [LIST]);
        assert_eq!(account.subscriptions_of(EMAIL).len(), 1);

        let preview = bench.preview(USER).await;
        assert_eq!(preview.outcome, "error");
        let shown = serde_json::to_value(&preview).unwrap();
        assert_eq!(shown["error"]["code"], "refused");
        let message = shown["error"]["message"].as_str().unwrap();
        let expected = format!("set 1 of it: {}", malformed.fault);
        assert!(message.contains(&expected), "{message}");
        assert!(!message.contains("s3cret"), "{message}");

        // A corrected secret takes effect immediately, although the old one is cached.
        bench.put_connector_secret(&set(&bench, "account", LIST));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_set_that_may_recover_is_retried_before_a_malformed_one_counts() {
    let (bench, account) = start().await;
    bench.put_connector_secret(&json!([{}, set(&bench, "account", LIST)]));
    bench.sesamy.put_user(daily_subscriber());
    bench.fakes.fault(Fault::status(500).on(Api::Make).once());
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
    assert_eq!(preview["error"]["code"], "refused");
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(account.subscriptions_of(EMAIL).len(), 1);
}

#[tokio::test]
async fn without_a_valid_set_nothing_is_called() {
    let (bench, _) = start().await;
    bench.put_connector_secret(&json!([{}, {}]));
    bench.sesamy.put_user(daily_subscriber());
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(bench.calls(Api::Sesamy), [""; 0]);
}
