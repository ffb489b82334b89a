//! What a preview of a Mailmojo contact shows.

use conformance::{EMAIL, USER};
use fakes::mailmojo::{Contact, Status};
use fakes::sesamy::{Contract, User};
use serde_json::json;

use crate::crm::{LIST, start};

#[tokio::test]
async fn a_preview_shows_changes_with_reasons_and_calls() {
    let (bench, account) = start().await;
    account.put_contact(
        Contact::new(EMAIL)
            .on_list(LIST, Status::Active)
            .names("Anne", "Aas")
            .tags(&["vip", "sesamy_overdue_contract"])
            .custom("Will Cancel At", "2020-01-01"),
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
        json!({ "name": "phone", "personal": true }),
        json!({ "name": "Sesamy User ID", "set": USER }),
        json!({ "name": "Active Subscriptions", "set": 1 }),
        json!({ "name": "Will Cancel At", "clear": true }),
    ] {
        assert!(fields.contains(&field), "{field} of {fields:?}");
    }
    assert!(!fields.iter().any(|field| field["name"] == "first_name"));
    let writes = preview["writes"].as_array().unwrap();
    let (last, first) = writes.split_last().unwrap();
    let define = json!({ "method": "POST", "endpoint": "/v1/fields/" });
    let missing = first.iter().filter(|call| **call == define).count();
    assert_eq!(missing, 12, "all fields but the one the contact has");
    assert_eq!(
        *last,
        json!({ "method": "PATCH", "endpoint": "/v1/contacts/{email}/" })
    );
}

/// A marketer asks why a contact has its tags, mostly when nothing is wrong.
#[tokio::test]
async fn a_preview_gives_the_reasons_of_tags_that_stay() {
    let (bench, _) = start().await;
    let contract = Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly");
    bench
        .sesamy
        .put_user(User::new(USER).email(EMAIL).contract(contract));
    bench.synced(USER, "a").await;
    let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
    assert_eq!(preview["outcome"], "unchanged");
    let stay = json!([{
        "tag": "sesamy_active_subscriber",
        "because": ["has an active subscription (c1)"],
    }]);
    assert_eq!(preview["contacts"][0]["tags"]["stay"], stay);
    assert_eq!(preview["contacts"][0]["tags"]["add"], json!([]));
}
