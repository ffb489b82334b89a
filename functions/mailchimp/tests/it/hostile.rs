//! Odd answers of Mailchimp stop a sync before it writes.

use std::path::Path;

use conformance::{EMAIL, USER, record};
use fakes::{Api, Fault};
use perf::{ConnectorKind, hostile};
use serde_json::{Value, json};

use crate::crm::{daily_subscriber, start};

fn member() -> Value {
    json!({
        "id": "0123456789abcdef0123456789abcdef",
        "contact_id": "c1",
        "email_address": EMAIL,
        "status": "subscribed",
        "merge_fields": {},
        "tags": [],
        "tags_count": 0,
    })
}

#[tokio::test]
async fn a_malformed_member_stops_the_sync_before_any_write() {
    let odd_values = [
        ("id", json!(null)),
        ("email_address", json!(7)),
        ("status", json!(null)),
        ("merge_fields", json!(null)),
        ("merge_fields", json!("none")),
        ("tags", json!(null)),
        ("tags", json!(["vip"])),
        ("tags", json!([{ "id": 1 }])),
    ];
    for (key, value) in odd_values {
        let name = format!("{key} {value}");
        let (bench, audience) = start().await;
        bench.sesamy.put_user(daily_subscriber());
        let mut answer = member();
        answer[key] = value;
        let fault = Fault::json(200, answer).on(Api::Mailchimp);
        let fault = fault.method("GET").path("/lists/*/members/*");
        bench.fakes.fault(fault);
        assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
        let (_, kind, _) = bench.queue.dead_letters().remove(0);
        assert_eq!(kind, "malformed_answer", "{name}");
        assert_eq!(audience.members(), [], "{name}");
    }
}

#[tokio::test]
async fn tags_without_end_are_malformed() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    let mut answer = member();
    answer["tags_count"] = json!(1_000_000);
    let fault = Fault::json(200, answer).on(Api::Mailchimp);
    bench.fakes.fault(fault.path("/lists/*/members/*").times(1));
    let tags: Vec<_> = (0..1000)
        .map(|n| json!({ "name": format!("t{n}") }))
        .collect();
    let page = Fault::json(200, json!({ "tags": tags })).on(Api::Mailchimp);
    bench.fakes.fault(page.path("/lists/*/members/*/tags"));
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    let (_, kind, _) = bench.queue.dead_letters().remove(0);
    assert_eq!(kind, "malformed_answer");
}

#[test]
fn no_answer_takes_more_memory_than_the_function_has() {
    let binary = Path::new(env!("CARGO_BIN_EXE_mailchimp"));
    let peaks = hostile::memory_peaks(ConnectorKind::Mailchimp, binary).unwrap();
    let over = peaks.iter().filter(|(_, peak)| *peak > hostile::MAX_MEMORY);
    assert_eq!(over.collect::<Vec<_>>(), [] as [&(String, u64); 0]);
}
