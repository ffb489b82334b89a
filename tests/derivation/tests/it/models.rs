//! Rules of Sesamy's models that the derivation does not show.

use derivation_tests::raw;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use shared::identity::UserId;
use shared::sesamy::model::{Contract, Dropped, Profile};

#[test]
fn profile_id_is_user_id_else_id() {
    struct Case {
        profile: Value,
        id: Option<&'static str>,
        dropped: &'static str,
    }
    let case = |profile, id, dropped| Case {
        profile,
        id,
        dropped,
    };
    let cases = [
        case(
            json!({ "userId": "email|a", "id": "b" }),
            Some("email|a"),
            "",
        ),
        case(json!({ "id": "email|b" }), Some("email|b"), ""),
        case(
            json!({ "userId": 7, "id": "email|b" }),
            Some("email|b"),
            "profile.userId: 1",
        ),
        case(json!({ "userId": "with blank" }), None, "profile.userId: 1"),
        case(json!({}), None, ""),
    ];
    for case in cases {
        let mut dropped = Dropped::default();
        let profile = Profile::read(&raw(&case.profile), &mut dropped).unwrap();
        let id = profile.user_id.as_ref().map(UserId::as_str);
        assert_eq!(id, case.id, "{}", case.profile);
        assert_eq!(dropped.values().to_string(), case.dropped);
    }
}

#[test]
fn profile_must_be_an_object() {
    for json in [json!(null), json!([]), json!("anna@example.se")] {
        let mut dropped = Dropped::default();
        assert_eq!(Profile::read(&raw(&json), &mut dropped), None);
        assert_eq!(dropped.values().to_string(), "profile: 1");
    }
}

#[test]
fn last_value_of_a_repeated_key_counts() {
    let json =
        RawValue::from_string(r#"{"id":"c1","id":"c2","expiresAt":1,"expiresAt":null}"#.to_owned());
    let mut dropped = Dropped::default();
    let contract = Contract::read(&json.unwrap(), &mut dropped).unwrap();
    assert_eq!(contract.id.as_str(), "c2");
    assert_eq!(dropped, Dropped::default());
}

#[test]
fn unreadable_field_affects_no_other_field() {
    // Too large for a number, a lone surrogate, and nesting beyond any limit.
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for odd in ["1e999", r#""\ud800""#, &deep] {
        let json = format!(r#"{{"id":"c1","issuesRemaining":{odd},"unknown":{odd}}}"#);
        let mut dropped = Dropped::default();
        let contract = Contract::read(&RawValue::from_string(json).unwrap(), &mut dropped);
        assert_eq!(contract.unwrap().issues_remaining, None);
        assert_eq!(
            dropped.values().to_string(),
            "contracts[].issuesRemaining: 1"
        );
    }
}

#[test]
fn dropped_values_are_counted_by_path_in_alphabetical_order() {
    let mut dropped = Dropped::default();
    assert_eq!(dropped.values().total(), 0);
    assert_eq!(dropped.values().to_string(), "");
    for json in [
        json!({ "id": "c1", "expiresAt": 1, "items": 2 }),
        json!({ "id": "c2", "expiresAt": 1 }),
        json!(3),
    ] {
        Contract::read(&raw(&json), &mut dropped);
    }
    let mut other = Dropped::default();
    Contract::read(&raw(&json!({ "id": "c3", "expiresAt": 1 })), &mut other);
    Profile::read(&raw(&json!({ "email": 1 })), &mut other);
    dropped.merge(other);
    assert_eq!(dropped.values().total(), 6);
    assert_eq!(
        dropped.values().to_string(),
        "contracts[]: 1, contracts[].expiresAt: 3, contracts[].items: 1, profile.email: 1"
    );
}
