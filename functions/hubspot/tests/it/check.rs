//! Checks of a HubSpot account.

use conformance::{Bench, CheckCase};
use fakes::hubspot::{Definition, Kind};
use fakes::{Api, Fault, RetryAfter};
use hubspot::HubSpot;
use serde_json::json;
use shared::check::CheckCode;

use crate::crm::{HubSpotCrm, start};

const DEFINITIONS: &str = "HubSpot: read the definitions of properties";
const CONTACTS: &str = "HubSpot: look up a contact";
const TYPES: &str = "assumption: the account's properties have types that this system can write";
const USERS: &str = "HubSpot: find contacts by their Sesamy user";

const BATCH: &str = "/crm/v3/properties/contacts/batch/read";

const CASES: &[CheckCase<HubSpotCrm>] = &[
    CheckCase {
        name: "nothing is wrong",
        break_it: |_, _| {},
        problems: &[],
    },
    CheckCase {
        name: "the token is unknown",
        break_it: |_, account| account.set_token("other"),
        problems: &[(DEFINITIONS, CheckCode::CredentialsRefused)],
    },
    CheckCase {
        name: "the token may not read contacts",
        break_it: |_, account| account.set_scopes(&["crm.schemas.contacts.read"]),
        problems: &[(CONTACTS, CheckCode::PermissionMissing)],
    },
    CheckCase {
        name: "the token may read nothing",
        break_it: |_, account| account.set_scopes(&[]),
        problems: &[
            (DEFINITIONS, CheckCode::PermissionMissing),
            (CONTACTS, CheckCode::PermissionMissing),
        ],
    },
    CheckCase {
        name: "a property has a type that cannot hold the tags",
        break_it: |_, account| account.define(Definition::new("sesamy_tags", Kind::Select)),
        problems: &[(TYPES, CheckCode::AssumptionFails)],
    },
    CheckCase {
        name: "another server answers",
        break_it: |bench, _| fault(bench, Fault::status(404), "*"),
        problems: &[(DEFINITIONS, CheckCode::UnexpectedAnswer)],
    },
    CheckCase {
        name: "HubSpot breaks connections",
        break_it: |bench, _| fault(bench, Fault::reset(), "/crm/v3/objects/*"),
        problems: &[(CONTACTS, CheckCode::ApiUnreachable)],
    },
    CheckCase {
        name: "HubSpot fails",
        break_it: |bench, _| fault(bench, Fault::status(502), "/crm/v3/objects/*"),
        problems: &[(CONTACTS, CheckCode::ApiFailing)],
    },
    CheckCase {
        name: "HubSpot asks to wait",
        break_it: |bench, _| {
            let wait = Fault::too_many_requests(RetryAfter::Missing);
            fault(bench, wait, BATCH);
        },
        problems: &[
            (DEFINITIONS, CheckCode::ApiAsksToWait),
            (CONTACTS, CheckCode::ApiAsksToWait),
        ],
    },
    CheckCase {
        name: "definitions have another form",
        break_it: |bench, _| fault(bench, Fault::json(200, json!({ "results": {} })), BATCH),
        problems: &[(DEFINITIONS, CheckCode::UnexpectedAnswer)],
    },
];

fn fault(bench: &Bench<HubSpot>, fault: Fault, path: &str) {
    bench.fakes.fault(fault.on(Api::HubSpot).path(path));
}

#[tokio::test]
async fn each_problem_is_found_by_reading() {
    conformance::each_problem_is_found_by_reading(CASES).await;
}

#[tokio::test]
async fn what_exists_already_is_checked() {
    let (bench, account) = start().await;
    assert_eq!(bench.check_code(TYPES).await, Some(CheckCode::CannotBeTold));
    assert_eq!(bench.check_code(USERS).await, Some(CheckCode::Works));
    // As Sesamy's own integration creates it.
    account.define(Definition::new("sesamy_user_id", Kind::Text));
    assert_eq!(
        bench.check_code(TYPES).await,
        Some(CheckCode::AssumptionHolds)
    );
    assert_eq!(bench.check_code(USERS).await, Some(CheckCode::CannotBeTold));
}
