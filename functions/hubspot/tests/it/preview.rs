//! What a preview of a HubSpot contact shows.

use conformance::{EMAIL, USER};
use fakes::hubspot::Contact;
use fakes::sesamy::{Contract, User};
use serde_json::json;

use crate::crm::start;

#[tokio::test]
async fn a_preview_shows_changes_with_reasons_and_calls() {
    let (bench, account) = start().await;
    account.put_contact(
        Contact::new(EMAIL)
            .names("Anne", "Aas")
            .tags(&["vip", "sesamy_overdue_contract"])
            .property("sesamy_will_cancel_at", "2020-01-01"),
    );
    let contract = Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly");
    let user = User::new(USER).email(EMAIL).phone_number("+4790000001");
    bench.sesamy.put_user(user.contract(contract));
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
        json!({ "name": "sesamy_user_id", "set": USER }),
        json!({ "name": "active_subscription_count", "set": "1" }),
        json!({ "name": "subscription_type", "set": "The Daily" }),
        json!({ "name": "sesamy_will_cancel_at", "clear": true }),
    ] {
        assert!(fields.contains(&field), "{field} of {fields:?}");
    }
    assert!(!fields.iter().any(|field| field["name"] == "phone"));
    let writes = preview["writes"].as_array().unwrap();
    let (last, first) = writes.split_last().unwrap();
    let define = json!({ "method": "POST", "endpoint": "/crm/v3/properties/contacts" });
    let missing = first.iter().filter(|call| **call == define).count();
    assert_eq!(
        missing, 10,
        "all properties but the two that the contact has"
    );
    assert_eq!(
        *last,
        json!({ "method": "PATCH", "endpoint": "/crm/v3/objects/contacts/{contactId}" })
    );
}
