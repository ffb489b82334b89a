//! The effect of each kind of fault on a client.

use std::{
    error::Error,
    io,
    time::{Duration, Instant},
};

use fakes::{
    Api, Contract, Fakes, Fault, FaultKind, RetryAfter, User,
    rule::{RuleAccount, Subscriber},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Client, rule, vendor};

const TAGS: &str = "/v2/subscribers/anna%40example.se/tags?identified_by=email";

fn tag() -> Value {
    json!({"tags": ["sesamy_x"]})
}

fn rule_with_anna(fakes: &Fakes) -> (RuleAccount, Client) {
    let (account, client) = rule(fakes);
    account.put_subscriber(Subscriber::new("anna@example.se"));
    (account, client)
}

fn tags(account: &RuleAccount) -> Vec<String> {
    account.subscriber("anna@example.se").unwrap().tags
}

async fn send_tag(client: &Client) -> Result<u16, reqwest::Error> {
    let kind = Some("application/json");
    let sent = client.try_send("POST", TAGS, kind, tag().to_string()).await;
    sent.map(|reply| reply.status)
}

fn has_io_error(error: &(dyn Error + 'static), kind: io::ErrorKind) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == kind)
        || error
            .source()
            .is_some_and(|inner| has_io_error(inner, kind))
}

#[tokio::test]
async fn statuses_have_the_body_of_the_api() {
    let fakes = Fakes::start().await.unwrap();
    let (_, rule) = rule(&fakes);
    let (_, sesamy) = vendor(&fakes).await;
    for (status, code) in [
        (500, "internal_error"),
        (503, "service_unavailable"),
        (403, "insufficient_permissions"),
    ] {
        fakes.fault(Fault::status(status).on(Api::Sesamy).once());
        let body = sesamy.get("/users").await.expect(status);
        assert_eq!(body["error"]["code"], code);
    }
    let html = "<html><head><title>502 Bad Gateway</title></head>\
                <body><center><h1>502 Bad Gateway</h1></center></body></html>";
    let custom = Fault::json(418, json!({"mine": 1})).header("x-mine", "2");
    let check = async |fault: Fault, name: &str, content_type: &str, text: &str| {
        fakes.fault(fault.on(Api::Rule).once());
        let reply = rule.get("/v2/tags").await;
        assert_eq!(reply.header("content-type"), Some(content_type));
        assert_eq!(reply.text, text);
        assert_eq!(reply.header("x-mine").is_some(), name == "status 418");
        let recorded = fakes.requests().pop().unwrap();
        assert_eq!(recorded.fault.as_deref(), Some(name));
        assert_eq!(recorded.status, Some(reply.status));
    };
    check(custom, "status 418", "application/json", r#"{"mine":1}"#).await;
    let oops = Fault::text(500, "oops");
    check(oops, "status 500", "text/plain", "oops").await;
    check(Fault::bad_gateway(), "bad gateway", "text/html", html).await;
    rule.get("/v2/tags").await.expect(200);
}

#[tokio::test]
async fn retry_after_can_have_every_form() {
    let fakes = Fakes::start().await.unwrap();
    let (_, client) = rule(&fakes);
    let call = async |form| {
        fakes.fault(Fault::too_many_requests(form).once());
        let reply = client.get("/v2/tags").await;
        assert_eq!(reply.status, 429);
        reply
    };
    let assert_wait = |until: Timestamp, seconds: i64| {
        let wait = until.as_second() - Timestamp::now().as_second();
        assert!((seconds - 3..=seconds).contains(&wait), "{wait}");
    };
    let reply = call(RetryAfter::Missing).await;
    assert_eq!(reply.header("retry-after"), None);
    let reply = call(RetryAfter::Seconds(30)).await;
    assert_eq!(reply.header("retry-after"), Some("30"));
    let reply = call(RetryAfter::HttpDate(90)).await;
    let date = reply.header("retry-after").unwrap();
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    assert_wait(parser.parse_timestamp(date).unwrap(), 90);
    let reply = call(RetryAfter::Stockholm(600)).await;
    let moment = reply.header("retry-after").unwrap();
    let clock: jiff::civil::DateTime = moment.parse().unwrap();
    let stockholm = jiff::tz::get!("Europe/Stockholm");
    assert_wait(clock.to_zoned(stockholm).unwrap().timestamp(), 600);
    let text = format!("Too Many Requests. You can continue at {moment}.");
    assert_eq!(reply.text, text);
    let reply = call(RetryAfter::StockholmText(600)).await;
    assert_eq!(reply.header("retry-after"), None);
    let start = "Too Many Requests. You can continue at 2";
    assert!(reply.text.starts_with(start));
    let reply = call(RetryAfter::Body(60)).await;
    assert_eq!(reply.expect(429)["error"]["retry_after"], 60);
}

#[tokio::test]
async fn faults_come_before_or_after_the_effect() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule_with_anna(&fakes);
    let fault = Fault::status(500).method("post").path("/v2/*/tags").once();
    for after_effect in [false, true] {
        account.put_subscriber(Subscriber::new("anna@example.se"));
        let fault = fault.clone().on(Api::Rule);
        let reset = Fault::reset().on(Api::Rule).once();
        let [fault, reset] = match after_effect {
            true => [fault.after_effect(), reset.after_effect()],
            false => [fault, reset],
        };
        let effect: &[&str] = if after_effect { &["sesamy_x"] } else { &[] };
        fakes.fault(fault);
        client.get(TAGS).await.expect(200);
        assert_eq!(send_tag(&client).await.unwrap(), 500);
        assert_eq!(tags(&account), effect);

        account.put_subscriber(Subscriber::new("anna@example.se"));
        fakes.fault(reset);
        let error = send_tag(&client).await.unwrap_err();
        let reset = has_io_error(&error, io::ErrorKind::ConnectionReset);
        assert!(reset, "{error:?}");
        assert_eq!(fakes.requests().pop().unwrap().status, None);
        assert_eq!(tags(&account), effect);
    }
    assert_eq!(send_tag(&client).await.unwrap(), 200);
}

#[tokio::test]
async fn bodies_can_be_truncated_or_malformed() {
    let fakes = Fakes::start().await.unwrap();
    let (acme, client) = vendor(&fakes).await;
    let user = User::new("u").email("a@b.se");
    acme.put_user(user.contract(Contract::active("c1")));

    fakes.fault(Fault::truncated().on(Api::Sesamy).once());
    let error = client
        .try_send("GET", "/users/u", None, String::new())
        .await
        .unwrap_err();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert!(error.status().is_none() && !error.is_timeout(), "{error:?}");

    let malformed = Fault::new(FaultKind::MalformedJson);
    fakes.fault(malformed.on(Api::Sesamy).once());
    let reply = client.get("/users/u").await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(serde_json::from_str::<Value>(&reply.text).is_err());

    fakes.fault(Fault::wrong_types().on(Api::Sesamy).times(2));
    let profile = client.get("/users/u").await.expect(200);
    assert!(profile["email"].is_object() && profile["tags"].is_object());
    let contracts = client.get("/contracts?userId=u").await.expect(200);
    assert!(contracts[0]["id"].is_object() && contracts[0]["price"].is_array());
    assert!(client.get("/users/u").await.expect(200)["email"].is_string());
}

#[tokio::test]
async fn slow_responses_still_have_their_effect() {
    let fakes = Fakes::start().await.unwrap();
    let (account, client) = rule_with_anna(&fakes);
    fakes.fault(Fault::slow(Duration::from_millis(150)).once());
    let begun = Instant::now();
    client.post(TAGS, tag()).await.expect(200);
    assert!(begun.elapsed() >= Duration::from_millis(150));
    fakes.set_latency(Duration::from_millis(100));
    let begun = Instant::now();
    client.get("/v2/tags").await.expect(200);
    assert!(begun.elapsed() >= Duration::from_millis(100));
    // The client stops waiting after the effect.
    fakes.set_latency(Duration::from_secs(60));
    let send = client.post(TAGS, json!({"tags": ["sesamy_late"]}));
    let sent = tokio::time::timeout(Duration::from_millis(200), send).await;
    assert!(sent.is_err());
    assert_eq!(tags(&account), ["sesamy_x", "sesamy_late"]);
}

#[tokio::test]
async fn faults_apply_only_to_matching_requests() {
    let fakes = Fakes::start().await.unwrap();
    let (_, first) = rule(&fakes);
    fakes.rule().add_account("other", "other-key");
    let second = Client::new(&fakes.urls().rule).bearer("other-key");
    let id = fakes.fault(Fault::status(500).account("other").skip(1).times(1));
    for (client, status) in [
        (&first, 200),
        (&second, 200),
        (&first, 200),
        (&second, 500),
        (&second, 200),
    ] {
        client.get("/v2/tags").await.expect(status);
    }
    assert_eq!(fakes.faults()[0].struck, 1);
    assert!(fakes.remove_fault(id) && !fakes.remove_fault(id));
    fakes.seed_faults(3);
    fakes.fault(Fault::status(500).probability(0.5));
    let mut failed = 0;
    for _ in 0..40 {
        failed += u32::from(first.get("/v2/tags").await.status == 500);
    }
    assert!((8..=32).contains(&failed), "{failed}");
    fakes.clear_faults();
    first.get("/v2/tags").await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn tests_can_pause_their_clock() {
    let fakes = Fakes::start().await.unwrap();
    fakes.set_latency(Duration::from_millis(20));
    let (_, client) = rule(&fakes);
    client.get("/v2/tags").await.expect(200);
}

#[tokio::test]
async fn dropping_stops_the_server() {
    let fakes = Fakes::start().await.unwrap();
    let url = fakes.urls().rule.clone();
    let client = Client::new(&url);
    assert_eq!(client.get("/v2/tags").await.status, 401);
    drop(fakes);
    // The open connection closes, and a new one is refused.
    for client in [client, Client::new(&url)] {
        let sent = client.try_send("GET", "/v2/tags", None, String::new());
        assert!(sent.await.is_err());
    }
}
