//! What of Sesamy's models the derivation itself does not show.

use serde_json::json;
use shared::identity::UserId;
use shared::sesamy::model::{Contract, Dropped, Profile};

fn user_id(profile: &serde_json::Value) -> (Option<UserId>, String) {
    let mut dropped = Dropped::default();
    let profile = Profile::read(profile, &mut dropped).unwrap();
    (profile.user_id, dropped.values().to_string())
}

#[test]
fn a_profile_is_named_by_user_id_else_by_id() {
    let id = |text: &str| UserId::try_from(text).ok();
    let cases = [
        (json!({ "userId": "email|a", "id": "b" }), id("email|a"), ""),
        (json!({ "id": "email|b" }), id("email|b"), ""),
        (
            json!({ "userId": 7, "id": "email|b" }),
            id("email|b"),
            "profile.userId: 1",
        ),
        (json!({ "userId": "with blank" }), None, "profile.userId: 1"),
        (json!({}), None, ""),
    ];
    for (profile, expected, dropped) in cases {
        assert_eq!(
            user_id(&profile),
            (expected, dropped.to_owned()),
            "{profile}"
        );
    }
}

#[test]
fn what_is_no_profile_is_none() {
    for json in [json!(null), json!([]), json!("anna@example.se")] {
        let mut dropped = Dropped::default();
        assert_eq!(Profile::read(&json, &mut dropped), None);
        assert_eq!(dropped.values().to_string(), "profile: 1");
    }
}

#[test]
fn what_was_dropped_is_counted_by_path_in_alphabetical_order() {
    let mut dropped = Dropped::default();
    let nothing = (dropped.values().total(), dropped.values().to_string());
    assert_eq!(nothing, (0, String::new()));
    for json in [
        json!({ "id": "c1", "expiresAt": 1, "items": 2 }),
        json!({ "id": "c2", "expiresAt": 1 }),
        json!(3),
    ] {
        Contract::read(&json, &mut dropped);
    }
    let mut other = Dropped::default();
    Contract::read(&json!({ "id": "c3", "expiresAt": 1 }), &mut other);
    Profile::read(&json!({ "email": 1 }), &mut other);
    dropped.merge(other);
    assert_eq!(dropped.values().total(), 6);
    assert_eq!(
        dropped.values().to_string(),
        "contracts[]: 1, contracts[].expiresAt: 3, contracts[].items: 1, profile.email: 1"
    );
}
