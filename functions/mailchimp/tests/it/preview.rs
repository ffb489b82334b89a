//! What a preview of a Mailchimp member shows.

use conformance::{EMAIL, USER};
use fakes::mailchimp::Member;
use serde_json::json;

use crate::crm::{daily_subscriber, start};

#[tokio::test]
async fn a_preview_shows_changes_with_reasons_and_calls() {
    let (bench, audience) = start().await;
    audience.put_member(
        Member::new(EMAIL)
            .names("Anne", "Aas")
            .tags(&["vip", "sesamy_overdue_contract"])
            .field("SMYCANCEL", "2020-01-01"),
    );
    bench.sesamy.put_user(daily_subscriber());
    let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
    assert_eq!(preview["outcome"], "would_sync");
    let contact = &preview["contacts"][0];
    assert_eq!(
        contact["tags"],
        json!({
            "add": [{
                "tag": "sesamy_active_subscriber",
                "because": ["has an active subscription (c1)"],
            }],
            "remove": [{
                "tag": "sesamy_overdue_contract",
                "because": ["no longer applies"],
            }],
            "stay": [],
            "kept": 1,
        })
    );
    let fields = contact["fields"].as_array().unwrap();
    for field in [
        json!({ "name": "PHONE", "personal": true }),
        json!({ "name": "SESAMYUSR", "set": USER }),
        json!({ "name": "SMYSUBSC", "set": "True" }),
        json!({ "name": "SMYACTSUBS", "set": 1 }),
        json!({ "name": "SMYCANCEL", "clear": true }),
    ] {
        assert!(fields.contains(&field), "{field} of {fields:?}");
    }
    assert!(!fields.iter().any(|field| field["name"] == "FNAME"));
    let writes = preview["writes"].as_array().unwrap();
    let define = json!({ "method": "POST", "endpoint": "/lists/{listId}/merge-fields" });
    let defined = writes.iter().filter(|call| **call == define).count();
    assert_eq!(defined, 12, "all but the name, the phone and the one there");
    assert_eq!(
        writes[defined..],
        [
            json!({ "method": "PATCH", "endpoint": "/lists/{listId}/members/{member}" }),
            json!({ "method": "POST", "endpoint": "/lists/{listId}/members/{member}/tags" }),
        ]
    );
}
