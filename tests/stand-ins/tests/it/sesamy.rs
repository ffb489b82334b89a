//! Sesamy: tokens, reads, envelopes, pages, limits and races.

use serde_json::json;
use stand_ins::{Bill, Contract, Entitlement, Envelope, Harm, RateLimit, Resource, StandIns, User};

use crate::support::{Client, token, vendor};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn token_endpoint_refuses_what_sesamy_refuses() {
    let stand_ins = StandIns::start().await.unwrap();
    stand_ins.sesamy().add_vendor("acme", "client", "s3cret");
    let client = Client::new(&stand_ins.urls().sesamy_token);
    let json =
        r#"{"grant_type":"client_credentials","client_id":"client","client_secret":"s3cret"}"#;
    let good = "grant_type=client_credentials&client_id=client&client_secret=s3cret";
    for (kind, body, status, needle) in [
        ("application/json", json, 403, "Client not found"),
        (FORM, json, 400, "grant_type is required"),
        (
            FORM,
            "grant_type=password&client_id=client&client_secret=s3cret",
            400,
            "unsupported_grant_type",
        ),
        (
            FORM,
            "grant_type=client_credentials&client_id=client",
            401,
            "client_secret is required",
        ),
        (
            FORM,
            "grant_type=client_credentials&client_id=client&client_secret=no",
            403,
            "Invalid client credentials",
        ),
        (
            FORM,
            "grant_type=client_credentials&client_id=who&client_secret=s3cret",
            403,
            "Client not found",
        ),
        (FORM, good, 200, "access_token"),
    ] {
        let reply = client
            .try_send("POST", "", Some(kind), body.into())
            .await
            .unwrap();
        assert_eq!(reply.status, status, "{body}");
        assert!(reply.text.contains(needle), "{body}: {}", reply.text);
    }
    let with_tenant = client.clone().with("tenant-id", "acme");
    let reply = with_tenant
        .try_send("POST", "", Some(FORM), good.into())
        .await
        .unwrap();
    assert_eq!(reply.status, 403);
    // The JSON that was announced as a form.
    assert_eq!(stand_ins.harms(), [Harm::UnknownParameter]);
    // The records do not show the secret.
    let records = serde_json::to_string(&stand_ins.requests()).unwrap();
    assert!(!records.contains("s3cret"), "{records}");
    assert_eq!(stand_ins.requests()[0].account, None);
    assert_eq!(stand_ins.requests()[6].account.as_deref(), Some("acme"));
}

#[tokio::test]
async fn tokens_expire_and_are_revoked() {
    let stand_ins = StandIns::start().await.unwrap();
    let (acme, client) = vendor(&stand_ins).await;
    acme.put_user(User::new("u"));
    client.get("/users/u").await.expect(200);
    acme.revoke_tokens();
    let refused = client.get("/users/u").await.expect(401);
    assert_eq!(refused["error"]["code"], "authentication_required");
    assert!(refused["error"]["request_id"].is_string());
    acme.set_token_seconds(0);
    let expired = client.bearer(&token(&stand_ins, "client", "secret").await);
    expired.get("/users/u").await.expect(401);
    acme.set_client_secret("new");
    token(&stand_ins, "client", "new").await;
}

#[tokio::test]
async fn audience_is_recorded() {
    let stand_ins = StandIns::start().await.unwrap();
    let acme = stand_ins.sesamy().add_vendor("acme", "client", "secret");
    let body = "grant_type=client_credentials&client_id=client&client_secret=secret\
                &audience=https%3A%2F%2Fapi.sesamy.com";
    let client = Client::new(&stand_ins.urls().sesamy_token);
    let reply = client
        .try_send("POST", "", Some(FORM), body.into())
        .await
        .unwrap();
    assert_eq!(reply.expect(200)["expires_in"], 86_400);
    token(&stand_ins, "client", "secret").await;
    let audiences: Vec<_> = acme
        .token_grants()
        .into_iter()
        .map(|g| g.audience)
        .collect();
    assert_eq!(audiences, [Some("https://api.sesamy.com".to_owned()), None]);
}

#[tokio::test]
async fn the_token_names_the_vendor() {
    let stand_ins = StandIns::start().await.unwrap();
    let (acme, client) = vendor(&stand_ins).await;
    let other = stand_ins.sesamy().add_vendor("other", "o", "o");
    acme.put_user(User::new("email|1").email("anna@example.se"));
    other.put_user(User::new("email|2").email("bo@example.se"));
    assert_eq!(
        client.get("/users/email%7C1").await.expect(200)["email"],
        "anna@example.se"
    );
    let missing = client.get("/users/email%7C2").await.expect(404);
    assert_eq!(missing["error"]["code"], "resource_not_found");
    assert_eq!(stand_ins.requests()[1].account.as_deref(), Some("acme"));
}

#[tokio::test]
async fn strange_requests() {
    let stand_ins = StandIns::start().await.unwrap();
    let (acme, client) = vendor(&stand_ins).await;
    acme.put_user(User::new("email|1"));
    for (method, path, status) in [
        ("GET", "/users/email|1", 400),
        ("GET", "/contracts?userId=email|1", 400),
        ("GET", "/users/email%7C1/", 404),
        ("GET", "/v1/users", 404),
        ("GET", "/users?limit=x", 400),
        ("GET", "/users?limit=0", 400),
        ("GET", "/contracts?userId=nobody", 200),
        ("GET", "/contracts/nothing", 404),
    ] {
        let reply = client.call(method, path).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text);
    }
    assert_eq!(stand_ins.harms(), []);
    client.get("/users?page=2").await.expect(200);
    client.call("DELETE", "/users/email%7C1").await.expect(403);
    assert_eq!(
        stand_ins.harms(),
        [Harm::UnknownParameter, Harm::SesamyWritten]
    );
}

#[tokio::test]
async fn lists_filter_and_wrap() {
    let stand_ins = StandIns::start().await.unwrap();
    let (acme, client) = vendor(&stand_ins).await;
    acme.put_user(
        User::new("u1")
            .contract(Contract::active("c1"))
            .contract(Contract::canceled("c2"))
            .entitlement(Entitlement::article("e1", "sid:a", "A"))
            .bill(Bill::paid("b1", "c1")),
    );
    acme.put_user(User::new("u2").contract(Contract::active("c3")));
    let ids = |value: &serde_json::Value| -> Vec<String> {
        let list = value.as_array().unwrap();
        list.iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };
    for (path, expected) in [
        ("/contracts?userId=u1&limit=100&offset=0", vec!["c1", "c2"]),
        ("/contracts?userId=u1&status=active", vec!["c1"]),
        ("/contracts", vec!["c1", "c2", "c3"]),
        ("/entitlements?userId=u1&type=article", vec!["e1"]),
        ("/entitlements?userId=u1&sku=sid%3Ab", vec![]),
        ("/bills?userId=u1&status=PAID", vec!["b1"]),
        ("/users", vec!["u1", "u2"]),
    ] {
        assert_eq!(ids(&client.get(path).await.expect(200)), expected, "{path}");
    }
    acme.set_envelope(Envelope::Data);
    let wrapped = client.get("/contracts?userId=u1&limit=1").await.expect(200);
    assert_eq!(ids(&wrapped["data"]), ["c1"]);
    let pagination = json!({"total": 2, "limit": 1, "offset": 0, "hasMore": true});
    assert_eq!(wrapped["pagination"], pagination);
    let one = client.get("/users/u1").await.expect(200);
    assert_eq!(one["data"]["userId"], "u1");
    acme.set_envelope(Envelope::Named);
    let named = client.get("/bills?userId=u1").await.expect(200);
    assert_eq!(ids(&named["bills"]), ["b1"]);
    assert_eq!(stand_ins.harms(), []);
}

#[tokio::test]
async fn pages_are_capped() {
    let stand_ins = StandIns::start().await.unwrap();
    let (acme, client) = vendor(&stand_ins).await;
    acme.set_page_cap(25);
    for number in 0..60 {
        acme.put_user(User::new(&format!("u{number:02}")));
    }
    let mut sizes = Vec::new();
    for offset in [0, 25, 50, 75] {
        let path = format!("/users?limit=100&offset={offset}");
        sizes.push(
            client
                .get(&path)
                .await
                .expect(200)
                .as_array()
                .unwrap()
                .len(),
        );
    }
    assert_eq!(sizes, [25, 25, 10, 0]);
}

#[tokio::test]
async fn the_rate_limit_holds() {
    let stand_ins = StandIns::start().await.unwrap();
    let (acme, client) = vendor(&stand_ins).await;
    acme.put_user(User::new("u"));
    acme.set_rate_limit(Some(RateLimit {
        per_minute: 2,
        burst: 3,
    }));
    for remaining in ["2", "1", "0"] {
        let reply = client.get("/users/u").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-ratelimit-limit"), Some("2"));
        assert_eq!(reply.header("x-ratelimit-remaining"), Some(remaining));
        let reset: i64 = reply.header("x-ratelimit-reset").unwrap().parse().unwrap();
        assert!(reset > jiff::Timestamp::now().as_second());
    }
    let reply = client.get("/users/u").await;
    assert_eq!(reply.header("retry-after"), None);
    let error = reply.expect(429)["error"].clone();
    assert_eq!(error["code"], "rate_limit_exceeded");
    let wait = error["retry_after"].as_u64().unwrap();
    assert!((25..=30).contains(&wait), "{wait}");
    acme.set_rate_limit(None);
    let free = client.get("/users/u").await;
    assert_eq!((free.status, free.header("x-ratelimit-limit")), (200, None));
}

#[tokio::test]
async fn a_user_changes_between_reads() {
    let stand_ins = StandIns::start().await.unwrap();
    let (acme, client) = vendor(&stand_ins).await;
    acme.put_user(User::new("u").contract(Contract::active("old")));
    let new = User::new("u").contract(Contract::active("new"));
    acme.after_read(Resource::Contracts, "u", 2, Some(new));
    acme.after_read(Resource::User, "u", 1, None);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let contracts = client.get("/contracts?userId=u").await.expect(200);
        seen.push(contracts[0]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(seen, ["old", "old", "new"]);
    client.get("/users/u").await.expect(200);
    client.get("/users/u").await.expect(404);
}

#[tokio::test]
async fn odd_values_are_served_as_they_are() {
    let stand_ins = StandIns::start().await.unwrap();
    let (acme, client) = vendor(&stand_ins).await;
    acme.put_user_json(json!({
        "id": "u",
        "profile": {"id": "u", "tags": [1, null]},
        "contracts": "none",
    }))
    .unwrap();
    assert_eq!(
        client.get("/users/u").await.expect(200)["tags"],
        json!([1, null])
    );
    assert_eq!(client.get("/contracts?userId=u").await.expect(200), "none");
    assert_eq!(client.get("/bills?userId=u").await.expect(200), json!([]));
    assert!(acme.put_user_json(json!({"profile": {}})).is_err());
}
