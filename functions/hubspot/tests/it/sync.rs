//! Syncs to HubSpot.

use conformance::{Bench, EMAIL, USER, VENDOR, anna, derived, record};
use fakes::hubspot::{Contact, Definition, HubSpotAccount, HubSpotSettings, Kind, PropertyOption};
use fakes::sesamy::{Contract, Entitlement, User};
use fakes::{Api, Fault};
use hubspot::mapping::TAGS;
use hubspot::{HubSpot, HubSpotCredentials};
use serde_json::json;
use shared::connector::{Account, Changes, Connector, EventStream, Job};
use shared::http::{ApiError, Http};
use shared::identity::VendorId;
use shared::secrets::FromSecret;

use crate::crm::{HubSpotCrm, daily_subscriber, start};

const PATCH_CONTACT: &str = "PATCH /crm/v3/objects/contacts/101";
const GET_CONTACT: &str = "GET /crm/v3/objects/contacts/101";

#[tokio::test]
async fn new_user_gets_a_contact_with_all_data() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    for (name, value) in [
        ("firstname", Some("Anna")),
        ("lastname", Some("Ask")),
        ("phone", Some("+4790000001")),
        ("sesamy_user_id", Some(USER)),
        ("sesamy_tags", Some("sesamy_active_subscriber")),
        ("has_active_subscription", Some("true")),
        ("active_subscription_count", Some("1")),
        ("canceled_subscriptions_count", Some("0")),
        ("subscription_type", Some("The Daily")),
        ("sesamy_subscription_expires_at", Some("2099-01-15")),
        ("sesamy_will_cancel_at", None),
    ] {
        assert_eq!(contact.get(name), value, "{name}");
    }
}

#[tokio::test]
async fn properties_are_created_once_in_their_group_and_of_their_types() {
    let (bench, account) = start().await;
    account.define(Definition::new("has_active_subscription", Kind::Boolean));
    account.define(Definition::new("shoe_size", Kind::Number));
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    assert_eq!(account.definitions().len(), 12 + 1);
    let user_id = account.definition("sesamy_user_id").unwrap();
    assert!(user_id.has_unique_value);
    assert_eq!(user_id.group_name, "sesamy");
    assert_eq!(user_id.label, "Sesamy user id");
    let about_definitions = |calls: Vec<String>| {
        let calls = calls.into_iter();
        let calls = calls.filter(|call| call.contains("/properties/"));
        calls.collect::<Vec<_>>().len()
    };
    // The batch, the group, 11 properties, and the option of a product.
    let calls = bench.calls(Api::HubSpot);
    let defined = |call: &&String| *call == "POST /crm/v3/properties/contacts";
    assert_eq!(calls.iter().filter(defined).count(), 11);
    assert_eq!(about_definitions(calls), 1 + 1 + 11 + 2);
    bench.synced(USER, "b").await;
    assert_eq!(about_definitions(bench.calls(Api::HubSpot)), 0);
}

#[tokio::test]
async fn definitions_of_another_instance_are_no_error() {
    for path in [
        "/crm/v3/properties/contacts",
        "/crm/v3/properties/contacts/groups",
    ] {
        let (bench, account) = start().await;
        bench.sesamy.put_user(daily_subscriber());
        // Another instance defines it just before this one does.
        let conflict = Fault::status(409).on(Api::HubSpot).method("POST");
        bench.fakes.fault(conflict.path(path).after_effect().once());
        bench.synced(USER, "a").await;
        assert_eq!(account.definitions().len(), 12, "{path}");
        let contact = account.contact(EMAIL).unwrap();
        assert_eq!(contact.values(TAGS), ["sesamy_active_subscriber"], "{path}");
    }
}

#[tokio::test]
async fn typical_sync_makes_two_calls_and_one_if_nothing_changed() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let left = anna().contract(Contract::expired("c1").item("sid:Daily", "The Daily", "p", "P"));
    bench.sesamy.put_user(left);
    bench.calls(Api::HubSpot);
    bench.synced(USER, "b").await;
    assert_eq!(bench.calls(Api::HubSpot), [GET_CONTACT, PATCH_CONTACT]);
    bench.synced(USER, "c").await;
    assert_eq!(bench.calls(Api::HubSpot), [GET_CONTACT]);
}

#[tokio::test]
async fn new_user_takes_three_calls() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let other = User::new("email|other").email("other@example.se");
    bench.sesamy.put_user(other);
    bench.calls(Api::HubSpot);
    bench.synced("email|other", "b").await;
    assert_eq!(
        bench.calls(Api::HubSpot),
        [
            "GET /crm/v3/objects/contacts/email%7Cother",
            "GET /crm/v3/objects/contacts/other%40example.se",
            "POST /crm/v3/objects/contacts",
        ]
    );
}

#[tokio::test]
async fn data_that_the_publisher_entered_stays() {
    let (bench, account) = start().await;
    account.put_contact(
        Contact::new(EMAIL)
            .names("Anne", "")
            .property("phone", "12345678")
            .property("shoe_size", "38")
            .property("lifecyclestage", "lead")
            .tags(&["vip", "SESAMY_legacy", "sesamy_old"]),
    );
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    for (name, value) in [
        ("firstname", Some("Anne")),
        ("lastname", None),
        ("phone", Some("12345678")),
        ("shoe_size", Some("38")),
        ("lifecyclestage", Some("lead")),
    ] {
        assert_eq!(contact.get(name), value, "{name}");
    }
    let tags = ["vip", "SESAMY_legacy", "sesamy_active_subscriber"];
    assert_eq!(contact.values(TAGS), tags);
}

#[tokio::test]
async fn value_that_no_longer_applies_is_cleared() {
    let (bench, account) = start().await;
    let leaving = Contract::active("c1").cancels_at("2026-01-01T00:00:00Z", "2098-01-01T00:00:00Z");
    bench.sesamy.put_user(anna().contract(leaving));
    bench.synced(USER, "a").await;
    let will_cancel_at = || {
        let contact = account.contact(EMAIL).unwrap();
        contact.get("sesamy_will_cancel_at").map(str::to_owned)
    };
    assert_eq!(will_cancel_at().as_deref(), Some("2098-01-01"));
    bench
        .sesamy
        .put_user(anna().contract(Contract::active("c1")));
    bench.synced(USER, "b").await;
    assert_eq!(will_cancel_at(), None);
}

#[tokio::test]
async fn options_are_added_behind_the_publishers_own() {
    let (bench, account) = start().await;
    let own = Definition::new("subscription_type", Kind::MultiSelect)
        .option("The Daily", "Our daily")
        .option("Old", "Not sold any more");
    account.define(own.clone());
    let weekend = Entitlement::new("e1", "sid:Weekend", "Weekend; with; crosswords");
    bench
        .sesamy
        .put_user(daily_subscriber().entitlement(weekend));
    bench.synced(USER, "a").await;
    // Semicolons separate values.
    let new = "Weekend, with, crosswords";
    let mut expected = own.options;
    expected.push(PropertyOption::new(new, new));
    assert_eq!(
        account.definition("subscription_type").unwrap().options,
        expected
    );
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.values("subscription_type"), ["The Daily", new]);
}

/// Two instances that add options at the same time lose one of them.
#[tokio::test]
async fn lost_option_or_property_is_restored_before_it_is_used_again() {
    type Break = fn(&HubSpotAccount);
    let cases: [(&str, Break); 3] = [
        ("an option is lost", |account| {
            account.define(Definition::new(TAGS, Kind::MultiSelect).option("vip", "VIP"));
        }),
        ("a property is archived", |account| {
            account.archive_definition(TAGS)
        }),
        ("a plain property is archived", |account| {
            account.archive_definition("active_subscription_count");
        }),
    ];
    for (name, break_it) in cases {
        let (bench, account) = start().await;
        bench.sesamy.put_user(anna());
        bench.synced(USER, "a").await;
        break_it(&account);
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "b").await;
        let contact = account.contact(EMAIL).unwrap();
        assert_eq!(contact.values(TAGS), ["sesamy_active_subscriber"], "{name}");
        assert_eq!(
            contact.get("active_subscription_count"),
            Some("1"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn new_property_that_cannot_be_written_yet_is_waited_for() {
    let (bench, account) = start().await;
    account.set_settings(HubSpotSettings {
        definition_lag: 1,
        ..HubSpotSettings::default()
    });
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.values(TAGS), ["sesamy_active_subscriber"]);
}

#[tokio::test]
async fn contact_does_without_options_and_properties_that_hubspot_refuses() {
    let (bench, account) = start().await;
    account.define(Definition::new("subscription_type", Kind::Select));
    account.define(Definition::new("active_subscription_count", Kind::Text));
    account.define(Definition::new(
        "sesamy_subscription_expires_at",
        Kind::DateTime,
    ));
    account.set_settings(HubSpotSettings {
        max_options: 5,
        max_unique: 0,
        ..HubSpotSettings::default()
    });
    let tagged = daily_subscriber().tags(&["VIP"]);
    bench.sesamy.put_user(tagged);
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.values(TAGS), ["sesamy_active_subscriber"]);
    for (name, value) in [
        ("subscription_type", None),
        ("active_subscription_count", Some("1")),
        (
            "sesamy_subscription_expires_at",
            Some("2099-01-15T00:00:00Z"),
        ),
        ("sesamy_user_id", Some(USER)),
    ] {
        assert_eq!(contact.get(name), value, "{name}");
    }
    assert!(
        !account
            .definition("sesamy_user_id")
            .unwrap()
            .has_unique_value
    );
    bench.synced(USER, "b").await;
    let calls = bench.calls(Api::HubSpot);
    assert!(!calls.contains(&PATCH_CONTACT.to_owned()), "{calls:?}");
}

/// As after a sync of Sesamy's own integration.
#[tokio::test]
async fn user_id_without_unique_values_is_not_searched_by() {
    let (bench, account) = start().await;
    account.define(Definition::new("sesamy_user_id", Kind::Text));
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let calls = bench.calls(Api::HubSpot);
    assert!(!calls.iter().any(|call| call.contains("%7C")), "{calls:?}");
    assert_eq!(
        account.contact(EMAIL).unwrap().get("sesamy_user_id"),
        Some(USER)
    );
}

#[tokio::test]
async fn merged_contact_is_the_one_it_became_part_of() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let winner = account.put_contact(Contact::new("winner@example.se").tags(&["vip"]));
    account.merge(winner, 101);
    bench.calls(Api::HubSpot);
    bench.synced(USER, "b").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(
        (contact.id, contact.email.as_str()),
        (winner, "winner@example.se")
    );
    assert_eq!(contact.values(TAGS), ["vip", "sesamy_active_subscriber"]);
    bench.calls(Api::HubSpot);
    bench.synced(USER, "c").await;
    assert_eq!(
        bench.calls(Api::HubSpot),
        ["GET /crm/v3/objects/contacts/102"]
    );
}

#[tokio::test]
async fn deleted_contact_is_found_by_its_address_or_created_again() {
    for other_exists in [false, true] {
        let (bench, account) = start().await;
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "a").await;
        account.remove_contact(101);
        if other_exists {
            account.put_contact(Contact::new("x@example.se").secondary_email(EMAIL));
        }
        bench.synced(USER, "b").await;
        let [contact] = account.contacts().try_into().unwrap();
        assert_eq!(contact.id, 102);
        assert_eq!(contact.values(TAGS), ["sesamy_active_subscriber"]);
        let email = if other_exists { "x@example.se" } else { EMAIL };
        assert_eq!(contact.email, email);
    }
}

/// The changes that the connector reports for a sync.
async fn changes(bench: &Bench<HubSpot>, user: &User) -> Result<Changes, ApiError> {
    let secret = <HubSpotCrm as conformance::TestedCrm>::secret(&bench.fakes, "account");
    let job = Job {
        account: Account {
            http: &Http::new().unwrap(),
            vendor: &VendorId::try_from(VENDOR).unwrap(),
            credentials: &HubSpotCredentials::from_secret(&secret).unwrap(),
            id: "account",
        },
        desired: &derived(user),
        contact: None,
        earlier: None,
        events: &EventStream::new(Vec::new()),
    };
    HubSpot::default().sync(job).await
}

#[tokio::test]
async fn address_that_hubspot_does_not_take_is_a_refused_write() {
    for email in ["erased@example.se", "no-address"] {
        let (bench, account) = start().await;
        account.erase("erased@example.se");
        let user = daily_subscriber().email(email);
        let changes = changes(&bench, &user).await.unwrap();
        assert_eq!((changes.writes, changes.refused_writes), (0, 1), "{email}");
        bench.sesamy.put_user(user);
        bench.synced(USER, "a").await;
        assert_eq!(account.contacts(), []);
    }
}

/// Another writer creates it after this sync has looked.
#[tokio::test]
async fn contact_that_exists_after_all_is_synced() {
    let (bench, account) = start().await;
    account.put_contact(Contact::new(EMAIL).tags(&["vip"]));
    bench.sesamy.put_user(daily_subscriber());
    let path = "/crm/v3/objects/contacts/anna%40example.se";
    let unknown = Fault::status(404).on(Api::HubSpot).path(path);
    bench.fakes.fault(unknown.once());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.values(TAGS), ["vip", "sesamy_active_subscriber"]);
    assert_eq!(
        contact.get("firstname"),
        None,
        "only a new contact gets a name"
    );
}

#[tokio::test]
async fn contact_of_the_users_address_gets_our_data_from_one_that_names_the_user() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.synced(USER, "a").await;
    let mut contact = account.contact(EMAIL).unwrap();
    contact.properties.remove("sesamy_user_id");
    account.put_contact(contact);
    account.put_contact(Contact::new("other@example.se").property("sesamy_user_id", USER));
    bench.synced(USER, "b").await;
    let user_id = |email| {
        let contact = account.contact(email).unwrap();
        contact.get("sesamy_user_id").map(str::to_owned)
    };
    assert_eq!(user_id(EMAIL).as_deref(), Some(USER));
    assert_eq!(user_id("other@example.se"), None);
}

/// Another writer gave it to another contact after this sync has looked.
#[tokio::test]
async fn user_id_that_another_contact_has_is_left_out() {
    let (bench, account) = start().await;
    account.put_contact(Contact::new(EMAIL));
    account.put_contact(Contact::new("other@example.se").property("sesamy_user_id", USER));
    bench.sesamy.put_user(daily_subscriber());
    let path = "/crm/v3/objects/contacts/email%7C84cc";
    let unknown = Fault::status(404).on(Api::HubSpot).path(path);
    bench.fakes.fault(unknown.once());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.values(TAGS), ["sesamy_active_subscriber"]);
    assert_eq!(contact.get("sesamy_user_id"), None);
}

#[tokio::test]
async fn value_that_an_account_rule_refuses_is_left_out() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    let message = r#"Property values were not valid: [{"isValid":false,"name":"phone"}]"#;
    let refused = json!({
        "status": "error",
        "category": "VALIDATION_ERROR",
        "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
        "message": message,
    });
    let fault = Fault::json(400, refused).on(Api::HubSpot).method("POST");
    bench
        .fakes
        .fault(fault.path("/crm/v3/objects/contacts").once());
    bench.synced(USER, "a").await;
    let contact = account.contact(EMAIL).unwrap();
    assert_eq!(contact.get("firstname"), Some("Anna"));
    assert_eq!(contact.get("phone"), None);
}

#[tokio::test]
async fn other_refusals_are_errors() {
    for status in [400, 404, 409, 413] {
        let (bench, account) = start().await;
        account.put_contact(Contact::new(EMAIL));
        bench.sesamy.put_user(daily_subscriber());
        let fault = Fault::status(status).on(Api::HubSpot).method("PATCH");
        bench.fakes.fault(fault.path("/crm/v3/objects/contacts/*"));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, reported) = bench.queue.dead_letters().remove(0);
        let expected = ("rejected_by_api", Some(status.to_string()));
        assert_eq!((kind.as_str(), reported), expected);
    }
}

#[tokio::test]
async fn missing_permission_to_define_properties_is_refused() {
    let (bench, account) = start().await;
    account.set_scopes(&[
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
        "crm.schemas.contacts.read",
    ]);
    bench.sesamy.put_user(daily_subscriber());
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(bench.queue.dead_letters(), []);
    assert_eq!(account.contacts(), []);
}

#[tokio::test]
async fn passing_refusals_are_retried() {
    for status in [423, 429, 477, 502] {
        let (bench, _) = start().await;
        bench.sesamy.put_user(daily_subscriber());
        bench.synced(USER, "a").await;
        bench.sesamy.put_user(anna());
        let fault = Fault::status(status).on(Api::HubSpot).method("PATCH");
        bench
            .fakes
            .fault(fault.path("/crm/v3/objects/contacts/*").once());
        assert_eq!(
            bench.handle([record("1", USER, "b")]).await,
            ["1"],
            "{status}"
        );
        assert_eq!(bench.queue.dead_letters(), [], "{status}");
    }
}

/// The answer to the last call that is allowed says so.
#[tokio::test]
async fn no_call_is_made_beyond_the_limit_of_the_account() {
    for (calls_per_interval, calls_per_day) in [(Some(20), None), (None, Some(20))] {
        let (bench, account) = start().await;
        account.set_settings(HubSpotSettings {
            calls_per_interval,
            calls_per_day,
            ..HubSpotSettings::default()
        });
        bench.sesamy.put_user(daily_subscriber());
        let mut failed = Vec::new();
        for event in ["a", "b", "c", "d"] {
            failed = bench.handle([record("1", USER, event)]).await;
        }
        assert_eq!(failed, ["1"]);
        let requests = bench.fakes.requests_to(Api::HubSpot);
        assert_eq!(requests.len(), 20);
        assert!(requests.iter().all(|request| request.status != Some(429)));
    }
}
