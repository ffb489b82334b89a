//! The contract of the webhook, row by row.

use std::sync::LazyLock;

use lambda_http::Context;
use lambda_http::RequestExt as _;
use lambda_http::http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::message::EventType;
use shared::secrets::Secrets;

use super::*;
use crate::queues::QueueUrls;
use crate::stand_in::{Behaviour, QueueStandIn, SecretStandIn};

const SECRET: &str = r#"{"vendors":{
    "vendor_123": {"tokens": ["s3cret-token-of-123", "next-token-of-123"]},
    "vendor_456": {"tokens": ["other-token-of-456"]},
    "broken": {"tokens": "s3cret-token-of-123"},
    "short": {"tokens": ["too-short"]},
    "held": {"tokens": ["held-token-of-held"], "accept": false},
    "unsure": {"tokens": ["unsure-token-of-it"], "accept": "no"}
}}"#;

/// A request as API Gateway tells of it.
#[derive(Clone)]
struct Sent {
    method: &'static str,
    path: &'static str,
    authorization: Option<String>,
    body: Vec<u8>,
}

fn sent(body: &Value) -> Sent {
    Sent {
        method: "POST",
        path: "/webhooks/sesamy",
        authorization: Some("Bearer s3cret-token-of-123".to_owned()),
        body: body.to_string().into_bytes(),
    }
}

impl Sent {
    fn with_token(mut self, authorization: Option<&str>) -> Self {
        self.authorization = authorization.map(str::to_owned);
        self
    }

    fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn to(mut self, method: &'static str, path: &'static str) -> Self {
        (self.method, self.path) = (method, path);
        self
    }

    fn request(self) -> Request {
        let mut event = json!({
            "resource": self.path,
            "path": self.path,
            "httpMethod": self.method,
            "headers": { "Host": "id.execute-api.eu-north-1.amazonaws.com" },
            "requestContext": { "stage": "live", "httpMethod": self.method },
            "isBase64Encoded": false,
        });
        if let Some(authorization) = self.authorization {
            event["headers"]["authorization"] = json!(authorization);
        }
        let mut request = lambda_http::request::from_str(&event.to_string()).unwrap();
        // As API Gateway's event has it when the body is encoded in base64.
        *request.body_mut() = Body::Binary(self.body);
        let mut context = Context::default();
        context.xray_trace_id =
            Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".to_owned());
        request.with_lambda_context(context)
    }
}

/// A moment so long ago, in whole seconds.
fn ago(age: SignedDuration) -> String {
    let moment = Timestamp::now() - age;
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An event of a minute ago. Two calls give one event.
fn valid() -> Value {
    static A_MINUTE_AGO: LazyLock<String> = LazyLock::new(|| ago(SignedDuration::from_mins(1)));
    json!({
        "eventType": "contract.1#purchased",
        "vendorId": "vendor_123",
        "userId": "email|84cccf985de28a2a84824786",
        "contractId": "contract_789",
        "occured_at": *A_MINUTE_AGO,
    })
}

fn but(changes: Value) -> Value {
    let mut body = valid();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

struct Stack {
    secrets: SecretStandIn,
    queues: QueueStandIn,
    intake: Intake<QueueStandIn>,
}

fn stack(secrets: SecretStandIn) -> Stack {
    let queues = QueueStandIn::default();
    let urls = "https://sqs/1/rule.fifo,https://sqs/1/mailmojo.fifo,https://sqs/1/make.fifo";
    let intake = Intake::new(
        Keyring::new(Secrets::new(secrets.clone(), "test")),
        Queues::new(queues.clone(), QueueUrls::read(urls).unwrap()),
    );
    Stack {
        secrets,
        queues,
        intake,
    }
}

impl Stack {
    async fn answer(&self, sent: Sent) -> Response<Body> {
        let request = sent.request();
        let outcome = self.intake.handle(&Incoming::read(&request)).await;
        outcome.answer().response()
    }

    async fn status(&self, sent: Sent) -> u16 {
        self.answer(sent).await.status().as_u16()
    }
}

fn json_of(answer: &Response<Body>) -> Value {
    assert_eq!(answer.headers()["content-type"], "application/json");
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test]
async fn an_event_is_accepted_once_every_queue_holds_it() {
    let stack = stack(SecretStandIn::holding(SECRET));
    let answer = stack.answer(sent(&valid())).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let body = json_of(&answer);
    assert_eq!(body["status"], "queued");
    let event_id = body["eventId"].as_str().unwrap();
    assert_eq!(event_id.len(), 64);
    assert_eq!(
        stack.queues.holding(),
        ["mailmojo.fifo", "make.fifo", "rule.fifo"]
    );
    for (_, entry) in stack.queues.sent() {
        let message = Message::from_json(&entry.body).unwrap();
        assert_eq!(message.event_id.as_str(), event_id);
        assert_eq!(entry.deduplication_id, event_id);
        assert_eq!(entry.group, message.reader.message_group());
        assert_eq!(
            entry.trace.map(|trace| trace.to_string()).as_deref(),
            Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
        );
        assert_eq!(message.reader.vendor_id.as_str(), "vendor_123");
        let event = message.event.unwrap();
        assert_eq!(event.event_type, EventType::ContractPurchased);
        assert_eq!(event.contract_id.unwrap().as_str(), "contract_789");
    }
}

#[tokio::test]
async fn each_of_the_eight_types_is_accepted() {
    let stack = stack(SecretStandIn::holding(SECRET));
    for (count, event_type) in EventType::ALL.into_iter().enumerate() {
        let body = but(json!({ "eventType": event_type.name() }));
        assert_eq!(stack.status(sent(&body)).await, 202);
        assert_eq!(stack.queues.sent().len(), 3 * (count + 1));
    }
}

#[tokio::test]
async fn a_webhook_delivered_twice_has_one_event_id_and_group() {
    let stack = stack(SecretStandIn::holding(SECRET));
    // The order of fields, unknown ones, spellings and forms of the time make no difference.
    let moment = valid()["occured_at"]
        .as_str()
        .unwrap()
        .replace('Z', ".000+00:00");
    let again = format!(
        r#"{{"more": [1, 2], "occurred_at": "{moment}",
        "contractId": "contract_789", "checkoutId": "", "entitlementId": null,
        "userId": "email|84cccf985de28a2a84824786", "vendorId": "vendor_123",
        "eventType": "contract.1#purchased"}}"#
    );
    let first = json_of(&stack.answer(sent(&valid())).await);
    let second = json_of(&stack.answer(sent(&valid()).with_body(again)).await);
    assert_eq!(first, second);
    let sent = stack.queues.sent();
    assert!(sent.iter().all(|(_, entry)| {
        entry.deduplication_id == sent[0].1.deduplication_id && entry.group == sent[0].1.group
    }));
}

#[tokio::test]
async fn an_old_event_is_queued_and_starts_nothing() {
    const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
    const MINUTE: SignedDuration = SignedDuration::from_mins(1);
    for (age, starts) in [(WEEK - MINUTE, true), (WEEK + MINUTE, false)] {
        let stack = stack(SecretStandIn::holding(SECRET));
        let body = but(json!({ "occured_at": ago(age) }));
        let answer = json_of(&stack.answer(sent(&body)).await);
        assert_eq!(answer["status"], "queued");
        for (_, entry) in stack.queues.sent() {
            let message = Message::from_json(&entry.body).unwrap();
            assert_eq!(message.event_id.as_str(), answer["eventId"]);
            assert_eq!(message.event.is_some(), starts, "{age}");
        }
        assert_eq!(stack.queues.sent().len(), 3);
    }
}

#[tokio::test]
async fn an_event_far_ahead_is_a_fault_of_its_field() {
    let stack = stack(SecretStandIn::holding(SECRET));
    let body = but(json!({ "occured_at": "9999-12-30T00:00:00Z" }));
    let answer = stack.answer(sent(&body)).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let details = json_of(&answer)["error"]["details"].clone();
    let expected = json!([{ "field": "occured_at", "reason": "must be at most a day ahead" }]);
    assert_eq!(details, expected);
    assert_eq!(stack.queues.sent(), []);
}

#[tokio::test]
async fn an_unknown_event_type_is_passed_over_if_all_else_is_right() {
    let stack = stack(SecretStandIn::holding(SECRET));
    for event_type in [
        "user.1#deleted",
        "Contract.1#purchased",
        "contract.1#purchased ",
    ] {
        let body = but(json!({ "eventType": event_type }));
        let answer = stack.answer(sent(&body)).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        assert_eq!(
            json_of(&answer),
            json!({ "status": "ignored", "reason": "unknown event type" })
        );
    }
    let faulty = but(json!({ "eventType": "user.1#deleted", "userId": "" }));
    assert_eq!(stack.status(sent(&faulty)).await, 400);
    let unauthenticated = but(json!({ "eventType": "user.1#deleted" }));
    assert_eq!(
        stack.status(sent(&unauthenticated).with_token(None)).await,
        401
    );
    assert_eq!(stack.queues.sent(), []);
}

#[tokio::test]
async fn faults_are_all_told_at_once() {
    let stack = stack(SecretStandIn::holding(SECRET));
    let body = json!({ "vendorId": "vendor_123", "userId": 7, "occured_at": "yesterday" });
    let answer = stack.answer(sent(&body)).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let error = json_of(&answer)["error"].clone();
    assert_eq!(error["code"], "validation_error");
    assert!(error["message"].is_string());
    let details = [
        ("eventType", "is required"),
        ("userId", "must be a text"),
        (
            "occured_at",
            "must be an RFC 3339 date and time with seconds and offset, like 2025-11-10T12:00:00Z",
        ),
    ]
    .map(|(field, reason)| json!({ "field": field, "reason": reason }));
    assert_eq!(error["details"], json!(details));
    assert_eq!(stack.queues.sent(), []);
}

#[tokio::test]
async fn no_answer_quotes_what_was_sent() {
    let stack = stack(SecretStandIn::holding(SECRET));
    let quoted = "anna@example.se";
    let bodies = [
        json!(quoted),
        json!({ "vendorId": quoted }),
        but(json!({ "userId": { "email": quoted } })),
        but(json!({ "occured_at": quoted, "contractId": format!("{quoted} ") })),
        but(json!({ "eventType": quoted })),
    ];
    for body in bodies {
        let answer = stack.answer(sent(&body)).await;
        let text = json_of(&answer).to_string();
        assert!(!text.contains("anna"), "{text}");
    }
}

#[tokio::test]
async fn a_body_over_64_kib_is_too_large() {
    let stack = stack(SecretStandIn::holding(SECRET));
    let mut largest = valid().to_string();
    largest.push_str(&" ".repeat(MAX_BODY - largest.len()));
    let fits = sent(&valid()).with_body(largest.as_bytes());
    assert_eq!(stack.status(fits).await, 202);
    let answer = stack
        .answer(sent(&valid()).with_body(format!("{largest} ")))
        .await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let error = json_of(&answer)["error"].clone();
    assert_eq!(error["code"], "payload_too_large");
    assert_eq!(error["details"], json!([]));
}

#[tokio::test]
async fn whoever_is_not_let_in_gets_the_same_answer_whatever_the_reason() {
    let stack = stack(SecretStandIn::holding(SECRET));
    let unknown_vendor = but(json!({ "vendorId": "nobody" }));
    let cases = [
        ("no header", valid(), None),
        ("empty header", valid(), Some("")),
        ("scheme without token", valid(), Some("Bearer ")),
        ("wrong token", valid(), Some("Bearer wrong")),
        ("wrong bare token", valid(), Some("wrong")),
        (
            "token in other letters",
            valid(),
            Some("Bearer S3cret-token-of-123"),
        ),
        (
            "another vendor's token",
            valid(),
            Some("Bearer other-token-of-456"),
        ),
        ("other scheme", valid(), Some("Basic s3cret-token-of-123")),
        (
            "unknown vendor",
            unknown_vendor.clone(),
            Some("Bearer s3cret-token-of-123"),
        ),
        ("unknown vendor, no header", unknown_vendor, None),
    ];
    let mut answers = Vec::new();
    for (name, body, token) in cases {
        let answer = stack.answer(sent(&body).with_token(token)).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}");
        let headers = answer.headers().clone();
        answers.push((json_of(&answer), headers));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let (body, headers) = &answers[0];
    assert_eq!(body["error"]["code"], "authentication_required");
    assert_eq!(headers["www-authenticate"], "Bearer");
    assert_eq!(stack.queues.sent(), []);
}

#[tokio::test]
async fn any_listed_token_is_accepted_in_any_form() {
    let stack = stack(SecretStandIn::holding(SECRET));
    for token in [
        "Bearer s3cret-token-of-123",
        "bearer s3cret-token-of-123",
        "BEARER  next-token-of-123",
        "s3cret-token-of-123",
        " next-token-of-123 ",
    ] {
        let sent = sent(&valid()).with_token(Some(token));
        assert_eq!(stack.status(sent).await, 202, "{token}");
    }
    let other = but(json!({ "vendorId": "vendor_456" }));
    let sent = sent(&other).with_token(Some("Bearer other-token-of-456"));
    assert_eq!(stack.status(sent).await, 202);
}

#[tokio::test]
async fn checks_are_made_in_the_order_of_the_contract() {
    let large = vec![b'x'; MAX_BODY + 1];
    let faulty = but(json!({ "userId": "", "eventType": 1 })).to_string();
    let no_vendor = but(json!({ "vendorId": "" })).to_string();
    let wrong = Some("Bearer wrong");
    let right = Some("Bearer s3cret-token-of-123");
    let cases = [
        ("size before JSON and token", large.clone(), None, 413),
        ("size before faults", large, right, 413),
        ("JSON before token", b"{".to_vec(), None, 400),
        ("JSON before wrong token", b"{".to_vec(), wrong, 400),
        ("JSON with token", b"{".to_vec(), right, 400),
        ("no object", b"[]".to_vec(), None, 400),
        ("empty body", Vec::new(), None, 400),
        ("no UTF-8", b"{\"vendorId\":\"\xff\"}".to_vec(), None, 400),
        (
            "vendor before token",
            no_vendor.clone().into_bytes(),
            None,
            400,
        ),
        (
            "vendor before wrong token",
            no_vendor.into_bytes(),
            wrong,
            400,
        ),
        (
            "token before the rest",
            faulty.clone().into_bytes(),
            None,
            401,
        ),
        (
            "wrong token before the rest",
            faulty.clone().into_bytes(),
            wrong,
            401,
        ),
        ("the rest with token", faulty.into_bytes(), right, 400),
    ];
    let stack = stack(SecretStandIn::holding(SECRET));
    for (name, body, token, status) in cases {
        let sent = sent(&valid()).with_body(body).with_token(token);
        assert_eq!(stack.status(sent).await, status, "{name}");
    }
    assert_eq!(stack.queues.sent(), []);
}

#[tokio::test]
async fn there_is_one_path_with_one_method() {
    let stack = stack(SecretStandIn::holding(SECRET));
    let cases = [
        ("POST", "/webhooks/sesamy", 202, None),
        ("POST", "/webhooks/sesamy/", 202, None),
        ("POST", "/base-path/webhooks/sesamy", 202, None),
        ("GET", "/webhooks/sesamy", 405, Some("method_not_allowed")),
        ("PUT", "/webhooks/sesamy", 405, Some("method_not_allowed")),
        (
            "OPTIONS",
            "/webhooks/sesamy",
            405,
            Some("method_not_allowed"),
        ),
        ("POST", "/", 404, Some("not_found")),
        ("POST", "/webhooks", 404, Some("not_found")),
        ("POST", "/webhooks/sesamy/more", 404, Some("not_found")),
        ("POST", "/webhooks/Sesamy", 404, Some("not_found")),
        ("GET", "/favicon.ico", 404, Some("not_found")),
    ];
    for (method, path, status, code) in cases {
        let answer = stack.answer(sent(&valid()).to(method, path)).await;
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        let body = json_of(&answer);
        assert_eq!(body["error"]["code"].as_str(), code);
        let allow = answer.headers().get("allow").cloned();
        assert_eq!(allow.is_some(), status == 405);
    }
}

#[tokio::test]
async fn what_this_system_lacks_is_a_503_to_be_tried_again() {
    let unavailable = |answer: &Response<Body>| {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let seconds: u32 = answer.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=300).contains(&seconds));
        let error = json_of(answer)["error"].clone();
        assert_eq!(error["code"], "service_unavailable");
        assert_eq!(error["details"], json!([]));
    };
    let secrets = [
        ("unreachable", SecretStandIn::down()),
        ("missing", SecretStandIn::new(None)),
        ("not JSON", SecretStandIn::holding("s3cret-token-of-123")),
        ("without vendors", SecretStandIn::holding("{}")),
    ];
    for (name, secrets) in secrets {
        let stack = stack(secrets);
        unavailable(&stack.answer(sent(&valid())).await);
        // Never 401: Sesamy would drop the event.
        let wrong = sent(&valid()).with_token(Some("Bearer wrong"));
        unavailable(&stack.answer(wrong).await);
        assert_eq!(stack.queues.sent(), [], "{name}");
        // Without a token nobody can be let in, whatever the secret says.
        let without = sent(&valid()).with_token(None);
        assert_eq!(stack.status(without).await, 401, "{name}");
        // What is wrong with the body alone is told all the same.
        assert_eq!(stack.status(sent(&valid()).with_body("{}")).await, 400);
        let faulty = sent(&but(json!({ "userId": "" })));
        unavailable(&stack.answer(faulty).await);
    }
    let stack = stack(SecretStandIn::holding(SECRET));
    for (vendor, token) in [
        ("broken", "Bearer s3cret-token-of-123"),
        ("short", "Bearer too-short"),
        ("unsure", "Bearer unsure-token-of-it"),
    ] {
        let broken = sent(&but(json!({ "vendorId": vendor }))).with_token(Some(token));
        unavailable(&stack.answer(broken).await);
    }
    assert_eq!(stack.status(sent(&valid())).await, 202);
}

#[tokio::test]
async fn a_vendor_on_hold_is_asked_to_come_again() {
    let stack = stack(SecretStandIn::holding(SECRET));
    let held = Some("Bearer held-token-of-held");
    let body = but(json!({ "vendorId": "held" }));
    let faulty = but(json!({ "vendorId": "held", "userId": "" }));
    for body in [&body, &faulty] {
        let answer = stack.answer(sent(body).with_token(held)).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["retry-after"], "300");
        assert_eq!(json_of(&answer)["error"]["code"], "vendor_on_hold");
    }
    assert_eq!(stack.queues.sent(), []);
    // Nobody else learns of it, and no other vendor is held off.
    let wrong = sent(&body).with_token(Some("Bearer wrong"));
    assert_eq!(stack.status(wrong).await, 401);
    assert_eq!(stack.status(sent(&valid())).await, 202);
}

#[tokio::test]
async fn a_vendor_is_named_in_the_log_only_if_it_is_known() {
    let known = stack(SecretStandIn::holding(SECRET));
    known.intake.keyring.warm().await.unwrap();
    let unreadable = stack(SecretStandIn::down());
    let cases = [
        (&known, "vendor_123", Some("Bearer wrong"), true),
        (&known, "vendor_123", None, true),
        (&known, "broken", Some("Bearer wrong"), true),
        (&known, "held", Some("Bearer held-token-of-held"), true),
        (&known, "anna@example.se", Some("Bearer wrong"), false),
        (&known, "anna@example.se", None, false),
        (&unreadable, "anna@example.se", Some("Bearer wrong"), false),
        (&unreadable, "anna@example.se", None, false),
    ];
    for (stack, vendor, token, named) in cases {
        let request = sent(&but(json!({ "vendorId": vendor }))).with_token(token);
        let request = request.request();
        let outcome = stack.intake.handle(&Incoming::read(&request)).await;
        let told = format!("{outcome:?}");
        assert_eq!(told.contains(vendor), named, "{told}");
    }
}

#[tokio::test]
async fn a_queue_that_fails_is_a_503_even_if_it_is_one_of_several() {
    for failing in [
        &["rule.fifo"][..],
        &["make.fifo"],
        &["rule.fifo", "mailmojo.fifo", "make.fifo"],
    ] {
        let stack = stack(SecretStandIn::holding(SECRET));
        for queue in failing {
            stack.queues.behave(queue, Behaviour::Fail);
        }
        let answer = stack.answer(sent(&valid())).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(stack.queues.sent().len(), 3 - failing.len());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_given_within_five_seconds_whatever_hangs() {
    let hour = Behaviour::Take(Duration::from_secs(3_600));
    let hanging_queue = stack(SecretStandIn::holding(SECRET));
    hanging_queue.queues.behave("make.fifo", hour);
    let hanging_store = stack(SecretStandIn::new(None));
    hanging_store.secrets.behave(hour);
    for stack in [hanging_queue, hanging_store] {
        let began = Instant::now();
        assert_eq!(stack.status(sent(&valid())).await, 503);
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_next_request_is_answered() {
    let stack = stack(SecretStandIn::holding(SECRET));
    stack.secrets.behave(Behaviour::Panic);
    let answer = stack.answer(sent(&valid())).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(json_of(&answer)["error"]["code"], "internal_error");
    stack.secrets.hold(SECRET);
    stack.queues.behave("rule.fifo", Behaviour::Panic);
    assert_eq!(stack.status(sent(&valid())).await, 503);
    stack
        .queues
        .behave("rule.fifo", Behaviour::Take(Duration::ZERO));
    assert_eq!(stack.status(sent(&valid())).await, 202);
}

#[tokio::test(start_paused = true)]
async fn a_token_added_to_the_secret_counts_within_ten_seconds() {
    let stack = stack(SecretStandIn::holding(SECRET));
    let with_new = || sent(&valid()).with_token(Some("Bearer brand-new-token-of-123"));
    assert_eq!(stack.status(sent(&valid())).await, 202);
    stack.secrets.hold(
        r#"{"vendors":{"vendor_123":{"tokens":["s3cret-token-of-123","brand-new-token-of-123"]}}}"#,
    );
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(stack.status(with_new()).await, 202);
    assert_eq!(stack.status(sent(&valid())).await, 202);
    assert_eq!(stack.secrets.reads(), 2);
}

/// Runs async work in a property test.
fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(work)
}

/// A body as a fuzzer would send it: bytes, or a valid body with bytes changed.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let changed = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
        .prop_map(|changes| {
            let mut body = valid().to_string().into_bytes();
            for (place, byte) in changes {
                let place = place.index(body.len());
                body[place] = byte;
            }
            body
        });
    prop_oneof![prop::collection::vec(any::<u8>(), 0..300), changed]
}

proptest! {
    #[test]
    fn nothing_is_accepted_without_a_valid_token(
        body in mangled(),
        whole in any::<bool>(),
        authorization in prop::option::of("[ -~]{0,40}"),
    ) {
        let guessed = authorization.as_deref().is_some_and(|header| {
            header.contains("-token-of-")
        });
        prop_assume!(!guessed);
        let stack = stack(SecretStandIn::holding(SECRET));
        let body = if whole { valid().to_string().into_bytes() } else { body };
        let sent = sent(&valid()).with_body(body).with_token(authorization.as_deref());
        let status = run(stack.status(sent));
        prop_assert!([400, 401, 413, 503].contains(&status), "{}", status);
        prop_assert_eq!(stack.queues.sent(), []);
    }

    #[test]
    fn no_body_makes_it_panic_and_only_accepted_events_are_queued(body in mangled()) {
        let stack = stack(SecretStandIn::holding(SECRET));
        let answer = run(stack.answer(sent(&valid()).with_body(body)));
        let queued = answer.status() == StatusCode::ACCEPTED
            && json_of(&answer)["status"] == "queued";
        prop_assert_ne!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        prop_assert_eq!(stack.queues.sent().len(), if queued { 3 } else { 0 });
    }
}
