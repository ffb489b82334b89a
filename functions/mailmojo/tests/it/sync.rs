//! Syncs against the strict stand-in of Mailmojo, through the real consumer.

use std::collections::BTreeSet;

use bench::{Bench, VENDOR, any_state, any_tags, derived, our_tags, record, seeded, split_tags};
use jiff::Timestamp;
use mailmojo::{Mailmojo, MailmojoCredentials, mapping};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use shared::consumer::{Changes, Connector, EventStream, Job};
use shared::http::{ApiError, Http};
use shared::identity::VendorId;
use shared::secrets::FromSecret;
use stand_ins::mailmojo::{
    Contact, FieldKind, FieldsAddress, MailmojoAccount, MailmojoSettings, Status,
};
use stand_ins::sesamy::{Contract, User};
use stand_ins::{Api, Fault};

const USER: &str = "email|84cc";
const EMAIL: &str = "anna@example.no";
const LIST: u64 = 42;

/// A bench whose vendor has a Mailmojo account with one list.
async fn start() -> (Bench<Mailmojo>, MailmojoAccount) {
    let bench = Bench::new(Mailmojo::default()).await;
    let account = bench.stand_ins.mailmojo().add_account("account", "token");
    account.add_list(LIST, "Readers");
    bench.put_connector_secret(&json!({
        "apiToken": "token",
        "listId": LIST.to_string(),
        "apiUrl": bench.stand_ins.urls().mailmojo,
    }));
    (bench, account)
}

fn anna() -> User {
    User::new(USER).email(EMAIL).name("Anna", "Ask")
}

fn subscriber_of_the_daily() -> User {
    anna()
        .phone_number("+4790000001")
        .contract(Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly"))
}

#[tokio::test]
async fn a_new_reader_is_put_on_the_list_with_everything() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
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
async fn missing_fields_are_defined_once_and_those_there_are_left() {
    let (bench, account) = start().await;
    account.define("Has Active Subscription", FieldKind::Boolean);
    account.define("Shoe size", FieldKind::Number);
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    let definitions = account.definitions();
    assert_eq!(definitions.len(), 13 + 1);
    let defining = |calls: Vec<String>| calls.iter().filter(|c| c.contains("/v1/fields/")).count();
    assert_eq!(defining(bench.calls(Api::Mailmojo)), 1 + 12);
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "b").await;
    assert_eq!(defining(bench.calls(Api::Mailmojo)), 0);
}

#[tokio::test]
async fn a_field_that_another_instance_defined_meanwhile_is_no_reason_to_give_up() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(subscriber_of_the_daily());
    // Refused because it is there already: a moment before, it was not.
    let taken = Fault::status(400).on(Api::Mailmojo).method("POST");
    let taken = taken.path("/v1/fields/").after_effect();
    bench.stand_ins.fault(taken.once());
    bench.synced(USER, "a").await;
    assert_eq!(account.definitions().len(), 13);
    assert_eq!(
        account.contact(EMAIL).unwrap().tags,
        ["sesamy_active_subscriber"]
    );
}

#[tokio::test]
async fn an_account_whose_fields_cannot_be_seen_is_synced_all_the_same() {
    for status in [403, 404, 405] {
        let (bench, account) = start().await;
        account.set_settings(MailmojoSettings {
            fields: FieldsAddress::Refused(status),
            ..MailmojoSettings::default()
        });
        account.define("Active Subscriptions", FieldKind::Number);
        bench.sesamy.put_user(subscriber_of_the_daily());
        bench.synced(USER, "a").await;
        bench.synced(USER, "b").await;
        let contact = account.contact(EMAIL).unwrap();
        assert_eq!(contact.tags, ["sesamy_active_subscriber"], "{status}");
        assert_eq!(contact.custom["Active Subscriptions"], 1, "{status}");
        let calls = bench.calls(Api::Mailmojo);
        let asked = calls.iter().filter(|call| call.contains("/v1/fields/"));
        assert_eq!(asked.count(), 1, "{status}: asked once an instance");
    }
}

#[tokio::test]
async fn an_account_whose_fields_cannot_be_defined_is_synced_all_the_same() {
    for status in [403, 404, 405] {
        let (bench, account) = start().await;
        account.set_settings(MailmojoSettings {
            drop_unknown_fields: true,
            ..MailmojoSettings::default()
        });
        let refused = Fault::status(status).on(Api::Mailmojo).method("POST");
        bench.stand_ins.fault(refused.path("/v1/fields/"));
        bench.sesamy.put_user(subscriber_of_the_daily());
        bench.synced(USER, "a").await;
        let contact = account.contact(EMAIL).unwrap();
        assert_eq!(contact.tags, ["sesamy_active_subscriber"], "{status}");
        bench.stand_ins.clear_faults();
    }
}

#[tokio::test]
async fn a_typical_sync_makes_two_calls_and_one_where_nothing_changed() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    bench.calls(Api::Mailmojo);
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "b").await;
    assert_eq!(
        bench.calls(Api::Mailmojo),
        [
            "GET /v1/contacts/anna%40example.no/",
            "PATCH /v1/contacts/anna%40example.no/",
        ]
    );
    bench.synced(USER, "c").await;
    assert_eq!(
        bench.calls(Api::Mailmojo),
        ["GET /v1/contacts/anna%40example.no/"]
    );
}

#[tokio::test]
async fn what_the_publisher_entered_stays() {
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
    bench.sesamy.put_user(subscriber_of_the_daily());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.first_name.as_deref(), Some("Anne"));
    assert_eq!(
        contact.last_name.as_deref(),
        Some("Ask"),
        "an empty name is none"
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
    let will_cancel_at = |account: &MailmojoAccount| {
        let custom = account.contact(EMAIL).unwrap().custom;
        custom
            .get("Will Cancel At")
            .cloned()
            .filter(|value| !value.is_null())
    };
    assert_eq!(will_cancel_at(&account), Some(json!("2098-01-01")));
    bench
        .sesamy
        .put_user(anna().contract(Contract::active("c1")));
    bench.synced(USER, "b").await;
    assert_eq!(will_cancel_at(&account), None);
}

/// What a contact has of a name and a phone, and what a sync adds.
struct Named {
    first_name: Option<&'static str>,
    last_name: Option<&'static str>,
    name: Option<&'static str>,
    phone: Option<&'static str>,
    written: &'static [&'static str],
}

const BARE: Named = Named {
    first_name: None,
    last_name: None,
    name: None,
    phone: Some("12345678"),
    written: &["first_name", "last_name"],
};

const NAMED: [Named; 9] = [
    BARE,
    Named {
        phone: None,
        written: &["first_name", "last_name", "phone"],
        ..BARE
    },
    Named {
        first_name: Some("Anne"),
        last_name: Some("Aas"),
        phone: None,
        written: &["phone"],
        ..BARE
    },
    Named {
        first_name: Some("Anne"),
        last_name: Some(" "),
        written: &["last_name"],
        ..BARE
    },
    // As a CSV import leaves it.
    Named {
        name: Some("Anne Aas"),
        written: &[],
        ..BARE
    },
    Named {
        name: Some("Anne Marie Aas"),
        first_name: Some(""),
        last_name: Some(""),
        phone: None,
        written: &["phone"],
    },
    Named {
        name: Some("Anne"),
        ..BARE
    },
    Named {
        name: Some(" Anne "),
        ..BARE
    },
    Named {
        name: Some("Anne Aas"),
        first_name: Some("Anne"),
        written: &["last_name"],
        ..BARE
    },
];

#[tokio::test]
async fn name_and_phone_are_written_once_and_only_where_the_contact_has_none() {
    for (n, case) in NAMED.iter().enumerate() {
        for on_list in [true, false] {
            let place = format!("case {n}, on the list: {on_list}");
            let (bench, account) = start().await;
            account.add_list(7, "Others");
            let list = if on_list { LIST } else { 7 };
            let own = Contact {
                first_name: case.first_name.map(str::to_owned),
                last_name: case.last_name.map(str::to_owned),
                name: case.name.map(str::to_owned),
                phone: case.phone.map(str::to_owned),
                ..Contact::new(EMAIL).on_list(list, Status::Active)
            };
            account.put_contact(own.tags(&["vip"]));
            bench.sesamy.put_user(subscriber_of_the_daily());
            if case.last_name == Some(" ") {
                // To the fake, a blank is a name of the publisher's.
                assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
            } else {
                bench.synced(USER, "a").await;
            }
            let requests = bench.stand_ins.requests_to(Api::Mailmojo);
            let written = |method: &str, path: &str| {
                let found = requests
                    .iter()
                    .find(|request| request.method == method && request.path.starts_with(path));
                let body = found.and_then(|request| request.body.clone());
                let keys = ["first_name", "last_name", "phone"];
                let has = |key: &&str| body.as_ref().is_some_and(|body| body.get(key).is_some());
                let written: Vec<_> = keys.into_iter().filter(has).collect();
                (found.is_some(), written)
            };
            let patched = written("PATCH", "/v1/contacts/");
            assert_eq!(patched, (true, case.written.to_vec()), "{place}");
            // What the change before it wrote, the contact has by now.
            let joined = written("POST", "/v1/lists/");
            assert_eq!(joined, (!on_list, vec![]), "{place}");
            assert_eq!(
                account.contact(EMAIL).unwrap().on(LIST),
                Some(Status::Active)
            );
        }
    }
}

/// What a contact is, here and as a whole, and whether it joins the list.
struct Standing {
    here: Option<Status>,
    as_a_whole: Status,
    joins: bool,
}

#[tokio::test]
async fn membership_of_a_contact_that_left_is_left_alone() {
    use Status::{Active, Bounced, Deleted, Unsubscribed};
    let standing = |here, as_a_whole, joins| Standing {
        here,
        as_a_whole,
        joins,
    };
    let cases = [
        standing(None, Active, true),
        standing(Some(Active), Active, false),
        standing(Some(Unsubscribed), Active, false),
        standing(Some(Bounced), Active, false),
        standing(Some(Deleted), Active, false),
        standing(None, Unsubscribed, false),
        standing(None, Bounced, false),
        standing(None, Deleted, false),
        standing(Some(Unsubscribed), Unsubscribed, false),
    ];
    for case in cases {
        let place = format!("{:?} {:?}", case.here, case.as_a_whole);
        let (bench, account) = start().await;
        let mut own = Contact::new(EMAIL).status(case.as_a_whole);
        if let Some(status) = case.here {
            own = own.on_list(LIST, status);
        }
        account.put_contact(own);
        bench.sesamy.put_user(subscriber_of_the_daily());
        bench.synced(USER, "a").await;
        let contact = account.contact(EMAIL).unwrap();
        let here = if case.joins { Some(Active) } else { case.here };
        assert_eq!(contact.on(LIST), here, "{place}");
        assert_eq!(contact.status, case.as_a_whole, "{place}");
        assert_eq!(contact.tags, ["sesamy_active_subscriber"], "{place}");
        let calls = bench.calls(Api::Mailmojo);
        let joined = calls.iter().any(|call| call.contains("/lists/"));
        assert_eq!(joined, case.joins, "{place}");
    }
}

#[tokio::test]
async fn a_status_that_cannot_be_read_is_no_reason_to_join() {
    for status in [json!(1), json!(["a"]), json!("x"), json!("")] {
        let (bench, account) = start().await;
        account.put_contact(Contact::new(EMAIL));
        bench.sesamy.put_user(anna());
        let answer = json!({ "email": EMAIL, "tags": [], "custom": {}, "status": status });
        let odd = Fault::json(200, answer).on(Api::Mailmojo);
        bench
            .stand_ins
            .fault(odd.path("/v1/contacts/*").method("GET"));
        bench.synced(USER, "a").await;
        assert_eq!(account.contact(EMAIL).unwrap().on(LIST), None, "{status}");
    }
}

/// What a sync of this user's present state writes, as the connector tells it.
async fn changes(bench: &Bench<Mailmojo>, user: &User) -> Result<Changes, ApiError> {
    let secret = json!({
        "apiToken": "token", "listId": LIST, "apiUrl": bench.stand_ins.urls().mailmojo,
    });
    let job = Job {
        http: &Http::new().unwrap(),
        vendor: &VendorId::try_from(VENDOR).unwrap(),
        credentials: &MailmojoCredentials::from_secret(&secret).unwrap(),
        account: "account",
        subscriber: &derived(user),
        events: &EventStream::new(Vec::new()),
        now: Timestamp::now(),
    };
    Mailmojo::default().sync(job).await
}

#[tokio::test]
async fn an_address_that_mailmojo_keeps_out_is_unchanged_with_a_refused_write() {
    struct Case {
        known: bool,
        writes: u32,
    }
    let cases = [
        Case {
            known: false,
            writes: 0,
        },
        // The data of a known contact is synced, and nothing the second time.
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
    let user = subscriber_of_the_daily();
    bench.sesamy.put_user(user.clone());
    for case in cases {
        if case.known && account.contact(EMAIL).is_none() {
            account.put_contact(Contact::new(EMAIL));
        }
        let changes = changes(&bench, &user).await.unwrap();
        assert_eq!(changes.writes, case.writes, "known: {}", case.known);
        assert_eq!(changes.refused_writes, 1, "known: {}", case.known);
        // Not a dead letter either, and no call is made twice.
        bench.synced(USER, "a").await;
        let contact = account.contact(EMAIL);
        assert_eq!(contact.is_some(), case.known);
        assert_eq!(contact.and_then(|contact| contact.on(LIST)), None);
    }
}

#[tokio::test]
async fn only_a_400_is_the_addresss_own() {
    for status in [404, 409, 422] {
        let (bench, _) = start().await;
        bench.sesamy.put_user(anna());
        let refused = Fault::status(status).on(Api::Mailmojo).method("POST");
        bench.stand_ins.fault(refused.path("/v1/lists/*"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, told) = bench.queue.dead_letters().remove(0);
        assert_eq!(
            (kind.as_str(), told),
            ("rejected_by_api", Some(status.to_string()))
        );
    }
}

#[tokio::test]
async fn a_tag_in_other_letters_is_replaced_also_where_mailmojo_takes_both_for_one() {
    for fold_tag_case in [false, true] {
        let (bench, account) = start().await;
        account.set_settings(MailmojoSettings {
            fold_tag_case,
            ..MailmojoSettings::default()
        });
        account.put_contact(
            Contact::new(EMAIL)
                .on_list(LIST, Status::Active)
                .tags(&["sesamy_Active_Subscriber", "vip"]),
        );
        bench.sesamy.put_user(subscriber_of_the_daily());
        bench.synced(USER, "a").await;
        let tags = account.contact(EMAIL).unwrap().tags;
        assert_eq!(
            tags,
            ["vip", "sesamy_active_subscriber"],
            "folding: {fold_tag_case}"
        );
    }
}

#[tokio::test]
async fn each_call_that_fails_is_made_good_by_the_next_try() {
    let endpoints = [
        ("GET", "/v1/fields/"),
        ("POST", "/v1/fields/"),
        ("GET", "/v1/contacts/*"),
        ("PATCH", "/v1/contacts/*"),
        ("POST", "/v1/lists/*"),
    ];
    for (method, path) in endpoints {
        for fault in [Fault::status(500), Fault::bad_gateway(), Fault::reset()] {
            let (bench, account) = start().await;
            account.add_list(7, "Others");
            account.put_contact(
                Contact::new(EMAIL)
                    .on_list(7, Status::Active)
                    .tags(&["vip"]),
            );
            bench.sesamy.put_user(subscriber_of_the_daily());
            bench
                .stand_ins
                .fault(fault.on(Api::Mailmojo).method(method).path(path).once());
            let place = format!("{method} {path}");
            assert_eq!(
                bench.handle([record("1", USER, "a")]).await,
                ["1"],
                "{place}"
            );
            assert_eq!(
                bench.handle([record("1", USER, "a")]).await,
                [""; 0],
                "{place}"
            );
            let contact = account.contact(EMAIL).unwrap();
            assert_eq!(contact.tags, ["vip", "sesamy_active_subscriber"], "{place}");
            assert_eq!(contact.on(LIST), Some(Status::Active), "{place}");
        }
    }
}

/// Whatever states a reader goes through, the publisher's own survives and ours
/// equals the derivation: for a thousand sequences of states.
#[test]
fn foreign_data_survives_any_sequence_of_states() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bench, account) = runtime.block_on(start());
    bench.sesamy.set_rate_limit(None);
    account.define("Shoe size", FieldKind::Number);
    let sequences = prop::collection::vec(any_state(USER, EMAIL), 1..5);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(1_000));
    let survives = |states: Vec<User>| {
        runtime.block_on(async {
            account.put_contact(
                Contact::new(EMAIL)
                    .on_list(LIST, Status::Active)
                    .names("Anne", "Aas")
                    .phone("12345678")
                    .tags(&["vip", "SESAMY_x", "sesamy_stale"])
                    .custom("Shoe size", 38),
            );
            let mut ours = BTreeSet::new();
            for (n, state) in states.iter().enumerate() {
                bench.sesamy.put_user(state.clone());
                bench.synced(USER, &n.to_string()).await;
                let contact = account.contact(EMAIL).unwrap();
                let (held, foreign) = split_tags(&contact.tags);
                let wanted = derived(state);
                ours = our_tags(&wanted, &ours);
                assert_eq!(held, ours);
                assert_eq!(
                    foreign,
                    BTreeSet::from(["vip".to_owned(), "SESAMY_x".to_owned()])
                );
                assert_eq!(contact.first_name.as_deref(), Some("Anne"));
                assert_eq!(contact.last_name.as_deref(), Some("Aas"));
                assert_eq!(contact.phone.as_deref(), Some("12345678"));
                assert_eq!(contact.custom.get("Shoe size"), Some(&json!(38)));
                for field in mapping::fields(&wanted) {
                    let held = contact.custom.get(field.name).unwrap_or(&Value::Null);
                    assert_eq!(held, &field.value, "{}", field.name);
                }
            }
        });
        Ok(())
    };
    runner.run(&sequences, survives).unwrap();
}

/// What a contact was before its first sync, and what Mailmojo makes of it.
#[derive(Clone, Debug)]
struct Prior {
    tags: Vec<&'static str>,
    here: Option<Status>,
    elsewhere: Option<Status>,
    as_a_whole: Status,
    refuse_unsubscribed: bool,
    kept_out: bool,
}

fn any_prior() -> impl Strategy<Value = Prior> {
    let status = || {
        prop::sample::select(vec![
            Status::Active,
            Status::Unsubscribed,
            Status::Bounced,
            Status::Deleted,
        ])
    };
    let place = || prop::option::of(status());
    let parts = (any_tags(), place(), place(), status(), any::<[bool; 2]>());
    parts.prop_map(
        |(tags, here, elsewhere, as_a_whole, [refuse_unsubscribed, kept_out])| Prior {
            tags,
            here,
            elsewhere,
            as_a_whole,
            refuse_unsubscribed,
            kept_out,
        },
    )
}

/// Whatever a contact was before, no sync changes what it consented to: each of
/// its statuses stays, and it joins the list only where it is active as a whole
/// and was never on it.
#[test]
fn no_sync_changes_consent() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (bench, account) = runtime.block_on(start());
    bench.sesamy.set_rate_limit(None);
    account.add_list(7, "Others");
    let states = prop::collection::vec(any_state(USER, EMAIL), 1..4);
    let holds = |(prior, states): (Prior, Vec<User>)| {
        runtime.block_on(async {
            bench.stand_ins.reset();
            account.set_settings(MailmojoSettings {
                refuse_unsubscribed: prior.refuse_unsubscribed,
                ..MailmojoSettings::default()
            });
            for (name, kind) in mapping::DEFINITIONS {
                account.define(name, serde_json::from_value(kind.name().into()).unwrap());
            }
            if prior.kept_out {
                account.keep_out(EMAIL);
            }
            let own = Contact::new(EMAIL).tags(&prior.tags);
            let mut own = own.status(prior.as_a_whole);
            for (list, status) in [(7, prior.elsewhere), (LIST, prior.here)] {
                if let Some(status) = status {
                    own = own.on_list(list, status);
                }
            }
            account.put_contact(own);
            let may_join = prior.as_a_whole == Status::Active && !prior.kept_out;
            let here = prior.here.or(may_join.then_some(Status::Active));
            for (n, state) in states.into_iter().enumerate() {
                bench.sesamy.put_user(state);
                bench.synced(USER, &n.to_string()).await;
                let after = account.contact(EMAIL).unwrap();
                assert_eq!(after.status, prior.as_a_whole);
                assert_eq!(after.on(7), prior.elsewhere);
                assert_eq!(after.on(LIST), here);
                let foreign = |tags: &[String]| split_tags(tags).1;
                let tags: Vec<_> = prior.tags.iter().map(|&tag| tag.to_owned()).collect();
                assert_eq!(foreign(&after.tags), foreign(&tags));
            }
        });
        Ok(())
    };
    seeded(300).run(&(any_prior(), states), holds).unwrap();
}
