//! What a check finds of a Rule account.

use bench::Bench;
use rule::Rule;
use serde_json::json;
use shared::check::Code;
use stand_ins::rule::{FieldType, RuleAccount};
use stand_ins::{Api, Fault, RetryAfter};

async fn start() -> (Bench<Rule>, RuleAccount) {
    let bench = Bench::new(Rule::default()).await;
    let account = bench.stand_ins.rule().add_account("account", "key");
    bench.put_connector_secret(&json!({ "apiKey": "key", "apiUrl": bench.stand_ins.urls().rule }));
    (bench, account)
}

const FIELDS: &str = "Rule: read the definitions of fields";
const TAGS: &str = "Rule: read tags";
const TYPES: &str = "assumption: the account's Sesamy fields have the types this system writes";

/// A name, what is wrong, and what is found.
type Case = (
    &'static str,
    fn(&Bench<Rule>, &RuleAccount),
    &'static [(&'static str, Code)],
);

const CASES: &[Case] = &[
    ("nothing is wrong", |_, _| {}, &[]),
    (
        "the key is nobody's",
        |_, account| account.set_api_key("other"),
        &[(FIELDS, Code::CredentialsRefused)],
    ),
    (
        "the key may not read fields",
        |bench, _| fault(bench, Fault::status(403), "/v2/customizations"),
        &[(FIELDS, Code::PermissionMissing)],
    ),
    (
        "the key may not read tags",
        |bench, _| fault(bench, Fault::status(403), "/v2/tags"),
        &[(TAGS, Code::PermissionMissing)],
    ),
    (
        "Rule breaks connections",
        |bench, _| fault(bench, Fault::reset(), "/v2/tags"),
        &[(TAGS, Code::ApiUnreachable)],
    ),
    (
        "Rule has a fault of its own",
        |bench, _| fault(bench, Fault::status(500), "/v2/tags"),
        &[(TAGS, Code::ApiFailing)],
    ),
    (
        "Rule asks to wait until a Stockholm time",
        |bench, _| {
            let wait = Fault::too_many_requests(RetryAfter::Stockholm(600));
            fault(bench, wait, "/v2/customizations");
        },
        &[(FIELDS, Code::ApiAsksToWait), (TAGS, Code::ApiAsksToWait)],
    ),
    (
        "Rule answers something else",
        |bench, _| fault(bench, Fault::json(200, json!([])), "/v2/tags"),
        &[(TAGS, Code::UnexpectedAnswer)],
    ),
    (
        "a field of ours has another type",
        |_, account| account.define("Sesamy_User.Created", FieldType::Text),
        &[(TYPES, Code::AssumptionFails)],
    ),
];

fn fault(bench: &Bench<Rule>, fault: Fault, path: &str) {
    bench.stand_ins.fault(fault.on(Api::Rule).path(path));
}

#[tokio::test]
async fn each_thing_that_is_wrong_is_found_and_named() {
    for (name, spoil, expected) in CASES {
        let (bench, account) = start().await;
        spoil(&bench, &account);
        bench.finds(name, expected).await;
        let requests = bench.stand_ins.requests_to(Api::Rule);
        assert!(
            requests.iter().all(|request| request.method == "GET"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn fields_that_a_sync_defined_have_the_right_types() {
    let (bench, _) = start().await;
    assert_eq!(bench.found_of(TYPES).await, Some(Code::CannotBeTold));
    let anna = stand_ins::sesamy::User::new("email|1").email("anna@example.se");
    bench.sesamy.put_user(anna);
    bench.synced("email|1", "a").await;
    assert_eq!(bench.found_of(TYPES).await, Some(Code::AssumptionHolds));
}
