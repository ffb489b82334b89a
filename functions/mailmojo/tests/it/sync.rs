//! Syncs to Mailmojo.

use conformance::{Bench, EMAIL, TestedCrm, USER, VENDOR, anna, derived, record};
use fakes::mailmojo::{Contact, FieldKind, FieldsEndpoint, MailmojoSettings, Status};
use fakes::sesamy::{Contract, User};
use fakes::{Api, Fault};
use mailmojo::{Mailmojo, MailmojoCredentials};
use serde_json::json;
use shared::connector::{Account, Changes, Connector, EventStream, Job};
use shared::http::{ApiError, Http};
use shared::identity::VendorId;
use shared::secrets::FromSecret;

use crate::crm::{LIST, MailmojoCrm, OTHER_LIST, daily_subscriber, start};

#[tokio::test]
async fn a_new_user_joins_the_list_with_all_data() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.first_name.as_deref(), Some("Anna"));
    assert_eq!(contact.last_name.as_deref(), Some("Ask"));
    assert_eq!(contact.phone.as_deref(), Some("+4790000001"));
    assert_eq!(contact.tags, ["sesamy_active_subscriber"]);
    assert_eq!(contact.on(LIST), Some(Status::Active));
    let expected = [
        ("Sesamy User ID", json!(USER)),
        ("Has Active Subscription", json!(true)),
        ("Active Subscriptions", json!(1)),
        ("Contract Duration Type", json!("recurring")),
        ("Subscription Expires At", json!("2099-01-15")),
    ];
    for (name, value) in expected {
        assert_eq!(contact.custom.get(name), Some(&value), "{name}");
    }
}

#[tokio::test]
async fn missing_fields_are_defined_once() {
    let (bench, account) = start().await;
    account.define("Has Active Subscription", FieldKind::Boolean);
    account.define("Shoe size", FieldKind::Number);
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    let definitions = account.definitions();
    assert_eq!(definitions.len(), 13 + 1);
    let defining = |calls: Vec<String>| calls.iter().filter(|c| c.contains("/v1/fields/")).count();
    assert_eq!(defining(bench.calls(Api::Mailmojo)), 1 + 12);
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "b").await;
    assert_eq!(defining(bench.calls(Api::Mailmojo)), 0);
}

#[tokio::test]
async fn a_field_defined_by_another_instance_is_not_an_error() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    // Another instance defines the field just before this one does.
    let conflict = Fault::status(400).on(Api::Mailmojo).method("POST");
    let conflict = conflict.path("/v1/fields/").after_effect();
    bench.fakes.fault(conflict.once());
    bench.synced(USER, "a").await;
    assert_eq!(account.definitions().len(), 13);
    assert_eq!(
        account.contact(EMAIL).unwrap().tags,
        ["sesamy_active_subscriber"]
    );
}

#[tokio::test]
async fn an_account_whose_fields_cannot_be_listed_is_still_synced() {
    for status in [403, 404, 405] {
        let (bench, account) = start().await;
        account.set_settings(MailmojoSettings {
            fields: FieldsEndpoint::Refused(status),
            ..MailmojoSettings::default()
        });
        account.define("Active Subscriptions", FieldKind::Number);
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "a").await;
        bench.synced(USER, "b").await;
        let contact = account.contact(EMAIL).unwrap();
        assert_eq!(contact.tags, ["sesamy_active_subscriber"], "{status}");
        assert_eq!(contact.custom["Active Subscriptions"], 1, "{status}");
        let calls = bench.calls(Api::Mailmojo);
        let listings = calls.iter().filter(|call| call.contains("/v1/fields/"));
        assert_eq!(listings.count(), 1, "{status}: once per instance");
    }
}

#[tokio::test]
async fn an_account_whose_fields_cannot_be_defined_is_still_synced() {
    for status in [403, 404, 405] {
        let (bench, account) = start().await;
        account.set_settings(MailmojoSettings {
            drop_unknown_fields: true,
            ..MailmojoSettings::default()
        });
        let refused = Fault::status(status).on(Api::Mailmojo).method("POST");
        bench.fakes.fault(refused.path("/v1/fields/"));
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "a").await;
        let contact = account.contact(EMAIL).unwrap();
        assert_eq!(contact.tags, ["sesamy_active_subscriber"], "{status}");
        bench.fakes.clear_faults();
    }
}

#[tokio::test]
async fn a_typical_sync_makes_two_calls_and_one_if_nothing_changed() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    bench.calls(Api::Mailmojo);
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "b").await;
    assert_eq!(
        bench.calls(Api::Mailmojo),
        [
            "GET /v1/contacts/anna%40example.se/",
            "PATCH /v1/contacts/anna%40example.se/",
        ]
    );
    bench.synced(USER, "c").await;
    assert_eq!(
        bench.calls(Api::Mailmojo),
        ["GET /v1/contacts/anna%40example.se/"]
    );
}

#[tokio::test]
async fn data_that_the_publisher_entered_stays() {
    let (bench, account) = start().await;
    account.define("Shoe size", FieldKind::Number);
    account.put_contact(
        Contact::new(EMAIL)
            .on_list(LIST, Status::Active)
            .names("Anne", "")
            .phone("12345678")
            .tags(&["vip", "SESAMY_legacy", "sesamy_old"])
            .custom("Shoe size", 38),
    );
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.first_name.as_deref(), Some("Anne"));
    assert_eq!(
        contact.last_name.as_deref(),
        Some("Ask"),
        "an empty name counts as missing"
    );
    assert_eq!(contact.phone.as_deref(), Some("12345678"));
    assert_eq!(
        contact.tags,
        ["vip", "SESAMY_legacy", "sesamy_active_subscriber"]
    );
    assert_eq!(contact.custom.get("Shoe size"), Some(&json!(38)));
}

#[tokio::test]
async fn a_value_that_no_longer_applies_is_cleared() {
    let (bench, account) = start().await;
    let leaving = Contract::active("c1").cancels_at("2026-01-01T00:00:00Z", "2098-01-01T00:00:00Z");
    bench.sesamy.put_user(anna().contract(leaving));
    bench.synced(USER, "a").await;
    let will_cancel_at = || {
        account
            .contact(EMAIL)
            .unwrap()
            .custom
            .remove("Will Cancel At")
    };
    assert_eq!(will_cancel_at(), Some(json!("2098-01-01")));
    bench
        .sesamy
        .put_user(anna().contract(Contract::active("c1")));
    bench.synced(USER, "b").await;
    assert_eq!(will_cancel_at(), None);
}

/// The name and phone of a contact, and the keys that a sync adds.
struct NameCase {
    first_name: Option<&'static str>,
    last_name: Option<&'static str>,
    name: Option<&'static str>,
    phone: Option<&'static str>,
    written: &'static [&'static str],
}

const UNNAMED: NameCase = NameCase {
    first_name: None,
    last_name: None,
    name: None,
    phone: Some("12345678"),
    written: &["first_name", "last_name"],
};

const NAME_CASES: [NameCase; 9] = [
    UNNAMED,
    NameCase {
        phone: None,
        written: &["first_name", "last_name", "phone"],
        ..UNNAMED
    },
    NameCase {
        first_name: Some("Anne"),
        last_name: Some("Aas"),
        phone: None,
        written: &["phone"],
        ..UNNAMED
    },
    NameCase {
        first_name: Some("Anne"),
        last_name: Some(" "),
        written: &["last_name"],
        ..UNNAMED
    },
    // As after a CSV import.
    NameCase {
        name: Some("Anne Aas"),
        written: &[],
        ..UNNAMED
    },
    NameCase {
        name: Some("Anne Marie Aas"),
        first_name: Some(""),
        last_name: Some(""),
        phone: None,
        written: &["phone"],
    },
    NameCase {
        name: Some("Anne"),
        ..UNNAMED
    },
    NameCase {
        name: Some(" Anne "),
        ..UNNAMED
    },
    NameCase {
        name: Some("Anne Aas"),
        first_name: Some("Anne"),
        written: &["last_name"],
        ..UNNAMED
    },
];

#[tokio::test]
async fn name_and_phone_are_written_once_and_only_if_the_contact_has_none() {
    for (n, case) in NAME_CASES.iter().enumerate() {
        for on_list in [true, false] {
            let name = format!("case {n}, on the list: {on_list}");
            let (bench, account) = start().await;
            let list = if on_list { LIST } else { OTHER_LIST };
            let contact = Contact {
                first_name: case.first_name.map(str::to_owned),
                last_name: case.last_name.map(str::to_owned),
                name: case.name.map(str::to_owned),
                phone: case.phone.map(str::to_owned),
                ..Contact::new(EMAIL).on_list(list, Status::Active)
            };
            account.put_contact(contact.tags(&["vip"]));
            bench.sesamy.put_user(daily_subscriber());
            if case.last_name == Some(" ") {
                // The fake reports that a blank name was overwritten.
                assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
            } else {
                bench.synced(USER, "a").await;
            }
            let requests = bench.fakes.requests_to(Api::Mailmojo);
            let written = |method: &str, path: &str| {
                let request = requests
                    .iter()
                    .find(|request| request.method == method && request.path.starts_with(path));
                let body = request.and_then(|request| request.body.clone());
                let keys = ["first_name", "last_name", "phone"];
                let has = |key: &&str| body.as_ref().is_some_and(|body| body.get(key).is_some());
                let written: Vec<_> = keys.into_iter().filter(has).collect();
                (request.is_some(), written)
            };
            let patched = written("PATCH", "/v1/contacts/");
            assert_eq!(patched, (true, case.written.to_vec()), "{name}");
            // The update has already written them.
            let joined = written("POST", "/v1/lists/");
            assert_eq!(joined, (!on_list, vec![]), "{name}");
            assert_eq!(
                account.contact(EMAIL).unwrap().on(LIST),
                Some(Status::Active)
            );
        }
    }
}

/// A contact's status on the list and overall, and whether it joins the list.
struct StatusCase {
    on_list: Option<Status>,
    overall: Status,
    joins: bool,
}

#[tokio::test]
async fn only_active_contacts_that_were_never_on_the_list_join_it() {
    use Status::{Active, Bounced, Deleted, Unsubscribed};
    let case = |on_list, overall, joins| StatusCase {
        on_list,
        overall,
        joins,
    };
    let cases = [
        case(None, Active, true),
        case(Some(Active), Active, false),
        case(Some(Unsubscribed), Active, false),
        case(Some(Bounced), Active, false),
        case(Some(Deleted), Active, false),
        case(None, Unsubscribed, false),
        case(None, Bounced, false),
        case(None, Deleted, false),
        case(Some(Unsubscribed), Unsubscribed, false),
    ];
    for case in cases {
        let name = format!("{:?} {:?}", case.on_list, case.overall);
        let (bench, account) = start().await;
        let mut contact = Contact::new(EMAIL).status(case.overall);
        if let Some(status) = case.on_list {
            contact = contact.on_list(LIST, status);
        }
        account.put_contact(contact);
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "a").await;
        let contact = account.contact(EMAIL).unwrap();
        let on_list = if case.joins {
            Some(Active)
        } else {
            case.on_list
        };
        assert_eq!(contact.on(LIST), on_list, "{name}");
        assert_eq!(contact.status, case.overall, "{name}");
        assert_eq!(contact.tags, ["sesamy_active_subscriber"], "{name}");
        let calls = bench.calls(Api::Mailmojo);
        let joined = calls.iter().any(|call| call.contains("/lists/"));
        assert_eq!(joined, case.joins, "{name}");
    }
}

#[tokio::test]
async fn a_contact_of_unknown_status_does_not_join() {
    for status in [json!(1), json!(["a"]), json!("x"), json!("")] {
        let (bench, account) = start().await;
        account.put_contact(Contact::new(EMAIL));
        bench.sesamy.put_user(anna());
        let answer = json!({ "email": EMAIL, "tags": [], "custom": {}, "status": status });
        let odd = Fault::json(200, answer).on(Api::Mailmojo);
        bench.fakes.fault(odd.path("/v1/contacts/*").method("GET"));
        bench.synced(USER, "a").await;
        assert_eq!(account.contact(EMAIL).unwrap().on(LIST), None, "{status}");
    }
}

/// The changes that the connector reports for a sync.
async fn changes(bench: &Bench<Mailmojo>, user: &User) -> Result<Changes, ApiError> {
    let secret = MailmojoCrm::secret(&bench.fakes, "account");
    let job = Job {
        account: Account {
            http: &Http::new().unwrap(),
            vendor: &VendorId::try_from(VENDOR).unwrap(),
            credentials: &MailmojoCredentials::from_secret(&secret).unwrap(),
            id: "account",
        },
        desired: &derived(user),
        contact: None,
        earlier: None,
        events: &EventStream::new(Vec::new()),
    };
    Mailmojo::default().sync(job).await
}

#[tokio::test]
async fn a_blocked_address_is_a_refused_write() {
    struct Case {
        known: bool,
        writes: u32,
    }
    let cases = [
        Case {
            known: false,
            writes: 0,
        },
        // The data of a known contact is synced, once.
        Case {
            known: true,
            writes: 1,
        },
        Case {
            known: true,
            writes: 0,
        },
    ];
    let (bench, account) = start().await;
    account.keep_out(EMAIL);
    let user = daily_subscriber();
    bench.sesamy.put_user(user.clone());
    for case in cases {
        if case.known && account.contact(EMAIL).is_none() {
            account.put_contact(Contact::new(EMAIL));
        }
        let changes = changes(&bench, &user).await.unwrap();
        assert_eq!(changes.writes, case.writes, "known: {}", case.known);
        assert_eq!(changes.refused_writes, 1, "known: {}", case.known);
        // The sync through the consumer succeeds as well.
        bench.synced(USER, "a").await;
        let contact = account.contact(EMAIL);
        assert_eq!(contact.is_some(), case.known);
        assert_eq!(contact.and_then(|contact| contact.on(LIST)), None);
    }
}

#[tokio::test]
async fn only_a_400_means_a_blocked_address() {
    for status in [404, 409, 422] {
        let (bench, _) = start().await;
        bench.sesamy.put_user(anna());
        let refused = Fault::status(status).on(Api::Mailmojo).method("POST");
        bench.fakes.fault(refused.path("/v1/lists/*"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, reported) = bench.queue.dead_letters().remove(0);
        assert_eq!(
            (kind.as_str(), reported),
            ("rejected_by_api", Some(status.to_string()))
        );
    }
}
