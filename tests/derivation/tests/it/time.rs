//! When time alone changes the result, and whether a user has access.

use derivation_tests::Answers;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::derivation::{Derivation, DesiredContact, Policy, derive};
use shared::identity::UserId;

const SOON: &str = "2026-07-01T00:00:00Z";
const LATER: &str = "2026-08-01T00:00:00Z";
const PAST: &str = "2026-05-01T00:00:00Z";

fn derived(contracts: &Value, entitlements: &Value) -> Box<DesiredContact> {
    let list = |list: &Value| list.as_array().unwrap().clone();
    let answers = Answers {
        profile: json!({ "email": "anna@example.se" }),
        contracts: list(contracts),
        entitlements: list(entitlements),
        bills: Vec::new(),
    };
    let user = UserId::try_from("email|anna").unwrap();
    let now = "2026-06-15T12:00:00Z".parse().unwrap();
    let (state, _) = answers.read();
    match derive(&user, &state.unwrap(), Policy::default(), now) {
        Derivation::Contact(contact) => contact,
        Derivation::Skipped(skip) => panic!("{skip:?}"),
    }
}

fn subscription(id: &str, next_bill: &str, cancels: Option<&str>) -> Value {
    json!({
        "id": id,
        "contractDuration": "RECURRING",
        "isActive": true,
        "nextBillAt": next_bill,
        "willCancelAt": cancels,
    })
}

#[test]
fn next_change_is_the_next_expiry_or_the_next_payment() {
    struct Case {
        name: &'static str,
        contracts: Value,
        entitlements: Value,
        next_change: Option<&'static str>,
    }
    let case = |name, contracts, entitlements, next_change| Case {
        name,
        contracts,
        entitlements,
        next_change,
    };
    let access = |ends: &str| json!({ "id": "e", "expiresAt": ends });
    for case in [
        case("nothing", json!([]), json!([]), None),
        case(
            "access without end",
            json!([]),
            json!([{ "id": "e" }]),
            None,
        ),
        case("access that ended", json!([]), json!([access(PAST)]), None),
        case(
            "access that ends",
            json!([]),
            json!([access(SOON)]),
            Some(SOON),
        ),
        case(
            "the earlier of two ends",
            json!([]),
            json!([access(LATER), { "id": "e2", "expiresAt": SOON }]),
            Some(SOON),
        ),
        case(
            "no access, so no end",
            json!([]),
            json!([{ "id": "e", "hasAccess": false, "expiresAt": SOON }]),
            None,
        ),
        case(
            "a payment before access ends",
            json!([subscription("c", SOON, None)]),
            json!([access(LATER)]),
            Some(SOON),
        ),
        case(
            "a payment that will not be made",
            json!([subscription("c", LATER, Some(SOON))]),
            json!([]),
            None,
        ),
        case(
            "a payment in the past",
            json!([subscription("c", PAST, None)]),
            json!([]),
            None,
        ),
    ] {
        let next_change = case.next_change.map(|at| at.parse::<Timestamp>().unwrap());
        let contact = derived(&case.contracts, &case.entitlements);
        assert_eq!(contact.next_change, next_change, "{}", case.name);
    }
}

#[test]
fn access_comes_from_an_active_subscription_or_an_accessible_entitlement() {
    let ended = json!({ "id": "c", "contractDuration": "RECURRING", "isActive": false });
    let article = json!({ "id": "a", "type": "ARTICLE" });
    for (name, contracts, entitlements, has_access) in [
        ("nothing", json!([]), json!([]), false),
        ("an ended subscription", json!([ended]), json!([]), false),
        (
            "an active subscription",
            json!([subscription("c", SOON, None)]),
            json!([]),
            true,
        ),
        ("an article", json!([]), json!([article]), true),
        (
            "access that ended",
            json!([]),
            json!([{ "id": "e", "expiresAt": PAST }]),
            false,
        ),
    ] {
        let contact = derived(&contracts, &entitlements);
        assert_eq!(contact.has_access, has_access, "{name}");
    }
}
