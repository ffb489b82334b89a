//! Checks of a Mailmojo account.

use conformance::{Bench, CheckCase, EMAIL, TestedCrm};
use fakes::mailmojo::{Contact, Status};
use fakes::{Api, Fault, RetryAfter};
use mailmojo::Mailmojo;
use serde_json::json;
use shared::check::CheckCode;

use crate::crm::{LIST, MailmojoCrm, start};

const LIST_CHECK: &str = "Mailmojo: list 42";
const CONTACTS: &str = "Mailmojo: look up a contact";
const FIELDS: &str = "assumption: Mailmojo defines account fields at /v1/fields/";
const FORM: &str = "assumption: a contact has a list of tags and an object of account fields";

const CASES: &[CheckCase<MailmojoCrm>] = &[
    CheckCase {
        name: "nothing is wrong",
        break_it: |_, _| {},
        problems: &[],
    },
    CheckCase {
        name: "the token is unknown",
        break_it: |_, account| account.set_token("other"),
        problems: &[(LIST_CHECK, CheckCode::CredentialsRefused)],
    },
    CheckCase {
        name: "there is no such list",
        break_it: |bench, _| {
            let mut secret = MailmojoCrm::secret(&bench.fakes, "account");
            secret["listId"] = json!(8);
            bench.put_connector_secret(&secret);
        },
        problems: &[("Mailmojo: list 8", CheckCode::ListUnknown)],
    },
    CheckCase {
        name: "the token may not read lists",
        break_it: |_, account| account.set_scopes(&["contacts", "subscribe", "account_settings"]),
        problems: &[(LIST_CHECK, CheckCode::PermissionMissing)],
    },
    CheckCase {
        name: "the token may not read contacts",
        break_it: |_, account| account.set_scopes(&["lists:read", "subscribe", "account_settings"]),
        problems: &[(CONTACTS, CheckCode::PermissionMissing)],
    },
    CheckCase {
        name: "the token may not see account fields",
        break_it: |_, account| account.set_scopes(&["contacts", "lists:read", "subscribe"]),
        problems: &[(FIELDS, CheckCode::PermissionMissing)],
    },
    CheckCase {
        name: "the path of account fields is unknown",
        break_it: |bench, _| fault(bench, Fault::status(404), "/v1/fields/"),
        problems: &[(FIELDS, CheckCode::AssumptionFails)],
    },
    CheckCase {
        name: "account fields cannot be listed",
        break_it: |bench, _| fault(bench, Fault::status(405), "/v1/fields/"),
        problems: &[(FIELDS, CheckCode::AssumptionFails)],
    },
    CheckCase {
        name: "Mailmojo breaks connections",
        break_it: |bench, _| fault(bench, Fault::reset(), "/v1/contacts/*"),
        problems: &[(CONTACTS, CheckCode::ApiUnreachable)],
    },
    CheckCase {
        name: "Mailmojo fails",
        break_it: |bench, _| fault(bench, Fault::status(502), "/v1/contacts/*"),
        problems: &[(CONTACTS, CheckCode::ApiFailing)],
    },
    CheckCase {
        name: "Mailmojo asks to wait",
        break_it: |bench, _| {
            let wait = Fault::too_many_requests(RetryAfter::Seconds(60));
            fault(bench, wait, "/v1/fields/");
        },
        problems: &[
            (FIELDS, CheckCode::ApiAsksToWait),
            (FORM, CheckCode::ApiAsksToWait),
        ],
    },
    CheckCase {
        name: "contacts have another form",
        break_it: |bench, _| {
            let odd = json!([{ "email": "anna@example.no", "tags": "vip" }]);
            fault(bench, Fault::json(200, odd), "/v1/lists/*/subscribers/");
        },
        problems: &[(FORM, CheckCode::UnexpectedAnswer)],
    },
];

fn fault(bench: &Bench<Mailmojo>, fault: Fault, path: &str) {
    bench.fakes.fault(fault.on(Api::Mailmojo).path(path));
}

#[tokio::test]
async fn each_problem_is_found_by_reading() {
    conformance::each_problem_is_found_by_reading(CASES).await;
}

#[tokio::test]
async fn the_form_of_contacts_is_checked_if_the_list_has_any() {
    let (bench, account) = start().await;
    assert_eq!(bench.check_code(FORM).await, Some(CheckCode::CannotBeTold));
    account.put_contact(Contact::new(EMAIL).on_list(LIST, Status::Active));
    assert_eq!(
        bench.check_code(FORM).await,
        Some(CheckCode::AssumptionHolds)
    );
}
