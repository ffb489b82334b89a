//! The fields that Rule receives for events and payments.

use std::collections::BTreeMap;

use derivation_tests::Answers;
use rule::mapping;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::derivation::{Derivation, Policy, derive};
use shared::identity::UserId;
use shared::message::{Event, EventType};

use crate::files::{self, Failures};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Any event will do for a case about payments.
    #[serde(default = "any_event")]
    event: Event,
    #[serde(default)]
    bills: Vec<Value>,
    fields: BTreeMap<String, Value>,
}

fn any_event() -> Event {
    serde_json::from_value(json!({
        "eventType": "userVendor.1#update", "occurredAt": "2026-06-15T10:00:00Z",
    }))
    .unwrap()
}

#[test]
fn event_fields_are_as_the_cases_say() {
    let mut failures = Failures::default();
    let cases: Vec<Case> = files::read("events.json");
    for case in &cases {
        let answers = Answers {
            profile: json!({ "email": "a@b.se" }),
            contracts: Vec::new(),
            entitlements: Vec::new(),
            bills: case.bills.clone(),
        };
        let (state, _) = answers.read();
        let user = UserId::try_from("email|anna").unwrap();
        let now = "2026-06-15T12:00:00Z".parse().unwrap();
        let derived = derive(&user, &state.unwrap(), Policy::default(), now);
        let Derivation::Contact(contact) = derived else {
            panic!("{}: skipped", case.name);
        };
        let fields: BTreeMap<String, Value> = mapping::event_fields(&case.event)
            .into_iter()
            .chain(mapping::payment_fields(&case.event, &contact))
            .map(|field| (field.key.to_owned(), field.value))
            .filter(|(key, _)| case.fields.contains_key(key))
            .collect();
        failures.check(&case.name, "fields", &fields, &case.fields);
    }
    failures.report(cases.len());
}

#[test]
fn every_event_has_its_own_tag() {
    let tags = EventType::ALL.map(mapping::event_tag);
    assert_eq!(
        tags,
        [
            "sesamy_event_uservendor-new",
            "sesamy_event_uservendor-update",
            "sesamy_event_contract-purchased",
            "sesamy_event_contract-update",
            "sesamy_event_contract-cancelrequest",
            "sesamy_event_checkout-confirm",
            "sesamy_event_entitlement-new",
            "sesamy_event_entitlement-update",
        ]
    );
    for tag in tags {
        assert!(tag.starts_with(mapping::EVENT_TAG_PREFIX), "{tag}");
    }
    assert_eq!(mapping::BASE_TAG, "sesamy");
}
