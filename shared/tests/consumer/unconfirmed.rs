//! Users with an unconfirmed account at Sesamy.

use conformance::{Bench, secret_name};
use fakes::sesamy::User;
use serde_json::json;

use crate::scripted::{Scripted, USER, start};

fn unconfirmed() -> User {
    User::new(USER).email("anna@example.se").unconfirmed()
}

/// Sets `syncUnconfirmed` in the vendor's secret.
pub fn sync_unconfirmed(bench: &Bench<Scripted>) {
    let urls = bench.fakes.urls();
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
    serde_json::to_value(bench.preview(USER).await).unwrap()
}

#[tokio::test]
async fn newly_unconfirmed_user_is_skipped_and_the_contact_stays() {
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
async fn unconfirmed_user_is_synced_if_configured() {
    let (bench, crm) = start().await;
    sync_unconfirmed(&bench);
    bench.sesamy.put_user(unconfirmed());
    assert_eq!(preview(&bench).await["outcome"], "would_sync");
    let before = crm.syncs().len();
    bench.synced(USER, "a").await;
    assert_eq!(crm.syncs().len(), before + 1);
}
