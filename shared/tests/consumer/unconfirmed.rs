//! Users whose account at Sesamy is not confirmed.

use bench::{Bench, VENDOR, secret_name};
use serde_json::json;
use stand_ins::sesamy::User;

use crate::scripted::{Scripted, USER, start};

fn unconfirmed() -> User {
    User::new(USER).email("anna@example.se").unconfirmed()
}

/// Lets the vendor's unconfirmed users in.
pub fn sync_unconfirmed(bench: &Bench<Scripted>) {
    let urls = bench.stand_ins.urls();
    let secret = json!({
        "clientId": "client",
        "clientSecret": "secret",
        "apiUrl": urls.sesamy_api,
        "tokenUrl": urls.sesamy_token,
        "syncUnconfirmed": true,
    });
    let name = secret_name("sesamy");
    bench.secrets.put(&name, &secret.to_string());
}

async fn preview(bench: &Bench<Scripted>) -> serde_json::Value {
    let request = json!({ "action": "preview", "vendorId": VENDOR, "userId": USER });
    serde_json::to_value(bench.ask(request).await).unwrap()
}

#[tokio::test]
async fn a_user_who_is_unconfirmed_now_is_skipped_and_the_contact_left_alone() {
    let (bench, crm) = start().await;
    bench.synced(USER, "a").await;
    bench.sesamy.put_user(unconfirmed());
    bench.synced(USER, "b").await;
    assert_eq!(crm.syncs().len(), 1);

    let preview = preview(&bench).await;
    assert_eq!(preview["outcome"], "skipped");
    assert_eq!(preview["reason"], "unconfirmed");
    assert_eq!(crm.syncs().len(), 1);
}

#[tokio::test]
async fn an_unconfirmed_user_is_synced_where_the_vendor_says_so() {
    let (bench, crm) = start().await;
    sync_unconfirmed(&bench);
    bench.sesamy.put_user(unconfirmed());
    assert_eq!(preview(&bench).await["outcome"], "would_sync");
    let before = crm.syncs().len();
    bench.synced(USER, "a").await;
    assert_eq!(crm.syncs().len(), before + 1);
}
