//! What a preview of a Rule contact shows.

use conformance::{EMAIL, USER};
use fakes::Api;
use fakes::rule::Subscriber;
use serde_json::json;

use crate::crm::{daily_subscriber, start};

#[tokio::test]
async fn a_preview_shows_changes_with_reasons_and_calls() {
    let (bench, account) = start().await;
    account.put_subscriber(
        Subscriber::new(EMAIL)
            .tags(&["vip", "sesamy", "sesamy_overdue_contract"])
            .field("Sesamy_Subscription.Status", "OVERDUE")
            .field("Sesamy_Subscription.CanceledAt", "2020-01-01"),
    );
    bench
        .sesamy
        .put_user(daily_subscriber().phone_number("+46701234567"));
    let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
    assert_eq!(preview["outcome"], "would_sync");
    let contact = &preview["contacts"][0];
    assert_eq!(contact["new"], false);
    assert_eq!(
        contact["tags"]["add"],
        json!([
            { "tag": "sesamy_active_entitlement_the-daily",
              "because": ["has access to a product of this title (e1)"] },
            { "tag": "sesamy_active_sku_sid-daily",
              "because": ["has access to a product of this SKU (e1)"] },
            { "tag": "sesamy_active_subscriber",
              "because": ["has an active subscription (c1)"] },
        ])
    );
    assert_eq!(
        contact["tags"]["remove"],
        json!([{ "tag": "sesamy_overdue_contract", "because": ["no longer applies"] }])
    );
    assert_eq!(contact["tags"]["stay"], json!([]));
    assert_eq!(contact["tags"]["kept"], 2);
    let fields = contact["fields"].as_array().unwrap();
    for field in [
        json!({ "name": "Subscriber.FirstName", "personal": true }),
        json!({ "name": "Sesamy_User.ID", "set": USER }),
        json!({ "name": "Sesamy_ActiveProducts.SKU", "set": ["sid:Daily"] }),
        json!({ "name": "Sesamy_Subscription.Status", "set": "ACTIVE" }),
        json!({ "name": "Sesamy_Subscription.CanceledAt", "clear": true }),
        json!({ "name": "phone_number", "personal": true }),
    ] {
        assert!(fields.contains(&field), "{field} of {fields:?}");
    }
    assert_eq!(
        preview["writes"],
        json!([
            { "method": "POST", "endpoint": "/v2/customizations" },
            { "method": "POST", "endpoint": "/v2/subscribers" },
            { "method": "DELETE", "endpoint": "/v2/subscribers/{contact}/tags/{tag}" },
            { "method": "PUT", "endpoint": "/v2/subscribers/{id}" },
        ])
    );
}

#[tokio::test]
async fn a_preview_starts_no_flow() {
    let (bench, _) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    let preview = bench.preview(USER).await;
    let upsert = &preview.dry_run_calls[1];
    assert_eq!(upsert.endpoint, "/v2/subscribers");
    assert_eq!(upsert.body["sync_subscribers"], false);
}

#[tokio::test]
async fn a_preview_changes_no_state_of_the_function() {
    let (bench, account) = start().await;
    bench.sesamy.put_user(daily_subscriber());
    bench.preview(USER).await;
    assert_eq!(account.subscribers(), []);
    bench.fakes.clear_requests();
    bench.synced(USER, "a").await;
    let calls = bench.calls(Api::Rule);
    assert_eq!(calls[0], "POST /v2/customizations", "still to be defined");
    let preview = bench.preview(USER).await;
    assert_eq!(
        preview.dry_run_calls[0].endpoint, "/v2/subscribers",
        "defined"
    );
}

#[tokio::test]
async fn a_preview_clears_no_field_that_has_no_value() {
    let canceled_at = "Sesamy_Subscription.CanceledAt";
    let cases = [
        (json!(null), false),
        (json!(""), false),
        (json!([]), false),
        (json!(["2020-01-01"]), true),
        (json!("2020-01-01"), true),
        (json!(0), true),
    ];
    for (value, is_cleared) in cases {
        let (bench, account) = start().await;
        let subscriber = Subscriber::new(EMAIL).field(canceled_at, value.clone());
        account.put_subscriber(subscriber);
        bench.sesamy.put_user(daily_subscriber());
        let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
        let fields = preview["contacts"][0]["fields"].as_array().unwrap();
        let field = json!({ "name": canceled_at, "clear": true });
        assert_eq!(fields.contains(&field), is_cleared, "{value}");
    }
}
