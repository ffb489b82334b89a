//! Odd answers of HubSpot stop a sync before it writes a contact.

use std::path::Path;

use conformance::{USER, record};
use fakes::{Api, Fault};
use perf::{ConnectorKind, hostile};
use serde_json::json;

use crate::crm::{daily_subscriber, start};

const CONTACT: &str = "/crm/v3/objects/contacts/*";
const TITLES: &str = "/crm/v3/properties/contacts/subscription_type";
const BATCH: &str = "/crm/v3/properties/contacts/batch/read";

#[tokio::test]
async fn malformed_answer_stops_the_sync_before_it_writes_a_contact() {
    let cases = [
        (CONTACT, json!([])),
        (CONTACT, json!({ "properties": {} })),
        (CONTACT, json!({ "id": null, "properties": {} })),
        (CONTACT, json!({ "id": "101" })),
        (CONTACT, json!({ "id": "101", "properties": "none" })),
        (BATCH, json!({})),
        (BATCH, json!({ "results": null })),
        (TITLES, json!({ "name": "subscription_type" })),
        (TITLES, json!({ "options": {} })),
    ];
    for (path, answer) in cases {
        let name = format!("{path} {answer}");
        let (bench, account) = start().await;
        bench.sesamy.put_user(daily_subscriber());
        bench
            .fakes
            .fault(Fault::json(200, answer).on(Api::HubSpot).path(path));
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, _) = bench.queue.dead_letters().remove(0);
        assert_eq!(kind, "malformed_answer", "{name}");
        assert_eq!(account.contacts(), [], "{name}");
    }
}

#[test]
fn no_answer_takes_more_memory_than_the_function_has() {
    let binary = Path::new(env!("CARGO_BIN_EXE_hubspot"));
    let peaks = hostile::memory_peaks(ConnectorKind::Hubspot, binary).unwrap();
    let over = peaks.iter().filter(|(_, peak)| *peak > hostile::MAX_MEMORY);
    assert_eq!(over.collect::<Vec<_>>(), [] as [&(String, u64); 0]);
}
