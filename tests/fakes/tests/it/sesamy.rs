//! The fake of Sesamy: tokens, reads, envelopes, pages, limits and races.

use fakes::{
    Bill, Contract, Entitlement, Envelope, Fakes, RateLimit, Resource, User, ViolationKind,
};
use serde_json::{Value, json};

use crate::support::{Client, FORM, token, vendor};

#[tokio::test]
async fn token_endpoint_rejects_what_sesamy_rejects() {
    struct Case {
        kind: &'static str,
        body: &'static str,
        status: u16,
        contains: &'static str,
    }
    let fakes = Fakes::start().await.unwrap();
    fakes.sesamy().add_vendor("acme", "client", "s3cret");
    let client = Client::new(&fakes.urls().sesamy_token);
    let json =
        r#"{"grant_type":"client_credentials","client_id":"client","client_secret":"s3cret"}"#;
    let good = "grant_type=client_credentials&client_id=client&client_secret=s3cret";
    let case = |kind, body, status, contains| Case {
        kind,
        body,
        status,
        contains,
    };
    for case in [
        case("application/json", json, 403, "Client not found"),
        case(FORM, json, 400, "grant_type is required"),
        case(FORM, "grant_type=password", 400, "unsupported_grant_type"),
        case(
            FORM,
            "grant_type=client_credentials&client_id=client",
            401,
            "client_secret is required",
        ),
        case(
            FORM,
            "grant_type=client_credentials&client_id=client&client_secret=no",
            403,
            "Invalid client credentials",
        ),
        case(
            FORM,
            "grant_type=client_credentials&client_id=who&client_secret=s3cret",
            403,
            "Client not found",
        ),
        case(FORM, good, 200, "access_token"),
    ] {
        let reply = client.send_as(case.kind, "POST", "", case.body).await;
        assert_eq!(reply.status, case.status, "{}", case.body);
        let text = &reply.text;
        assert!(text.contains(case.contains), "{}: {text}", case.body);
    }
    let with_tenant = client.clone().with("tenant-id", "acme");
    let reply = with_tenant.send_as(FORM, "POST", "", good).await;
    assert_eq!(reply.status, 403);
    // Only the JSON body with the content type of a form is reported.
    assert_eq!(fakes.violation_kinds(), [ViolationKind::UnknownParameter]);
    let records = serde_json::to_string(&fakes.requests()).unwrap();
    assert!(!records.contains("s3cret"), "{records}");
    assert_eq!(fakes.requests()[0].account, None);
    assert_eq!(fakes.requests()[6].account.as_deref(), Some("acme"));
}

#[tokio::test]
async fn tokens_expire_and_are_revoked() {
    let fakes = Fakes::start().await.unwrap();
    let (acme, client) = vendor(&fakes).await;
    acme.put_user(User::new("u"));
    client.get("/users/u").await.expect(200);
    acme.revoke_tokens();
    let rejected = client.get("/users/u").await.expect(401);
    assert_eq!(rejected["error"]["code"], "authentication_required");
    assert!(rejected["error"]["request_id"].is_string());
    acme.set_token_seconds(0);
    let expired = client.bearer(&token(&fakes, "client", "secret").await);
    expired.get("/users/u").await.expect(401);
    acme.set_client_secret("new");
    token(&fakes, "client", "new").await;
}

#[tokio::test]
async fn token_grants_record_the_audience() {
    let fakes = Fakes::start().await.unwrap();
    let acme = fakes.sesamy().add_vendor("acme", "client", "secret");
    let body = "grant_type=client_credentials&client_id=client&client_secret=secret\
                &audience=https%3A%2F%2Fapi.sesamy.com";
    let client = Client::new(&fakes.urls().sesamy_token);
    let reply = client.send_as(FORM, "POST", "", body).await;
    assert_eq!(reply.expect(200)["expires_in"], 86_400);
    token(&fakes, "client", "secret").await;
    let grants = acme.token_grants().into_iter();
    let audiences: Vec<_> = grants.map(|grant| grant.audience).collect();
    assert_eq!(audiences, [Some("https://api.sesamy.com".to_owned()), None]);
}

#[tokio::test]
async fn requests_are_read_strictly_and_see_only_their_vendor() {
    let fakes = Fakes::start().await.unwrap();
    let (acme, client) = vendor(&fakes).await;
    let other = fakes.sesamy().add_vendor("other", "o", "o");
    acme.put_user(User::new("email|1").email("anna@example.se"));
    other.put_user(User::new("email|2").email("bo@example.se"));
    let cases = cases! {
        GET "/users/email%7C1" => 200 "anna@example.se";
        GET "/users/email%7C2" => 404 "resource_not_found";
        GET "/users/email|1" => 400;
        GET "/contracts?userId=email|1" => 400;
        GET "/users/email%7C1/" => 404;
        GET "/v1/users" => 404;
        GET "/users?limit=x" => 400;
        GET "/users?limit=0" => 400 "must be at least 1";
        GET "/contracts?userId=unknown" => 200 "[]";
        GET "/contracts/nothing" => 404;
        GET "/users?page=2" => 200 [UnknownParameter];
        DELETE "/users/email%7C1" => 403 [SesamyWritten];
    };
    client.check(&fakes, cases).await;
    assert_eq!(fakes.requests()[1].account.as_deref(), Some("acme"));
}

#[tokio::test]
async fn lists_are_filtered_and_wrapped() {
    let fakes = Fakes::start().await.unwrap();
    let (acme, client) = vendor(&fakes).await;
    acme.put_user(
        User::new("u1")
            .contract(Contract::active("c1"))
            .contract(Contract::canceled("c2"))
            .entitlement(Entitlement::article("e1", "sid:a", "A"))
            .bill(Bill::paid("b1", "c1")),
    );
    acme.put_user(User::new("u2").contract(Contract::active("c3")));
    let ids = |list: &Value| -> Vec<String> {
        let items = list.as_array().unwrap().iter();
        items
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
    assert_eq!(fakes.violation_kinds(), []);
}

#[tokio::test]
async fn rate_limit_rejects_requests_over_the_burst() {
    let fakes = Fakes::start().await.unwrap();
    let (acme, client) = vendor(&fakes).await;
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
async fn user_changes_between_reads() {
    let fakes = Fakes::start().await.unwrap();
    let (acme, client) = vendor(&fakes).await;
    acme.put_user(User::new("u").contract(Contract::active("old")));
    let new = User::new("u").contract(Contract::active("new"));
    acme.after_read(Resource::Contracts, "u", 2, Some(new));
    acme.after_read(Resource::User, "u", 1, None);
    for expected in ["old", "old", "new"] {
        let contracts = client.get("/contracts?userId=u").await.expect(200);
        assert_eq!(contracts[0]["id"], expected);
    }
    client.get("/users/u").await.expect(200);
    client.get("/users/u").await.expect(404);
}

#[tokio::test]
async fn users_change_address_share_one_and_are_removed() {
    let fakes = Fakes::start().await.unwrap();
    let (acme, client) = vendor(&fakes).await;
    let old = "/users?search=old%40example.se";
    let shared = "/users?search=shared%40example.se";
    acme.put_user(User::new("u1").email("old@example.se"));
    acme.put_user(User::new("u2").email("shared@example.se"));
    let cases = cases! {
        GET "/users/u1" => 200 "old@example.se";
        GET shared => 200 "u2";
    };
    client.check(&fakes, cases).await;
    acme.put_user(User::new("u1").email("shared@example.se"));
    let both = acme.users().into_iter().map(|user| user.id);
    assert_eq!(both.collect::<Vec<_>>(), ["u1", "u2"]);
    let cases = cases! {
        GET "/users/u1" => 200 "shared@example.se";
        GET "/users/u2" => 200 "shared@example.se";
        GET old => 200 "[]";
    };
    client.check(&fakes, cases).await;
    for (path, count) in [("/users", 2), (shared, 2)] {
        let list = client.get(path).await.expect(200);
        assert_eq!(list.as_array().unwrap().len(), count, "{path}");
    }
    acme.remove_user("u1");
    let missing = client.get("/users/u1").await.expect(404);
    assert_eq!(missing["error"]["code"], "resource_not_found");
    let list = client.get("/users").await.expect(200);
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["id"], "u2");
}

#[tokio::test]
async fn entitlements_lag_for_a_number_of_reads() {
    struct Case {
        /// The user before the lag.
        known: bool,
        reads: u32,
        /// The number of entitlements in each read.
        shown: &'static [usize],
    }
    let case = |known, reads, shown| Case {
        known,
        reads,
        shown,
    };
    for case in [
        case(true, 0, &[2, 2]),
        case(true, 1, &[1, 2]),
        case(true, 3, &[1, 1, 1, 2]),
        case(false, 1, &[0, 2]),
    ] {
        let fakes = Fakes::start().await.unwrap();
        let (acme, client) = vendor(&fakes).await;
        let entitlement = |id| Entitlement::new(id, "sid:a", "A");
        let user = User::new("u").entitlement(entitlement("e1"));
        if case.known {
            acme.put_user(user.clone());
        }
        acme.lag_entitlements("u", case.reads);
        let user = user
            .contract(Contract::active("c2"))
            .entitlement(entitlement("e2"));
        acme.put_user(user.clone());
        for (read, &shown) in case.shown.iter().enumerate() {
            let name = format!("{} {} {read}", case.known, case.reads);
            let contracts = client.get("/contracts?userId=u").await.expect(200);
            assert_eq!(contracts.as_array().unwrap().len(), 1, "{name}");
            // A change of the user does not end the lag.
            acme.put_user(user.clone().email("new@example.se"));
            let list = client.get("/entitlements?userId=u").await.expect(200);
            assert_eq!(list.as_array().unwrap().len(), shown, "{name}");
        }
    }
}

#[tokio::test]
async fn removing_a_user_ends_the_lag() {
    let fakes = Fakes::start().await.unwrap();
    let (acme, client) = vendor(&fakes).await;
    let user = || User::new("u").entitlement(Entitlement::new("e1", "sid:a", "A"));
    acme.lag_entitlements("u", 2);
    acme.put_user(user());
    acme.remove_user("u");
    acme.put_user(user());
    let list = client.get("/entitlements?userId=u").await.expect(200);
    assert_eq!(list[0]["id"], "e1");
}

#[tokio::test]
async fn malformed_values_are_served_as_they_are() {
    let fakes = Fakes::start().await.unwrap();
    let (acme, client) = vendor(&fakes).await;
    let profile = json!({"id": "u", "tags": [1, null]});
    let user = json!({"id": "u", "profile": profile, "contracts": "none"});
    acme.put_user_json(user).unwrap();
    assert_eq!(client.get("/users/u").await.expect(200), profile);
    assert_eq!(client.get("/contracts?userId=u").await.expect(200), "none");
    assert_eq!(client.get("/bills?userId=u").await.expect(200), json!([]));
    assert!(acme.put_user_json(json!({"profile": {}})).is_err());
}
