//! What each kind of fault looks like to a client.

use std::{
    error::Error,
    io,
    time::{Duration, Instant},
};

use serde_json::json;
use stand_ins::{Api, Contract, Fault, RetryAfter, StandIns, User, rule::Subscriber};

use crate::support::{Client, rule, vendor};

const TAGS: &str = "/v2/subscribers/anna%40example.se/tags?identified_by=email";

fn tag() -> serde_json::Value {
    json!({"tags": ["sesamy_x"]})
}

/// The I/O error at the bottom of a client's error.
fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        source = inner.source();
    }
    None
}

#[tokio::test]
async fn statuses_carry_the_apis_own_body() {
    let stand_ins = StandIns::start().await.unwrap();
    let (_, rule) = rule(&stand_ins);
    let (_, sesamy) = vendor(&stand_ins).await;
    for (status, code) in [
        (500, "internal_error"),
        (503, "service_unavailable"),
        (403, "insufficient_permissions"),
    ] {
        stand_ins.fault(Fault::status(status).on(Api::Sesamy).once());
        assert_eq!(
            sesamy.get("/users").await.expect(status)["error"]["code"],
            code
        );
    }
    stand_ins.fault(Fault::status(500).on(Api::Rule).once());
    assert_eq!(
        rule.get("/v2/tags").await.expect(500)["error"],
        "UnexpectedError"
    );
    let fault = Fault::json(418, json!({"mine": 1})).header("x-mine", "2");
    stand_ins.fault(fault.on(Api::Rule).once());
    let reply = rule.get("/v2/tags").await;
    assert_eq!(reply.header("x-mine"), Some("2"));
    assert_eq!(reply.expect(418), json!({"mine": 1}));
    stand_ins.fault(Fault::text(500, "oops").on(Api::Rule).once());
    let reply = rule.get("/v2/tags").await;
    assert_eq!((reply.status, reply.text.as_str()), (500, "oops"));
    assert_eq!(reply.header("content-type"), Some("text/plain"));
    stand_ins.fault(Fault::bad_gateway().on(Api::Rule).once());
    let reply = rule.get("/v2/tags").await;
    assert_eq!(reply.status, 502);
    assert_eq!(reply.header("content-type"), Some("text/html"));
    rule.get("/v2/tags").await.expect(200);
    let faults: Vec<_> = stand_ins
        .requests_to(Api::Rule)
        .into_iter()
        .map(|r| r.fault)
        .collect();
    let named = |name: &str| Some(name.to_owned());
    let expected = [
        named("status 500"),
        named("status 418"),
        named("status 500"),
        named("bad gateway"),
        None,
    ];
    assert_eq!(faults, expected);
}

#[tokio::test]
async fn retry_after_in_every_form() {
    let stand_ins = StandIns::start().await.unwrap();
    let (_, client) = rule(&stand_ins);
    let strike = async |form| {
        stand_ins.fault(Fault::too_many_requests(form).once());
        let reply = client.get("/v2/tags").await;
        assert_eq!(reply.status, 429);
        reply
    };
    let reply = strike(RetryAfter::Unsaid).await;
    assert_eq!(reply.header("retry-after"), None);
    let reply = strike(RetryAfter::Seconds(30)).await;
    assert_eq!(reply.header("retry-after"), Some("30"));
    let reply = strike(RetryAfter::HttpDate(90)).await;
    let date = reply.header("retry-after").unwrap();
    let then = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .unwrap();
    let wait = then.as_second() - jiff::Timestamp::now().as_second();
    assert!((88..=90).contains(&wait), "{date}");
    let reply = strike(RetryAfter::Stockholm(600)).await;
    let moment = reply.header("retry-after").unwrap();
    let clock: jiff::civil::DateTime = moment.parse().unwrap();
    let stockholm = jiff::tz::get!("Europe/Stockholm");
    let then = clock.to_zoned(stockholm).unwrap().timestamp();
    let wait = then.as_second() - jiff::Timestamp::now().as_second();
    assert!((597..=600).contains(&wait), "{moment}");
    assert_eq!(
        reply.text,
        format!("Too Many Requests. You can continue at {moment}.")
    );
    let reply = strike(RetryAfter::StockholmText(600)).await;
    assert_eq!(reply.header("retry-after"), None);
    assert!(
        reply
            .text
            .starts_with("Too Many Requests. You can continue at 2")
    );
    let reply = strike(RetryAfter::Body(60)).await;
    assert_eq!(reply.json()["error"]["retry_after"], 60);
}

#[tokio::test]
async fn resets_before_and_after_the_effect() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    account.put_subscriber(Subscriber::new("anna@example.se"));
    let tags = || account.subscriber("anna@example.se").unwrap().tags;
    let send = || client.try_send("POST", TAGS, Some("application/json"), tag().to_string());

    stand_ins.fault(Fault::reset().on(Api::Rule).once());
    let error = send().await.unwrap_err();
    assert_eq!(
        io_kind(&error),
        Some(io::ErrorKind::ConnectionReset),
        "{error:?}"
    );
    assert!(tags().is_empty());

    stand_ins.fault(Fault::reset().on(Api::Rule).once().after_effect());
    send().await.unwrap_err();
    assert_eq!(tags(), ["sesamy_x"]);

    let statuses: Vec<_> = stand_ins.requests().into_iter().map(|r| r.status).collect();
    assert_eq!(statuses, [None, None]);
    assert_eq!(send().await.unwrap().status, 200);
}

#[tokio::test]
async fn statuses_before_and_after_the_effect() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    account.put_subscriber(Subscriber::new("anna@example.se"));
    let tags = || account.subscriber("anna@example.se").unwrap().tags;
    let fault = Fault::status(500)
        .on(Api::Rule)
        .method("post")
        .path("/v2/*/tags")
        .once();
    stand_ins.fault(fault.clone());
    client.post(TAGS, tag()).await.expect(500);
    assert!(tags().is_empty());
    stand_ins.fault(fault.after_effect());
    client.get(TAGS).await.expect(200);
    client.post(TAGS, tag()).await.expect(500);
    assert_eq!(tags(), ["sesamy_x"]);
}

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let stand_ins = StandIns::start().await.unwrap();
    let (acme, client) = vendor(&stand_ins).await;
    acme.put_user(
        User::new("u")
            .email("a@b.se")
            .contract(Contract::active("c1")),
    );

    stand_ins.fault(Fault::truncated().on(Api::Sesamy).once());
    let error = client
        .try_send("GET", "/users/u", None, String::new())
        .await
        .unwrap_err();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert!(error.status().is_none() && !error.is_timeout(), "{error:?}");

    stand_ins.fault(Fault::malformed_json().on(Api::Sesamy).once());
    let reply = client.get("/users/u").await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(serde_json::from_str::<serde_json::Value>(&reply.text).is_err());

    stand_ins.fault(Fault::wrong_types().on(Api::Sesamy).times(2));
    let profile = client.get("/users/u").await.expect(200);
    assert!(profile["email"].is_object() && profile["tags"].is_object());
    let contracts = client.get("/contracts?userId=u").await.expect(200);
    assert!(contracts[0]["id"].is_object() && contracts[0]["price"].is_array());
    assert!(client.get("/users/u").await.expect(200)["email"].is_string());
}

#[tokio::test]
async fn slowness() {
    let stand_ins = StandIns::start().await.unwrap();
    let (account, client) = rule(&stand_ins);
    account.put_subscriber(Subscriber::new("anna@example.se"));
    stand_ins.fault(Fault::slow(Duration::from_millis(150)).once());
    let begun = Instant::now();
    client.post(TAGS, tag()).await.expect(200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    stand_ins.set_latency(Duration::from_millis(100));
    let begun = Instant::now();
    client.get("/v2/tags").await.expect(200);
    assert!(begun.elapsed() >= Duration::from_millis(100));
    // A client that gives up has changed something all the same.
    stand_ins.set_latency(Duration::from_secs(60));
    let body = json!({"tags": ["sesamy_late"]}).to_string();
    let send = client.try_send("POST", TAGS, Some("application/json"), body);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), send)
            .await
            .is_err()
    );
    assert_eq!(
        account.subscriber("anna@example.se").unwrap().tags,
        ["sesamy_x", "sesamy_late"]
    );
}

#[tokio::test]
async fn faults_choose_their_requests() {
    let stand_ins = StandIns::start().await.unwrap();
    let (_, first) = rule(&stand_ins);
    stand_ins.rule().add_account("other", "other-key");
    let second = Client::new(&stand_ins.urls().rule).bearer("other-key");
    let id = stand_ins.fault(Fault::status(500).account("other").skip(1).times(1));
    let mut statuses = Vec::new();
    for client in [&first, &second, &first, &second, &second] {
        statuses.push(client.get("/v2/tags").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 500, 200]);
    assert_eq!(stand_ins.faults()[0].struck, 1);
    assert!(stand_ins.remove_fault(id) && !stand_ins.remove_fault(id));
    stand_ins.seed_faults(3);
    stand_ins.fault(Fault::status(500).probability(0.5));
    let mut failed = 0;
    for _ in 0..40 {
        failed += u32::from(first.get("/v2/tags").await.status == 500);
    }
    assert!((8..=32).contains(&failed), "{failed}");
    stand_ins.clear_faults();
    first.get("/v2/tags").await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_test_may_pause_its_clock() {
    let stand_ins = StandIns::start().await.unwrap();
    stand_ins.set_latency(Duration::from_millis(20));
    let (_, client) = rule(&stand_ins);
    client.get("/v2/tags").await.expect(200);
}

#[tokio::test]
async fn dropping_stops_the_server() {
    let stand_ins = StandIns::start().await.unwrap();
    let client = Client::new(&stand_ins.urls().rule);
    assert_eq!(client.get("/v2/tags").await.status, 401);
    drop(stand_ins);
    let open = client
        .try_send("GET", "/v2/tags", None, String::new())
        .await;
    assert!(open.is_err());
    let error = client
        .anew()
        .try_send("GET", "/v2/tags", None, String::new())
        .await
        .unwrap_err();
    assert!(error.is_connect(), "{error:?}");
}
