//! What a check finds of a Mailmojo account.

use bench::Bench;
use mailmojo::Mailmojo;
use serde_json::json;
use shared::check::Code;
use stand_ins::mailmojo::{Contact, MailmojoAccount, Status};
use stand_ins::{Api, Fault, RetryAfter};

const LIST: u64 = 42;

async fn start() -> (Bench<Mailmojo>, MailmojoAccount) {
    let bench = Bench::new(Mailmojo::default()).await;
    let account = bench.stand_ins.mailmojo().add_account("account", "token");
    account.add_list(LIST, "Readers");
    put_secret(&bench, LIST);
    (bench, account)
}

fn put_secret(bench: &Bench<Mailmojo>, list: u64) {
    bench.put_connector_secret(&json!({
        "apiToken": "token",
        "listId": list,
        "apiUrl": bench.stand_ins.urls().mailmojo,
    }));
}

const READERS: &str = "Mailmojo: list 42";
const CONTACTS: &str = "Mailmojo: look up a contact";
const FIELDS: &str = "assumption: Mailmojo defines account fields at /v1/fields/";
const FORM: &str = "assumption: a contact has a list of tags and an object of account fields";

/// A name, what is wrong, and what is found.
type Case = (
    &'static str,
    fn(&Bench<Mailmojo>, &MailmojoAccount),
    &'static [(&'static str, Code)],
);

const CASES: &[Case] = &[
    ("nothing is wrong", |_, _| {}, &[]),
    (
        "the token is nobody's",
        |_, account| account.set_token("other"),
        &[(READERS, Code::CredentialsRefused)],
    ),
    (
        "there is no such list",
        |bench, _| put_secret(bench, 7),
        &[("Mailmojo: list 7", Code::ListUnknown)],
    ),
    (
        "the token may not read lists",
        |_, account| account.set_scopes(&["contacts", "subscribe", "account_settings"]),
        &[(READERS, Code::PermissionMissing)],
    ),
    (
        "the token may not read contacts",
        |_, account| account.set_scopes(&["lists:read", "subscribe", "account_settings"]),
        &[(CONTACTS, Code::PermissionMissing)],
    ),
    (
        "the token may not see account fields",
        |_, account| account.set_scopes(&["contacts", "lists:read", "subscribe"]),
        &[(FIELDS, Code::PermissionMissing)],
    ),
    (
        "account fields have another address",
        |bench, _| fault(bench, Fault::status(404), "/v1/fields/"),
        &[(FIELDS, Code::AssumptionFails)],
    ),
    (
        "account fields are not for listing",
        |bench, _| fault(bench, Fault::status(405), "/v1/fields/"),
        &[(FIELDS, Code::AssumptionFails)],
    ),
    (
        "Mailmojo breaks connections",
        |bench, _| fault(bench, Fault::reset(), "/v1/contacts/*"),
        &[(CONTACTS, Code::ApiUnreachable)],
    ),
    (
        "Mailmojo has a fault of its own",
        |bench, _| fault(bench, Fault::status(502), "/v1/contacts/*"),
        &[(CONTACTS, Code::ApiFailing)],
    ),
    (
        "Mailmojo asks to wait",
        |bench, _| {
            let wait = Fault::too_many_requests(RetryAfter::Seconds(60));
            fault(bench, wait, "/v1/fields/");
        },
        &[(FIELDS, Code::ApiAsksToWait), (FORM, Code::ApiAsksToWait)],
    ),
    (
        "contacts look otherwise",
        |bench, _| {
            let odd = json!([{ "email": "anna@example.no", "tags": "vip" }]);
            fault(bench, Fault::json(200, odd), "/v1/lists/*/subscribers/");
        },
        &[(FORM, Code::UnexpectedAnswer)],
    ),
];

fn fault(bench: &Bench<Mailmojo>, fault: Fault, path: &str) {
    bench.stand_ins.fault(fault.on(Api::Mailmojo).path(path));
}

#[tokio::test]
async fn each_thing_that_is_wrong_is_found_and_named() {
    for (name, spoil, expected) in CASES {
        let (bench, account) = start().await;
        spoil(&bench, &account);
        bench.finds(name, expected).await;
        let requests = bench.stand_ins.requests_to(Api::Mailmojo);
        assert!(
            requests.iter().all(|request| request.method == "GET"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_form_of_a_contact_is_seen_where_the_list_has_one() {
    let (bench, account) = start().await;
    assert_eq!(bench.found_of(FORM).await, Some(Code::CannotBeTold));
    account.put_contact(Contact::new("anna@example.no").on_list(LIST, Status::Active));
    assert_eq!(bench.found_of(FORM).await, Some(Code::AssumptionHolds));
}
