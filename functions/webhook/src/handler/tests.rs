//! The webhook's contract.

use std::sync::LazyLock;

use lambda_http::Context;
use lambda_http::RequestExt as _;
use lambda_http::http::StatusCode;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::message::EventType;
use shared::secrets::Secrets;

use super::*;
use crate::fake::{Behaviour, QueueFake, SecretFake};
use crate::queues::QueueUrls;

const SECRET: &str = r#"{"vendors":{
    "vendor_123": {"tokens": ["s3cret-token-of-123", "next-token-of-123"]},
    "vendor_456": {"tokens": ["other-token-of-456"]},
    "broken": {"tokens": "s3cret-token-of-123"},
    "short": {"tokens": ["too-short"]},
    "held": {"tokens": ["held-token-of-held"], "accept": false},
    "unsure": {"tokens": ["unsure-token-of-it"], "accept": "no"}
}}"#;

struct TestRequest {
    method: &'static str,
    path: &'static str,
    authorization: Option<String>,
    body: Vec<u8>,
}

fn post(body: &Value) -> TestRequest {
    TestRequest {
        method: "POST",
        path: "/webhooks/sesamy",
        authorization: Some("Bearer s3cret-token-of-123".to_owned()),
        body: body.to_string().into_bytes(),
    }
}

impl TestRequest {
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

    fn build(self) -> Request {
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
        // As if API Gateway had sent the body in base64.
        *request.body_mut() = Body::Binary(self.body);
        let mut context = Context::default();
        context.xray_trace_id =
            Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1".to_owned());
        request.with_lambda_context(context)
    }
}

fn ago(age: SignedDuration) -> String {
    let timestamp = Timestamp::now() - age;
    timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Every call returns the same event.
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

fn valid_with(changes: Value) -> Value {
    let mut body = valid();
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

struct Stack {
    secrets: SecretFake,
    queues: QueueFake,
    handler: Handler<QueueFake>,
}

fn stack(secrets: SecretFake) -> Stack {
    let queues = QueueFake::default();
    let urls = "https://sqs/1/rule.fifo,https://sqs/1/mailmojo.fifo,https://sqs/1/make.fifo";
    let handler = Handler::new(
        TokenStore::new(Secrets::new(secrets.clone(), "test")),
        Queues::new(queues.clone(), QueueUrls::parse(urls).unwrap()),
    );
    Stack {
        secrets,
        queues,
        handler,
    }
}

impl Stack {
    async fn answer(&self, request: TestRequest) -> Response<Body> {
        let request = request.build();
        let request = WebhookRequest::read(&request);
        self.handler.handle(&request).await.response()
    }

    async fn status(&self, request: TestRequest) -> u16 {
        self.answer(request).await.status().as_u16()
    }
}

fn json_body(answer: &Response<Body>) -> Value {
    assert_eq!(answer.headers()["content-type"], "application/json");
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test]
async fn event_is_accepted_once_every_queue_holds_it() {
    let stack = stack(SecretFake::with_secret(SECRET));
    let answer = stack.answer(post(&valid())).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let body = json_body(&answer);
    assert_eq!(body["status"], "queued");
    let event_id = body["eventId"].as_str().unwrap();
    assert_eq!(event_id.len(), 64);
    assert_eq!(
        stack.queues.filled_queues(),
        ["mailmojo.fifo", "make.fifo", "rule.fifo"]
    );
    for (_, sent) in stack.queues.sent() {
        let message = Message::from_json(&sent.body).unwrap();
        assert_eq!(message.event_id.as_str(), event_id);
        assert_eq!(sent.deduplication_id, event_id);
        assert_eq!(sent.group, message.user.message_group());
        assert_eq!(
            sent.trace.as_deref(),
            Some("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
        );
        assert_eq!(message.user.vendor_id.as_str(), "vendor_123");
        let event = message.event.unwrap();
        assert_eq!(event.event_type, EventType::ContractPurchased);
        assert_eq!(event.contract_id.unwrap().as_str(), "contract_789");
    }
}

#[tokio::test]
async fn every_known_event_type_is_accepted() {
    let stack = stack(SecretFake::with_secret(SECRET));
    for (count, event_type) in EventType::ALL.into_iter().enumerate() {
        let body = valid_with(json!({ "eventType": event_type.name() }));
        assert_eq!(stack.status(post(&body)).await, 202);
        assert_eq!(stack.queues.sent().len(), 3 * (count + 1));
    }
}

#[tokio::test]
async fn webhook_delivered_twice_has_one_event_id_and_group() {
    let stack = stack(SecretFake::with_secret(SECRET));
    // Another order, unknown fields, another spelling and form of the time.
    let timestamp = valid()["occured_at"]
        .as_str()
        .unwrap()
        .replace('Z', ".000+00:00");
    let repeated = format!(
        r#"{{"more": [1, 2], "occurred_at": "{timestamp}",
        "contractId": "contract_789", "checkoutId": "", "entitlementId": null,
        "userId": "email|84cccf985de28a2a84824786", "vendorId": "vendor_123",
        "eventType": "contract.1#purchased"}}"#
    );
    let first = json_body(&stack.answer(post(&valid())).await);
    let second = json_body(&stack.answer(post(&valid()).with_body(repeated)).await);
    assert_eq!(first, second);
    let sent = stack.queues.sent();
    assert!(sent.iter().all(|(_, message)| {
        message.deduplication_id == sent[0].1.deduplication_id && message.group == sent[0].1.group
    }));
}

#[tokio::test]
async fn old_event_is_queued_as_a_sync_without_the_event() {
    const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
    const MINUTE: SignedDuration = SignedDuration::from_mins(1);
    for (age, has_event) in [(WEEK - MINUTE, true), (WEEK + MINUTE, false)] {
        let stack = stack(SecretFake::with_secret(SECRET));
        let body = valid_with(json!({ "occured_at": ago(age) }));
        let answer = json_body(&stack.answer(post(&body)).await);
        assert_eq!(answer["status"], "queued");
        for (_, sent) in stack.queues.sent() {
            let message = Message::from_json(&sent.body).unwrap();
            assert_eq!(message.event_id.as_str(), answer["eventId"]);
            assert_eq!(message.event.is_some(), has_event, "{age}");
        }
        assert_eq!(stack.queues.sent().len(), 3);
    }
}

#[tokio::test]
async fn event_more_than_a_day_ahead_is_invalid() {
    let stack = stack(SecretFake::with_secret(SECRET));
    let body = valid_with(json!({ "occured_at": "9999-12-30T00:00:00Z" }));
    let answer = stack.answer(post(&body)).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let details = json_body(&answer)["error"]["details"].clone();
    let expected = json!([{ "field": "occured_at", "reason": "must be at most a day ahead" }]);
    assert_eq!(details, expected);
    assert_eq!(stack.queues.sent(), []);
}

#[tokio::test]
async fn unknown_event_type_is_ignored_if_all_else_is_valid() {
    let stack = stack(SecretFake::with_secret(SECRET));
    for event_type in [
        "user.1#deleted",
        "Contract.1#purchased",
        "contract.1#purchased ",
    ] {
        let body = valid_with(json!({ "eventType": event_type }));
        let answer = stack.answer(post(&body)).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        assert_eq!(
            json_body(&answer),
            json!({ "status": "ignored", "reason": "unknown event type" })
        );
    }
    let invalid = valid_with(json!({ "eventType": "user.1#deleted", "userId": "" }));
    assert_eq!(stack.status(post(&invalid)).await, 400);
    let unauthenticated = valid_with(json!({ "eventType": "user.1#deleted" }));
    assert_eq!(
        stack.status(post(&unauthenticated).with_token(None)).await,
        401
    );
    assert_eq!(stack.queues.sent(), []);
}

#[tokio::test]
async fn all_errors_of_a_body_are_returned_at_once() {
    let stack = stack(SecretFake::with_secret(SECRET));
    let body = json!({ "vendorId": "vendor_123", "userId": 7, "occured_at": "yesterday" });
    let answer = stack.answer(post(&body)).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let error = json_body(&answer)["error"].clone();
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
async fn no_response_quotes_the_request() {
    let stack = stack(SecretFake::with_secret(SECRET));
    let personal = "anna@example.se";
    let bodies = [
        json!(personal),
        json!({ "vendorId": personal }),
        valid_with(json!({ "userId": { "email": personal } })),
        valid_with(json!({ "occured_at": personal, "contractId": format!("{personal} ") })),
        valid_with(json!({ "eventType": personal })),
    ];
    for body in bodies {
        let answer = stack.answer(post(&body)).await;
        let text = json_body(&answer).to_string();
        assert!(!text.contains("anna"), "{text}");
    }
}

#[tokio::test]
async fn body_over_64_kib_is_too_large() {
    let stack = stack(SecretFake::with_secret(SECRET));
    let mut largest = valid().to_string();
    largest.push_str(&" ".repeat(MAX_BODY - largest.len()));
    let fits = post(&valid()).with_body(largest.as_bytes());
    assert_eq!(stack.status(fits).await, 202);
    let answer = stack
        .answer(post(&valid()).with_body(format!("{largest} ")))
        .await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let error = json_body(&answer)["error"].clone();
    assert_eq!(error["code"], "payload_too_large");
    assert_eq!(error["details"], json!([]));
}

#[tokio::test]
async fn all_unauthenticated_requests_get_the_same_response() {
    let stack = stack(SecretFake::with_secret(SECRET));
    let with = |token| post(&valid()).with_token(token);
    let unknown_vendor =
        |token| post(&valid_with(json!({ "vendorId": "unknown" }))).with_token(token);
    let requests = [
        ("no header", with(None)),
        ("empty header", with(Some(""))),
        ("scheme without token", with(Some("Bearer "))),
        ("wrong token", with(Some("Bearer wrong"))),
        ("wrong bare token", with(Some("wrong"))),
        ("other case", with(Some("Bearer S3cret-token-of-123"))),
        ("another vendor's", with(Some("Bearer other-token-of-456"))),
        ("other scheme", with(Some("Basic s3cret-token-of-123"))),
        (
            "unknown vendor",
            unknown_vendor(Some("Bearer s3cret-token-of-123")),
        ),
        ("unknown vendor, no header", unknown_vendor(None)),
    ];
    let mut answers = Vec::new();
    for (name, request) in requests {
        let answer = stack.answer(request).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{name}");
        let headers = answer.headers().clone();
        answers.push((json_body(&answer), headers));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let (body, headers) = &answers[0];
    assert_eq!(body["error"]["code"], "authentication_required");
    assert_eq!(headers["www-authenticate"], "Bearer");
    assert_eq!(stack.queues.sent(), []);
}

#[tokio::test]
async fn every_listed_token_is_accepted_in_every_form() {
    let stack = stack(SecretFake::with_secret(SECRET));
    for token in [
        "Bearer s3cret-token-of-123",
        "bearer s3cret-token-of-123",
        "BEARER  next-token-of-123",
        "s3cret-token-of-123",
        " next-token-of-123 ",
    ] {
        let request = post(&valid()).with_token(Some(token));
        assert_eq!(stack.status(request).await, 202, "{token}");
    }
    let other = valid_with(json!({ "vendorId": "vendor_456" }));
    let request = post(&other).with_token(Some("Bearer other-token-of-456"));
    assert_eq!(stack.status(request).await, 202);
}

#[tokio::test]
async fn checks_follow_the_order_of_the_contract() {
    /// A body, and the status for each token.
    struct Case<'a> {
        name: &'static str,
        body: &'a [u8],
        without_token: u16,
        wrong_token: u16,
        right_token: u16,
    }
    let large = vec![b'x'; MAX_BODY + 1];
    let no_vendor = valid_with(json!({ "vendorId": "" })).to_string();
    let invalid = valid_with(json!({ "userId": "", "eventType": 1 })).to_string();
    let same = |name, body, status| Case {
        name,
        body,
        without_token: status,
        wrong_token: status,
        right_token: status,
    };
    let cases = [
        same("size before all else", &large, 413),
        same("JSON before token", b"{", 400),
        same("no object", b"[]", 400),
        same("empty body", b"", 400),
        same("no UTF-8", b"{\"vendorId\":\"\xff\"}", 400),
        same("vendor before token", no_vendor.as_bytes(), 400),
        Case {
            name: "token before the rest",
            body: invalid.as_bytes(),
            without_token: 401,
            wrong_token: 401,
            right_token: 400,
        },
    ];
    let stack = stack(SecretFake::with_secret(SECRET));
    for case in cases {
        for (token, status) in [
            (None, case.without_token),
            (Some("Bearer wrong"), case.wrong_token),
            (Some("Bearer s3cret-token-of-123"), case.right_token),
        ] {
            let request = post(&valid()).with_body(case.body).with_token(token);
            let answered = stack.status(request).await;
            assert_eq!(answered, status, "{}: {token:?}", case.name);
        }
    }
    assert_eq!(stack.queues.sent(), []);
}

#[tokio::test]
async fn only_one_path_and_method_exist() {
    let stack = stack(SecretFake::with_secret(SECRET));
    for path in [
        "/webhooks/sesamy",
        "/webhooks/sesamy/",
        "/base-path/webhooks/sesamy",
    ] {
        let status = stack.status(post(&valid()).to("POST", path)).await;
        assert_eq!(status, 202, "{path}");
    }
    for method in ["GET", "PUT", "OPTIONS"] {
        let request = post(&valid()).to(method, "/webhooks/sesamy");
        let answer = stack.answer(request).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(json_body(&answer)["error"]["code"], "method_not_allowed");
        assert_eq!(answer.headers()["allow"], "POST");
    }
    for (method, path) in [
        ("POST", "/"),
        ("POST", "/webhooks"),
        ("POST", "/webhooks/sesamy/more"),
        ("POST", "/webhooks/Sesamy"),
        ("GET", "/favicon.ico"),
    ] {
        let answer = stack.answer(post(&valid()).to(method, path)).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(json_body(&answer)["error"]["code"], "not_found");
        assert!(!answer.headers().contains_key("allow"));
    }
}

#[tokio::test]
async fn unreadable_secret_is_a_503_with_retry_after() {
    let assert_unavailable = |answer: &Response<Body>| {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let seconds: u32 = answer.headers()["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=300).contains(&seconds));
        let error = json_body(answer)["error"].clone();
        assert_eq!(error["code"], "service_unavailable");
        assert_eq!(error["details"], json!([]));
    };
    let secrets = [
        ("unreachable", SecretFake::new(Err(Behaviour::Fail))),
        ("missing", SecretFake::new(Ok(None))),
        ("not JSON", SecretFake::with_secret("s3cret-token-of-123")),
        ("without vendors", SecretFake::with_secret("{}")),
    ];
    for (name, secrets) in secrets {
        let stack = stack(secrets);
        assert_unavailable(&stack.answer(post(&valid())).await);
        // Not 401, because Sesamy would not send the event again.
        let wrong = post(&valid()).with_token(Some("Bearer wrong"));
        assert_unavailable(&stack.answer(wrong).await);
        assert_eq!(stack.queues.sent(), [], "{name}");
        let without = post(&valid()).with_token(None);
        assert_eq!(stack.status(without).await, 401, "{name}");
        assert_eq!(stack.status(post(&valid()).with_body("{}")).await, 400);
        let invalid = post(&valid_with(json!({ "userId": "" })));
        assert_unavailable(&stack.answer(invalid).await);
    }
    let stack = stack(SecretFake::with_secret(SECRET));
    for (vendor, token) in [
        ("broken", "Bearer s3cret-token-of-123"),
        ("short", "Bearer too-short"),
        ("unsure", "Bearer unsure-token-of-it"),
    ] {
        let broken = post(&valid_with(json!({ "vendorId": vendor }))).with_token(Some(token));
        assert_unavailable(&stack.answer(broken).await);
    }
    assert_eq!(stack.status(post(&valid())).await, 202);
}

#[tokio::test]
async fn vendor_on_hold_gets_a_429_with_retry_after() {
    let stack = stack(SecretFake::with_secret(SECRET));
    let token = Some("Bearer held-token-of-held");
    let body = valid_with(json!({ "vendorId": "held" }));
    let invalid = valid_with(json!({ "vendorId": "held", "userId": "" }));
    for body in [&body, &invalid] {
        let answer = stack.answer(post(body).with_token(token)).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["retry-after"], "300");
        assert_eq!(json_body(&answer)["error"]["code"], "vendor_on_hold");
    }
    assert_eq!(stack.queues.sent(), []);
    let wrong = post(&body).with_token(Some("Bearer wrong"));
    assert_eq!(stack.status(wrong).await, 401);
    assert_eq!(stack.status(post(&valid())).await, 202);
}

#[tokio::test]
async fn claimed_vendor_is_logged_only_if_it_is_known() {
    let known = stack(SecretFake::with_secret(SECRET));
    known.handler.token_store.warm().await.unwrap();
    let unreadable = stack(SecretFake::new(Err(Behaviour::Fail)));
    let is_logged = async |stack: &Stack, vendor: &str, token: Option<&str>| {
        let request = post(&valid_with(json!({ "vendorId": vendor }))).with_token(token);
        let request = request.build();
        let outcome = stack.handler.handle(&WebhookRequest::read(&request)).await;
        format!("{outcome:?}").contains(vendor)
    };
    for (vendor, token) in [
        ("vendor_123", Some("Bearer wrong")),
        ("vendor_123", None),
        ("broken", Some("Bearer wrong")),
        ("held", Some("Bearer held-token-of-held")),
    ] {
        assert!(is_logged(&known, vendor, token).await, "{vendor}");
    }
    for stack in [&known, &unreadable] {
        for token in [Some("Bearer wrong"), None] {
            assert!(!is_logged(stack, "anna@example.se", token).await);
        }
    }
}

#[tokio::test]
async fn failure_of_one_queue_is_a_503() {
    for failing in [
        &["rule.fifo"][..],
        &["make.fifo"],
        &["rule.fifo", "mailmojo.fifo", "make.fifo"],
    ] {
        let stack = stack(SecretFake::with_secret(SECRET));
        for queue in failing {
            stack.queues.set_behaviour(queue, Behaviour::Fail);
        }
        let answer = stack.answer(post(&valid())).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(stack.queues.sent().len(), 3 - failing.len());
    }
}

#[tokio::test(start_paused = true)]
async fn response_is_sent_within_five_seconds_if_aws_hangs() {
    let hour = Behaviour::Delay(Duration::from_secs(3_600));
    let hanging_queue = stack(SecretFake::with_secret(SECRET));
    hanging_queue.queues.set_behaviour("make.fifo", hour);
    let hanging_store = stack(SecretFake::new(Ok(None)));
    hanging_store.secrets.set_behaviour(hour);
    for stack in [hanging_queue, hanging_store] {
        let began = Instant::now();
        assert_eq!(stack.status(post(&valid())).await, 503);
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn panic_is_a_500_and_the_next_request_succeeds() {
    let stack = stack(SecretFake::with_secret(SECRET));
    stack.secrets.set_behaviour(Behaviour::Panic);
    let answer = stack.answer(post(&valid())).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(json_body(&answer)["error"]["code"], "internal_error");
    stack.secrets.set_secret(SECRET);
    stack.queues.set_behaviour("rule.fifo", Behaviour::Panic);
    assert_eq!(stack.status(post(&valid())).await, 503);
    stack
        .queues
        .set_behaviour("rule.fifo", Behaviour::Delay(Duration::ZERO));
    assert_eq!(stack.status(post(&valid())).await, 202);
}

#[tokio::test(start_paused = true)]
async fn added_token_is_accepted_within_ten_seconds() {
    let stack = stack(SecretFake::with_secret(SECRET));
    let with_new = || post(&valid()).with_token(Some("Bearer brand-new-token-of-123"));
    assert_eq!(stack.status(post(&valid())).await, 202);
    stack.secrets.set_secret(
        r#"{"vendors":{"vendor_123":{"tokens":["s3cret-token-of-123","brand-new-token-of-123"]}}}"#,
    );
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(stack.status(with_new()).await, 202);
    assert_eq!(stack.status(post(&valid())).await, 202);
    assert_eq!(stack.secrets.reads(), 2);
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(work)
}

/// Random bytes, or a valid body with some bytes changed.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let changed = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
        .prop_map(|changes| {
            let mut body = valid().to_string().into_bytes();
            for (index, byte) in changes {
                let index = index.index(body.len());
                body[index] = byte;
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
        let stack = stack(SecretFake::with_secret(SECRET));
        let body = if whole { valid().to_string().into_bytes() } else { body };
        let request = post(&valid()).with_body(body).with_token(authorization.as_deref());
        let status = block_on(stack.status(request));
        prop_assert!([400, 401, 413, 503].contains(&status), "{}", status);
        prop_assert_eq!(stack.queues.sent(), []);
    }

    #[test]
    fn no_body_causes_a_panic_and_only_accepted_events_are_queued(body in mangled()) {
        let stack = stack(SecretFake::with_secret(SECRET));
        let answer = block_on(stack.answer(post(&valid()).with_body(body)));
        let queued = answer.status() == StatusCode::ACCEPTED
            && json_body(&answer)["status"] == "queued";
        prop_assert_ne!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        prop_assert_eq!(stack.queues.sent().len(), if queued { 3 } else { 0 });
    }
}
