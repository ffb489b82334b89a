//! The vendor's secrets and refused credentials.

use std::time::Duration;

use conformance::{record, secret_name};
use fakes::{Api, Fault};

use crate::scripted::{Step, USER, start, status};

#[tokio::test]
async fn vendor_without_the_connectors_secret_is_not_synced() {
    let (bench, crm) = start().await;
    bench.secrets.remove(&secret_name("crm"));
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    assert_eq!(crm.syncs(), []);
    assert_eq!(bench.fakes.request_count(), 0);
}

#[tokio::test]
async fn configuration_faults_are_retried_after_a_minute() {
    for (secret, content) in [
        ("crm", Some("{}")),
        ("crm", Some("not JSON")),
        ("sesamy", Some("{}")),
        ("sesamy", None),
    ] {
        let (bench, _) = start().await;
        match content {
            Some(content) => bench.secrets.put(&secret_name(secret), content),
            None => bench.secrets.remove(&secret_name(secret)),
        }
        assert_eq!(
            bench.handle([record("1", USER, "a")]).await,
            ["1"],
            "{secret}"
        );
        let (_, wait) = bench.queue.visibility_changes().remove(0);
        assert_eq!(wait, Duration::from_secs(60), "{secret}");
        assert_eq!(bench.queue.dead_letters(), [], "{secret}");
    }
}

#[tokio::test]
async fn unreachable_secret_store_is_retried_soon() {
    let (bench, _) = start().await;
    bench.secrets.fail(&secret_name("crm"));
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    let (_, wait) = bench.queue.visibility_changes().remove(0);
    assert!(wait <= Duration::from_secs(60), "{wait:?}");
}

#[tokio::test]
async fn refused_credentials_are_read_again() {
    let (bench, crm) = start().await;
    let refused = status(401);
    crm.script(USER, [Step::Do, Step::FailAndRotate(refused), Step::Do]);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    assert_eq!(bench.handle([record("2", USER, "b")]).await, [""; 0]);
    assert_eq!(crm.credentials_used(), ["first", "first", "rotated"]);
}

#[tokio::test]
async fn repeated_refusal_is_retried_after_a_minute() {
    let (bench, crm) = start().await;
    let refused = status(403);
    crm.script(USER, [Step::Fail(refused)]);
    assert_eq!(bench.handle([record("1", USER, "a")]).await, ["1"]);
    assert_eq!(
        crm.credentials_used(),
        ["first"],
        "the same secret is not tried twice"
    );
    let (_, wait) = bench.queue.visibility_changes().remove(0);
    assert_eq!(wait, Duration::from_secs(60));
}

#[tokio::test]
async fn revoked_sesamy_token_is_replaced_without_a_failed_event() {
    let (bench, _) = start().await;
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    bench.sesamy.revoke_tokens();
    assert_eq!(bench.handle([record("2", USER, "b")]).await, [""; 0]);
    assert_eq!(bench.sesamy.token_grants().len(), 2);
}

#[tokio::test]
async fn rotated_sesamy_credentials_are_read_again_without_a_failed_event() {
    let (bench, crm) = start().await;
    assert_eq!(bench.handle([record("1", USER, "a")]).await, [""; 0]);
    bench.sesamy.set_client_secret("rotated");
    bench.sesamy.revoke_tokens();
    bench.put_sesamy_secret("rotated");
    assert_eq!(bench.handle([record("2", USER, "b")]).await, [""; 0]);
    assert_eq!(crm.syncs().len(), 2);
}

#[tokio::test]
async fn permanent_4xx_of_the_token_endpoint_is_a_refusal() {
    let cases = [
        (400, "refused"),
        (401, "refused"),
        (403, "refused"),
        (404, "refused"),
        (422, "refused"),
        (408, "unavailable"),
        (429, "unavailable"),
        (500, "unavailable"),
        (501, "rejected_by_api"),
    ];
    for (status, code) in cases {
        let (bench, _) = start().await;
        let fault = Fault::status(status).on(Api::SesamyToken);
        bench.fakes.fault(fault);
        let preview = serde_json::to_value(bench.preview(USER).await).unwrap();
        assert_eq!(preview["error"]["code"], code, "{status}: {preview}");
    }
}
