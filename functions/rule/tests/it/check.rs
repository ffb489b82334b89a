//! Checks of a Rule account.

use conformance::{Bench, CheckCase, USER, anna};
use fakes::rule::FieldType;
use fakes::{Api, Fault, RetryAfter};
use rule::Rule;
use serde_json::json;
use shared::check::CheckCode;

use crate::crm::{RuleCrm, start};

const FIELDS: &str = "Rule: read the definitions of fields";
const TAGS: &str = "Rule: read tags";
const TYPES: &str = "assumption: the account's Sesamy fields have the types this system writes";

const CASES: &[CheckCase<RuleCrm>] = &[
    CheckCase {
        name: "nothing is wrong",
        break_it: |_, _| {},
        problems: &[],
    },
    CheckCase {
        name: "the key is unknown",
        break_it: |_, account| account.set_api_key("other"),
        problems: &[(FIELDS, CheckCode::CredentialsRefused)],
    },
    CheckCase {
        name: "the key may not read fields",
        break_it: |bench, _| fault(bench, Fault::status(403), "/v2/customizations"),
        problems: &[(FIELDS, CheckCode::PermissionMissing)],
    },
    CheckCase {
        name: "the key may not read tags",
        break_it: |bench, _| fault(bench, Fault::status(403), "/v2/tags"),
        problems: &[(TAGS, CheckCode::PermissionMissing)],
    },
    CheckCase {
        name: "Rule breaks connections",
        break_it: |bench, _| fault(bench, Fault::reset(), "/v2/tags"),
        problems: &[(TAGS, CheckCode::ApiUnreachable)],
    },
    CheckCase {
        name: "Rule fails",
        break_it: |bench, _| fault(bench, Fault::status(500), "/v2/tags"),
        problems: &[(TAGS, CheckCode::ApiFailing)],
    },
    CheckCase {
        name: "Rule asks to wait until a Stockholm time",
        break_it: |bench, _| {
            let wait = Fault::too_many_requests(RetryAfter::Stockholm(600));
            fault(bench, wait, "/v2/customizations");
        },
        problems: &[
            (FIELDS, CheckCode::ApiAsksToWait),
            (TAGS, CheckCode::ApiAsksToWait),
        ],
    },
    CheckCase {
        name: "the answer has another form",
        break_it: |bench, _| fault(bench, Fault::json(200, json!([])), "/v2/tags"),
        problems: &[(TAGS, CheckCode::UnexpectedAnswer)],
    },
    CheckCase {
        name: "one of our fields has another type",
        break_it: |_, account| account.define("Sesamy_User.Created", FieldType::Text),
        problems: &[(TYPES, CheckCode::AssumptionFails)],
    },
];

fn fault(bench: &Bench<Rule>, fault: Fault, path: &str) {
    bench.fakes.fault(fault.on(Api::Rule).path(path));
}

#[tokio::test]
async fn each_problem_is_found_by_reading() {
    conformance::each_problem_is_found_by_reading(CASES).await;
}

#[tokio::test]
async fn fields_defined_by_a_sync_have_the_right_types() {
    let (bench, _) = start().await;
    assert_eq!(bench.check_code(TYPES).await, Some(CheckCode::CannotBeTold));
    bench.sesamy.put_user(anna());
    bench.synced(USER, "a").await;
    assert_eq!(
        bench.check_code(TYPES).await,
        Some(CheckCode::AssumptionHolds)
    );
}
