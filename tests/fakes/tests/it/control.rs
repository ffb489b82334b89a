//! The control API.

use fakes::{Fakes, Seed};
use serde_json::{Value, json};

use crate::support::{Client, token};

fn seed() -> Seed {
    let user = json!({
        "id": "email|1",
        "profile": {"userId": "email|1", "email": "anna@example.se"},
    });
    let subscriber = json!({
        "email": "anna@example.se", "tags": ["vip"], "fields": {"Custom.Shoe": "38"},
    });
    let fault = json!({
        "api": "rule", "path": "/v2/tags", "times": 1,
        "kind": {"type": "status", "status": 500},
    });
    let seed = json!({
        "sesamy": {"vendors": [{
            "id": "acme",
            "clientId": "client",
            "clientSecret": "secret",
            "settings": {"envelope": "data", "pageCap": 25, "rateLimit": null},
            "users": [user],
            "afterReads": [{"resource": "user", "userId": "email|1"}],
        }]},
        "rule": {"accounts": [{
            "name": "acme",
            "apiKey": "rule-key",
            "fields": {"Sesamy_User.ID": "text"},
            "subscribers": [subscriber],
        }]},
        "faults": [fault],
        "latencyMs": 1,
    });
    serde_json::from_value(seed).unwrap()
}

async fn start() -> (Fakes, Client, Client) {
    let fakes = Fakes::builder().seed(seed()).start().await.unwrap();
    let control = Client::new(&fakes.urls().control);
    let rule = Client::new(&fakes.urls().rule).bearer("rule-key");
    (fakes, control, rule)
}

#[tokio::test]
async fn state_is_shown_without_credentials() {
    let (fakes, control, _) = start().await;
    let urls = control.get("").await.expect(200);
    assert_eq!(urls["rule"], fakes.urls().rule);
    let state = control.get("/state").await.expect(200);
    assert_eq!(state, fakes.state());
    let subscriber = &state["rule"]["acme"]["subscribers"][0];
    assert_eq!(subscriber["tags"], json!(["vip"]));
    assert_eq!(state["sesamy"]["acme"]["users"]["email|1"]["id"], "email|1");
    let text = state.to_string();
    assert!(!text.contains("rule-key"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(control.get("/state/rule").await.expect(200), state["rule"]);
    assert_eq!(control.get("/state/nothing").await.status, 404);
    let missing = Client::new(fakes.base()).get("/nothing").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn requests_and_violations_are_listed_and_cleared() {
    let (_fakes, control, rule) = start().await;
    rule.get("/v2/tags?bogus=1").await.expect(500);
    rule.get("/v2/tags?bogus=1").await.expect(200);
    let path = "/requests?api=rule&account=acme";
    let seen = control.get(path).await.expect(200);
    assert_eq!(seen.as_array().unwrap().len(), 2);
    assert_eq!(seen[0]["fault"], "status 500");
    assert_eq!(seen[1]["headers"]["authorization"], "Bearer ***");
    let other = control.get("/requests?api=make").await.expect(200);
    assert_eq!(other, json!([]));
    let violations = control.get("/violations").await.expect(200);
    assert_eq!(violations[0]["harm"], "unknown_parameter");
    assert_eq!(violations[0]["account"], "acme");
    for path in ["/requests", "/violations"] {
        control.call("DELETE", path).await.expect(204);
        assert_eq!(control.get(path).await.expect(200), json!([]));
    }
}

#[tokio::test]
async fn faults_and_settings_change() {
    let (fakes, control, rule) = start().await;
    let fault = json!({"kind": {"type": "tooManyRequests", "retryAfter": {"seconds": 7}}});
    control.call("DELETE", "/faults").await.expect(204);
    let id = control.post("/faults", fault).await.expect(200)["id"].clone();
    assert_eq!(rule.get("/v2/tags").await.header("retry-after"), Some("7"));
    assert_eq!(control.get("/faults").await.expect(200)[0]["struck"], 1);
    let cases = cases! {
        DELETE format!("/faults/{id}") => 204;
        DELETE format!("/faults/{id}") => 404;
        POST "/faults/seed", json!({"seed": 5}) => 204;
        POST "/faults", json!({"kind": {"type": "nonsense"}}) => 422;
        POST "/latency", json!({"ms": 0}) => 204;
        POST "/preload", json!({"nonsense": 1}) => 422;
    };
    control.check(&fakes, cases).await;
}

#[tokio::test]
async fn users_and_tokens_are_added_and_removed() {
    let (fakes, control, _) = start().await;
    let token = token(&fakes, "client", "secret").await;
    let sesamy = Client::new(&fakes.urls().sesamy_api).bearer(&token);
    let user = sesamy.get("/users/email%7C1").await.expect(200);
    assert_eq!(user["data"]["email"], "anna@example.se");
    sesamy.get("/users/email%7C1").await.expect(404);
    let users = json!([{"id": "u2", "profile": {}}]);
    let more = json!({"sesamy": {"vendors": [{"id": "acme", "users": users}]}});
    control.post("/preload", more).await.expect(204);
    sesamy.get("/users/u2").await.expect(200);
    let users = json!([{
        "id": "u2",
        "profile": {"email": "new@example.se"},
        "entitlements": [{"id": "e1"}],
    }]);
    let lags = json!([{"userId": "u2", "reads": 1}]);
    let vendor = json!({"id": "acme", "entitlementLags": lags, "users": users});
    let moved = json!({"sesamy": {"vendors": [vendor]}});
    control.post("/preload", moved).await.expect(204);
    let user = sesamy.get("/users/u2").await.expect(200);
    assert_eq!(user["data"]["email"], "new@example.se");
    for entitlements in [json!([]), json!([{"id": "e1"}])] {
        let list = sesamy.get("/entitlements?userId=u2").await.expect(200);
        assert_eq!(list["data"], entitlements);
    }
    let path = "/sesamy/vendors/acme/users/u2";
    control.call("DELETE", path).await.expect(204);
    sesamy.get("/users/u2").await.expect(404);
    let path = "/sesamy/vendors/acme/tokens";
    control.call("DELETE", path).await.expect(204);
    sesamy.get("/users").await.expect(401);
}

#[tokio::test]
async fn reset_restores_the_seed_and_keeps_accounts() {
    let (fakes, control, rule) = start().await;
    rule.get("/v2/tags").await.expect(500);
    let added = fakes.rule().add_account("added", "other-key");
    added.put_subscriber(fakes::rule::Subscriber::new("a@b.se"));
    control.post("/reset", json!({})).await.expect(204);
    assert_eq!(fakes.state()["rule"]["acme"]["tags"], json!(["vip"]));
    assert_eq!(added.subscribers(), []);
    assert_eq!(fakes.faults().len(), 1);
    assert_eq!(fakes.request_count(), 0);
    rule.get("/v2/tags").await.expect(500);
    let added = Client::new(&fakes.urls().rule).bearer("other-key");
    added.get("/v2/tags").await.expect(200);
    fakes.reset();
    assert_eq!(fakes.state()["rule"]["acme"]["tags"], json!([]));
}

#[tokio::test]
async fn preload_may_be_large() {
    let fakes = Fakes::start().await.unwrap();
    let user = |n| json!({"id": format!("u{n}"), "profile": {"name": "x".repeat(100)}});
    let users: Value = (0..20_000).map(user).collect();
    let seed = json!({"sesamy": {"vendors": [{"id": "acme", "users": users}]}});
    let control = Client::new(&fakes.urls().control);
    control.post("/preload", seed).await.expect(204);
    let acme = fakes.sesamy().vendor("acme").unwrap();
    assert!(acme.user("u19999").is_some());
}
