//! What a check finds of a vendor's Make.as lists.

use bench::Bench;
use make::Make;
use serde_json::{Value, json};
use shared::check::Code;
use stand_ins::make::{MakeAccount, Subscriber};
use stand_ins::{Api, Fault, RetryAfter};

const LIST: u64 = 77;

async fn start() -> (Bench<Make>, MakeAccount) {
    let bench = Bench::new(Make).await;
    let account = bench.stand_ins.make().add_account("account", "user", "key");
    account.add_list(LIST, "Readers");
    bench.put_connector_secret(&set(&bench, LIST));
    (bench, account)
}

fn set(bench: &Bench<Make>, list: u64) -> Value {
    json!({
        "userId": "user", "apiKey": "key", "listId": list,
        "apiUrl": bench.stand_ins.urls().make,
    })
}

const READERS: &str = "Make.as: list 77";
const LOOK_UP: &str = "Make.as: list 77, look up a subscriber";
const FORM: &str = "assumption: a subscriber names its tags (Make.as: list 77)";

/// A name, what is wrong, and what is found.
type Case = (
    &'static str,
    fn(&Bench<Make>, &MakeAccount),
    &'static [(&'static str, Code)],
);

const CASES: &[Case] = &[
    ("nothing is wrong", |_, _| {}, &[]),
    (
        "the key is nobody's",
        |_, account| account.set_api_key("other"),
        &[(READERS, Code::CredentialsRefused)],
    ),
    (
        "one of two lists is unknown",
        |bench, _| bench.put_connector_secret(&json!([set(bench, LIST), set(bench, 8)])),
        &[("Make.as: list 8", Code::ListUnknown)],
    ),
    (
        "one of two sets is malformed",
        |bench, _| bench.put_connector_secret(&json!([set(bench, LIST), { "userId": "u" }])),
        &[("Make.as: set 2 of the secret", Code::SecretMalformed)],
    ),
    (
        "the key may not read lists",
        |bench, _| fault(bench, Fault::status(403), "/subscriberlists"),
        &[(READERS, Code::PermissionMissing)],
    ),
    (
        "the key may not read subscribers",
        |bench, _| fault(bench, Fault::status(403), "/subscribers/by_email"),
        &[(LOOK_UP, Code::PermissionMissing)],
    ),
    (
        "Make.as breaks connections",
        |bench, _| fault(bench, Fault::reset(), "/subscriberlists"),
        &[(READERS, Code::ApiUnreachable)],
    ),
    (
        "Make.as has a fault of its own",
        |bench, _| fault(bench, Fault::status(500), "/subscribers/by_list"),
        &[(FORM, Code::ApiFailing)],
    ),
    (
        "Make.as asks to wait",
        |bench, _| {
            let wait = Fault::too_many_requests(RetryAfter::Seconds(60));
            fault(bench, wait, "/subscriberlists");
        },
        &[
            (READERS, Code::ApiAsksToWait),
            (LOOK_UP, Code::ApiAsksToWait),
        ],
    ),
    (
        "subscribers have no id",
        |bench, _| {
            let odd = json!([{ "email": "anna@example.no", "tags": ["vip"] }]);
            fault(bench, Fault::json(200, odd), "/subscribers/by_list");
        },
        &[(FORM, Code::UnexpectedAnswer)],
    ),
    (
        "subscribers look otherwise",
        |bench, _| {
            let odd = json!([{ "email": "anna@example.no", "tags": "vip" }]);
            fault(bench, Fault::json(200, odd), "/subscribers/by_list");
        },
        &[(FORM, Code::UnexpectedAnswer)],
    ),
];

fn fault(bench: &Bench<Make>, fault: Fault, path: &str) {
    bench.stand_ins.fault(fault.on(Api::Make).path(path));
}

#[tokio::test]
async fn each_thing_that_is_wrong_is_found_and_named() {
    for (name, spoil, expected) in CASES {
        let (bench, account) = start().await;
        spoil(&bench, &account);
        bench.finds(name, expected).await;
        for request in bench.stand_ins.requests_to(Api::Make) {
            let reads = request.method == "GET" || request.path == "/subscribers/by_email";
            assert!(reads, "{name}: {} {}", request.method, request.path);
        }
    }
}

#[tokio::test]
async fn the_form_of_a_subscriber_is_seen_where_the_list_has_one() {
    let (bench, account) = start().await;
    assert_eq!(bench.found_of(FORM).await, Some(Code::CannotBeTold));
    account.put_subscriber(
        Subscriber::new("anna@example.no")
            .on_list(LIST)
            .tags(&["vip"]),
    );
    assert_eq!(bench.found_of(FORM).await, Some(Code::AssumptionHolds));
}
