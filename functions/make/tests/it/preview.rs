//! What a preview of Make.as's contacts shows.

use conformance::{EMAIL, USER};
use fakes::make::Subscriber;
use fakes::sesamy::{Contract, User};
use serde_json::json;

use crate::crm::{LIST, MakeCrm, start, start_with_two_lists};

#[tokio::test]
async fn a_preview_shows_changes_with_reasons_and_calls() {
    let (bench, account) = start().await;
    account.put_subscriber(
        Subscriber::new(EMAIL)
            .on_list(LIST)
            .detail("firstname", "Anna")
            .tags(&["vip", "sesamy_overdue_contract"]),
    );
    let contract = Contract::active("c1").item("sid:Daily", "The Daily", "po1", "Monthly");
    let user = User::new(USER).email(EMAIL).name("Anna", "Ask");
    bench.sesamy.put_user(user.contract(contract));
    let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
    assert_eq!(preview["outcome"], "would_sync");
    assert_eq!(
        preview["contacts"],
        json!([{
            "list": LIST.to_string(),
            "new": false,
            "tags": {
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
            },
            "fields": [
                { "name": "lastname", "personal": true },
                { "name": "external_id", "set": USER },
            ],
        }])
    );
    assert_eq!(
        preview["writes"],
        json!([
            { "method": "PATCH", "endpoint": "/subscribers/{id}" },
            { "method": "POST", "endpoint": "/subscribers/subscriptions/products/bulkinsert" },
            { "method": "POST", "endpoint": "/subscribers/subscriptions/bulkinsert" },
        ])
    );
}

#[tokio::test]
async fn each_list_has_its_own_preview() {
    let (bench, [first, _]) = start_with_two_lists().await;
    let contact = Subscriber::new(EMAIL).on_list(LIST);
    first.put_subscriber(contact.tags(&["sesamy_tag_vip", "vip"]));
    let user = User::new(USER).email(EMAIL).tags(&["VIP"]);
    bench.sesamy.put_user(user);
    let preview = bench.previewed_and_synced::<MakeCrm>(USER).await;
    let [first, second] = preview.contacts.as_slice() else {
        panic!("two contacts: {preview:?}");
    };
    assert_eq!(first.list.as_deref(), Some("77"));
    assert!(!first.new);
    assert_eq!((first.tags.add.len(), first.tags.kept), (0, 2));
    assert_eq!(second.list.as_deref(), Some("78"));
    assert!(second.new);
    assert_eq!((second.tags.add.len(), second.tags.kept), (1, 0));
}
