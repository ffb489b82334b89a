//! Checks of a vendor's Make.as lists.

use conformance::{Bench, CheckCase, EMAIL};
use fakes::make::Subscriber;
use fakes::{Api, Fault, RetryAfter};
use make::Make;
use serde_json::json;
use shared::check::CheckCode;

use crate::crm::{LIST, MakeCrm, set, start};

const LIST_CHECK: &str = "Make.as: list 77";
const LOOK_UP: &str = "Make.as: list 77, look up a subscriber";
const FORM: &str = "assumption: a contact names its tags (Make.as: list 77)";

const CASES: &[CheckCase<MakeCrm>] = &[
    CheckCase {
        name: "nothing is wrong",
        break_it: |_, _| {},
        problems: &[],
    },
    CheckCase {
        name: "the key is unknown",
        break_it: |_, account| account.set_api_key("other"),
        problems: &[(LIST_CHECK, CheckCode::CredentialsRefused)],
    },
    CheckCase {
        name: "one of two lists is unknown",
        break_it: |bench, _| {
            bench.put_connector_secret(&json!([
                set(bench, "account", LIST),
                set(bench, "account", 8)
            ]))
        },
        problems: &[("Make.as: list 8", CheckCode::ListUnknown)],
    },
    CheckCase {
        name: "one of two sets is malformed",
        break_it: |bench, _| {
            bench.put_connector_secret(&json!([set(bench, "account", LIST), { "userId": "u" }]))
        },
        problems: &[("Make.as: set 2 of the secret", CheckCode::SecretMalformed)],
    },
    CheckCase {
        name: "the key may not read lists",
        break_it: |bench, _| fault(bench, Fault::status(403), "/subscriberlists"),
        problems: &[(LIST_CHECK, CheckCode::PermissionMissing)],
    },
    CheckCase {
        name: "the key may not read subscribers",
        break_it: |bench, _| fault(bench, Fault::status(403), "/subscribers/by_email"),
        problems: &[(LOOK_UP, CheckCode::PermissionMissing)],
    },
    CheckCase {
        name: "Make.as breaks connections",
        break_it: |bench, _| fault(bench, Fault::reset(), "/subscriberlists"),
        problems: &[(LIST_CHECK, CheckCode::ApiUnreachable)],
    },
    CheckCase {
        name: "Make.as fails",
        break_it: |bench, _| fault(bench, Fault::status(500), "/subscribers/by_list"),
        problems: &[(FORM, CheckCode::ApiFailing)],
    },
    CheckCase {
        name: "Make.as asks to wait",
        break_it: |bench, _| {
            let wait = Fault::too_many_requests(RetryAfter::Seconds(60));
            fault(bench, wait, "/subscriberlists");
        },
        problems: &[
            (LIST_CHECK, CheckCode::ApiAsksToWait),
            (LOOK_UP, CheckCode::ApiAsksToWait),
        ],
    },
    CheckCase {
        name: "contacts have no id",
        break_it: |bench, _| {
            let odd = json!([{ "email": "anna@example.no", "tags": ["vip"] }]);
            fault(bench, Fault::json(200, odd), "/subscribers/by_list");
        },
        problems: &[(FORM, CheckCode::UnexpectedAnswer)],
    },
    CheckCase {
        name: "contacts have another form",
        break_it: |bench, _| {
            let odd = json!([{ "email": "anna@example.no", "tags": "vip" }]);
            fault(bench, Fault::json(200, odd), "/subscribers/by_list");
        },
        problems: &[(FORM, CheckCode::UnexpectedAnswer)],
    },
];

fn fault(bench: &Bench<Make>, fault: Fault, path: &str) {
    bench.fakes.fault(fault.on(Api::Make).path(path));
}

#[tokio::test]
async fn each_problem_is_found_by_reading() {
    conformance::each_problem_is_found_by_reading(CASES).await;
}

#[tokio::test]
async fn the_form_of_contacts_is_checked_if_the_list_has_any() {
    let (bench, account) = start().await;
    assert_eq!(bench.check_code(FORM).await, Some(CheckCode::CannotBeTold));
    account.put_subscriber(Subscriber::new(EMAIL).on_list(LIST).tags(&["vip"]));
    assert_eq!(
        bench.check_code(FORM).await,
        Some(CheckCode::AssumptionHolds)
    );
}
