//! The control API does over HTTP what the library does in process.

use serde_json::{Value, json};
use stand_ins::{Seed, StandIns};

use crate::support::{Client, token};

fn seed() -> Value {
    json!({
        "sesamy": {"vendors": [{
            "id": "acme",
            "clientId": "client",
            "clientSecret": "secret",
            "settings": {"envelope": "data", "pageCap": 25, "rateLimit": null},
            "users": [{"id": "email|1", "profile": {"userId": "email|1", "email": "anna@example.se"}}],
            "afterReads": [{"resource": "user", "userId": "email|1"}],
        }]},
        "rule": {"accounts": [{
            "name": "acme",
            "apiKey": "rule-key",
            "fields": {"Sesamy_User.ID": "text"},
            "subscribers": [{"email": "anna@example.se", "tags": ["vip"], "fields": {"Custom.Shoe": "38"}}],
        }]},
        "faults": [{"api": "rule", "path": "/v2/tags", "times": 1, "kind": {"type": "status", "status": 500}}],
        "latencyMs": 1,
    })
}

#[tokio::test]
async fn everything_by_http() {
    let seed: Seed = serde_json::from_value(seed()).unwrap();
    let stand_ins = StandIns::builder().seed(seed).start().await.unwrap();
    let control = Client::new(&stand_ins.urls().control);
    let urls = control.get("").await.expect(200);
    assert_eq!(urls["rule"], stand_ins.urls().rule);

    let state = control.get("/state").await.expect(200);
    assert_eq!(
        state["rule"]["acme"]["subscribers"][0]["tags"],
        json!(["vip"])
    );
    assert_eq!(state["sesamy"]["acme"]["users"]["email|1"]["id"], "email|1");
    assert_eq!(state, stand_ins.state());
    let text = state.to_string();
    assert!(
        !text.contains("rule-key") && !text.contains("secret"),
        "{text}"
    );
    assert_eq!(control.get("/state/rule").await.expect(200), state["rule"]);
    assert_eq!(control.get("/state/nothing").await.status, 404);

    let rule = Client::new(&stand_ins.urls().rule).bearer("rule-key");
    rule.get("/v2/tags?bogus=1").await.expect(500);
    rule.get("/v2/tags?bogus=1").await.expect(200);
    let seen = control
        .get("/requests?api=rule&account=acme")
        .await
        .expect(200);
    assert_eq!(seen.as_array().unwrap().len(), 2);
    assert_eq!(seen[0]["fault"], "status 500");
    assert_eq!(seen[1]["headers"]["authorization"], "Bearer ***");
    assert_eq!(
        control.get("/requests?api=make").await.expect(200),
        json!([])
    );
    let violations = control.get("/violations").await.expect(200);
    assert_eq!(violations[0]["harm"], "unknown_parameter");
    control.call("DELETE", "/requests").await.expect(204);
    control.call("DELETE", "/violations").await.expect(204);
    assert_eq!(control.get("/requests").await.expect(200), json!([]));
    assert_eq!(control.get("/violations").await.expect(200), json!([]));

    let fault = json!({"kind": {"type": "tooManyRequests", "retryAfter": {"seconds": 7}}});
    let id = control.post("/faults", fault).await.expect(200)["id"].clone();
    assert_eq!(rule.get("/v2/tags").await.header("retry-after"), Some("7"));
    assert_eq!(control.get("/faults").await.expect(200)[1]["struck"], 1);
    control
        .call("DELETE", &format!("/faults/{id}"))
        .await
        .expect(204);
    assert_eq!(
        control
            .call("DELETE", &format!("/faults/{id}"))
            .await
            .status,
        404
    );
    control
        .post("/faults/seed", json!({"seed": 5}))
        .await
        .expect(204);
    control.post("/latency", json!({"ms": 0})).await.expect(204);
    assert_eq!(
        control
            .post("/faults", json!({"kind": {"type": "nonsense"}}))
            .await
            .status,
        422
    );
    assert_eq!(
        control
            .post("/preload", json!({"nonsense": 1}))
            .await
            .status,
        422
    );

    let token = token(&stand_ins, "client", "secret").await;
    let sesamy = Client::new(&stand_ins.urls().sesamy_api).bearer(&token);
    let one = sesamy.get("/users/email%7C1").await.expect(200);
    assert_eq!(one["data"]["email"], "anna@example.se");
    sesamy.get("/users/email%7C1").await.expect(404);
    let more =
        json!({"sesamy": {"vendors": [{"id": "acme", "users": [{"id": "u2", "profile": {}}]}]}});
    control.post("/preload", more).await.expect(204);
    sesamy.get("/users/u2").await.expect(200);
    control
        .call("DELETE", "/sesamy/vendors/acme/users/u2")
        .await
        .expect(204);
    sesamy.get("/users/u2").await.expect(404);
    control
        .call("DELETE", "/sesamy/vendors/acme/tokens")
        .await
        .expect(204);
    sesamy.get("/users").await.expect(401);

    // Back to the seed, its fault included.
    control.post("/reset", json!({})).await.expect(204);
    assert_eq!(
        control.get("/state/rule").await.expect(200)["acme"]["flows"],
        json!([])
    );
    assert_eq!(
        control
            .get("/faults")
            .await
            .expect(200)
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(stand_ins.request_count(), 0);
    rule.get("/v2/tags").await.expect(500);
}

#[tokio::test]
async fn reset_keeps_accounts() {
    let stand_ins = StandIns::start().await.unwrap();
    let account = stand_ins.rule().add_account("acme", "rule-key");
    account.put_subscriber(stand_ins::rule::Subscriber::new("a@b.se"));
    stand_ins.reset();
    assert_eq!(account.subscribers(), []);
    let client = Client::new(&stand_ins.urls().rule).bearer("rule-key");
    client.get("/v2/tags").await.expect(200);
    let missing = Client::new(stand_ins.base()).get("/nothing").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn a_preload_may_be_long() {
    let stand_ins = StandIns::start().await.unwrap();
    let users: Vec<_> = (0..20_000)
        .map(|n| json!({"id": format!("u{n}"), "profile": {"userId": format!("u{n}"), "name": "x".repeat(100)}}))
        .collect();
    let seed = json!({"sesamy": {"vendors": [{"id": "acme", "users": users}]}});
    let control = Client::new(&stand_ins.urls().control);
    control.post("/preload", seed).await.expect(204);
    let acme = stand_ins.sesamy().vendor("acme").unwrap();
    assert!(acme.user("u19999").is_some());
}
