//! Checks of a Toy account.

use conformance::CheckCase;
use fakes::{Api, Fault, RetryAfter};
use serde_json::json;
use shared::check::CheckCode;
use shared::connector::Connector;

use crate::crm::ToyCrm;
use crate::toy::Toy;
use crate::toy::check::CONTACTS;

pub fn cases<C: Connector + Default>() -> [CheckCase<ToyCrm<C>>; 4] {
    [
        CheckCase {
            name: "nothing is wrong",
            break_it: |_, _| {},
            problems: &[],
        },
        CheckCase {
            name: "the token is unknown",
            break_it: |bench, _| {
                let secret = json!({ "token": "other", "apiUrl": url(bench.fakes.base()) });
                bench.put_connector_secret(&secret);
            },
            problems: &[(CONTACTS, CheckCode::CredentialsRefused)],
        },
        CheckCase {
            name: "Toy asks to wait",
            break_it: |bench, _| {
                let wait = Fault::too_many_requests(RetryAfter::Seconds(60));
                bench.fakes.fault(wait.on(Api::Other));
            },
            problems: &[(CONTACTS, CheckCode::ApiAsksToWait)],
        },
        CheckCase {
            name: "contacts have another form",
            break_it: |bench, _| {
                let odd = Fault::json(200, json!({ "tags": "vip" }));
                bench.fakes.fault(odd.on(Api::Other));
            },
            problems: &[(CONTACTS, CheckCode::UnexpectedAnswer)],
        },
    ]
}

fn url(base: &str) -> String {
    format!("{base}{}", Api::Other.base_path())
}

#[tokio::test]
async fn each_problem_is_found_by_reading() {
    conformance::each_problem_is_found_by_reading(&cases::<Toy>()).await;
}
