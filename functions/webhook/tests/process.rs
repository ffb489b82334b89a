//! The function as it is deployed: the binary in a local Lambda, with the AWS
//! SDK talking http to a local AWS.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code, which clippy knows only inside of test functions"
)]

mod stand_in;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use stand_in::{Aws, Function, Mishap};

const TOKEN: &str = "s3cret-token-of-123";
const SECRET: &str = r#"{"vendors":{"vendor_123":{"tokens":["s3cret-token-of-123"]}}}"#;

fn aws() -> Aws {
    let aws = Aws::default();
    aws.hold_secret(SECRET);
    aws
}

/// API Gateway's event of a webhook, in the form of its REST APIs.
fn event(authorization: Option<&str>, body: &str) -> Value {
    let mut event = json!({
        "resource": "/webhooks/sesamy",
        "path": "/webhooks/sesamy",
        "httpMethod": "POST",
        "headers": { "Content-Type": "application/json", "Host": "id.example.com" },
        "multiValueHeaders": { "Content-Type": ["application/json"] },
        "queryStringParameters": null,
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "resourcePath": "/webhooks/sesamy",
            "httpMethod": "POST",
            "path": "/live/webhooks/sesamy",
            "stage": "live",
            "identity": { "sourceIp": "203.0.113.7" },
        },
        "body": body,
        "isBase64Encoded": false,
    });
    if let Some(authorization) = authorization {
        event["headers"]["Authorization"] = json!(authorization);
        event["multiValueHeaders"]["Authorization"] = json!([authorization]);
    }
    event
}

/// What is no whole second of the event's time, so that it can be looked for.
const FRACTION: &str = ".918273645";

fn valid() -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S");
    let body = json!({
        "eventType": "userVendor.1#new",
        "vendorId": "vendor_123",
        "userId": "user_456",
        "occured_at": format!("{now}{FRACTION}Z"),
        "email": "anna@example.se",
    });
    event(Some("Bearer s3cret-token-of-123"), &body.to_string())
}

/// The log line and the metrics of one request.
fn told(function: &Function) -> (Value, Value) {
    let mut lines = function.lines(2);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let text = format!("{lines:?}");
    for secret in [TOKEN, "anna@example.se", FRACTION] {
        assert!(!text.contains(secret), "{text}");
    }
    let metrics = lines.pop().unwrap();
    let log = lines.pop().unwrap();
    assert_eq!(log["message"], "Answered a webhook.");
    (log, metrics)
}

#[test]
fn a_webhook_is_queued_for_every_connector_with_its_trace() {
    let aws = aws();
    let function = Function::start(&aws, &[]);
    let (status, headers, body) = function.answer(valid());
    assert_eq!(status, 202, "{body}");
    assert_eq!(headers, json!({ "content-type": ["application/json"] }));
    assert_eq!(body["status"], "queued");
    let sent = aws.sent();
    let queues: Vec<_> = sent.iter().map(|message| &message["QueueUrl"]).collect();
    assert_eq!(queues, ["http://sqs/1/make.fifo", "http://sqs/1/rule.fifo"]);
    for message in &sent {
        assert_eq!(message["MessageDeduplicationId"], body["eventId"]);
        assert_eq!(message["MessageGroupId"], sent[0]["MessageGroupId"]);
        assert_eq!(
            message["MessageSystemAttributes"]["AWSTraceHeader"],
            json!({
                "DataType": "String",
                "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            })
        );
        let queued: Value = serde_json::from_str(message["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!(queued["userId"], "user_456");
        assert_eq!(queued["event"]["eventType"], "userVendor.1#new");
        assert_eq!(queued.get("email"), None);
    }
}

#[test]
fn a_request_is_one_log_line_and_one_line_of_metrics() {
    let aws = aws();
    let function = Function::start(&aws, &[]);
    let (_, _, body) = function.answer(valid());
    let (log, metrics) = told(&function);
    let expected = [
        ("level", json!("INFO")),
        ("outcome", json!("accepted")),
        ("status", json!(202)),
        ("vendor_id", json!("vendor_123")),
        ("user_id", json!("user_456")),
        ("event_id", body["eventId"].clone()),
        ("event_type", json!("userVendor.1#new")),
        ("request_id", json!("request-1")),
        (
            "trace_id",
            json!("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"),
        ),
    ];
    for (field, value) in expected {
        assert_eq!(log[field], value, "{field}");
    }
    assert!(log["duration_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(metrics["Outcome"], "accepted");
    assert_eq!(metrics["FunctionName"], "stack-webhook");
    assert_eq!(metrics["Webhooks"], 1.0);
    assert!(metrics["WebhookDuration"].as_f64().unwrap() > 0.0);
    let directive = &metrics["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "SesamyCrmSync");
    assert_eq!(
        directive["Dimensions"],
        json!([["FunctionName", "Outcome"]])
    );

    let body = |changes: &str| {
        format!(
            r#"{{"eventType":"contract.1#update","vendorId":"vendor_123","userId":"user_456","occured_at":"2025-11-10T12:00:00Z"{changes}}}"#
        )
    };
    let bearer = Some("Bearer s3cret-token-of-123");
    let cases = [
        (
            event(bearer, &body("").replace("contract.1#update", "bill.1#new")),
            ("WARN", "ignored", 202, "unknown event type"),
        ),
        (
            event(bearer, &body(r#","contractId":" ""#)),
            (
                "WARN",
                "invalid",
                400,
                "contractId must not contain blank, control or format characters",
            ),
        ),
        (
            event(bearer, "anna@example.se"),
            ("WARN", "invalid", 400, "body must be JSON in UTF-8"),
        ),
        (
            event(None, &body("")),
            ("WARN", "unauthenticated", 401, "no token is presented"),
        ),
        (
            event(Some("Bearer s3cret-token-of-1232"), &body("")),
            (
                "WARN",
                "unauthenticated",
                401,
                "the token is none of the vendor's",
            ),
        ),
        (
            event(bearer, &body("").replace("vendor_123", "vendor_9")),
            (
                "WARN",
                "unauthenticated",
                401,
                "the secret lists no such vendor",
            ),
        ),
        (
            event(bearer, &" ".repeat(65_537)),
            ("WARN", "too_large", 413, "the body has 65537 bytes"),
        ),
    ];
    for (event, (level, outcome, status, reason)) in cases {
        assert_eq!(function.answer(event).0, status);
        let (log, metrics) = told(&function);
        assert_eq!(log["level"], level);
        assert_eq!(log["outcome"], outcome);
        assert_eq!(log["status"], status);
        assert_eq!(log["reason"], reason);
        assert_eq!(metrics["Outcome"], outcome);
        assert_eq!(metrics.get("WebhookDuration"), None, "{outcome}");
    }
}

#[test]
fn a_queue_that_fails_once_is_tried_again() {
    let aws = aws();
    let function = Function::start(&aws, &[]);
    for status in [500, 503] {
        aws.mishaps(vec![Mishap::Status(status); 2]);
        let (answered, _, body) = function.answer(valid());
        assert_eq!(answered, 202, "{body}");
    }
    assert_eq!(aws.sent().len(), 4);
}

#[test]
fn a_queue_that_keeps_failing_is_answered_503_in_time() {
    let aws = aws();
    let function = Function::start(&aws, &[]);
    let long = Duration::from_secs(30);
    let cases = [
        ("errors", Mishap::Status(500)),
        ("no such queue", Mishap::Status(400)),
        ("silence", Mishap::Silence(long)),
    ];
    for (name, mishap) in cases {
        aws.mishaps(vec![mishap; 20]);
        let began = Instant::now();
        let (status, headers, body) = function.answer(valid());
        assert!(began.elapsed() < Duration::from_secs(5), "{name}");
        assert_eq!(status, 503, "{name}");
        assert_eq!(headers["retry-after"], json!(["30"]));
        assert_eq!(body["error"]["code"], "service_unavailable");
        let (log, metrics) = told(&function);
        assert_eq!(log["level"], "ERROR");
        assert_eq!(log["event_type"], "userVendor.1#new");
        let reason = log["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("not queued everywhere: make.fifo ("),
            "{reason}"
        );
        assert_eq!(metrics["Outcome"], "unavailable");
    }
    aws.mishaps(Vec::new());
    assert_eq!(function.answer(valid()).0, 202);
}

#[test]
fn without_aws_the_function_starts_all_the_same_and_answers_503() {
    // A port on which nobody listens.
    let gone = "http://127.0.0.1:9";
    let function = Function::start(&aws(), &[("AWS_ENDPOINT_URL", Some(gone))]);
    let warning = function.lines(1).remove(0);
    assert_eq!(warning["level"], "WARN");
    let began = Instant::now();
    assert_eq!(function.answer(valid()).0, 503);
    assert!(began.elapsed() < Duration::from_secs(5));
    let (log, _) = told(&function);
    let reason = log["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("secret test/webhook could not be read"),
        "{reason}"
    );
}

#[test]
fn without_its_secret_the_function_answers_503() {
    let function = Function::start(&Aws::default(), &[]);
    assert_eq!(function.answer(valid()).0, 503);
    let (log, _) = told(&function);
    assert_eq!(
        log["reason"],
        "secret test/webhook does not exist; create it as the README describes"
    );
}

#[test]
fn without_queues_the_function_does_not_start() {
    let mut function = Function::start(&aws(), &[("QUEUE_URLS", None)]);
    assert!(!function.ended().success());
    let line = function.lines(1).remove(0);
    assert_eq!(line["level"], "ERROR");
    assert!(line["error"].as_str().unwrap().starts_with("QUEUE_URLS"));
}

#[test]
fn an_event_that_is_no_request_fails_and_ends_nothing() {
    let function = Function::start(&aws(), &[]);
    let not_base64 = {
        let mut event = valid();
        event["isBase64Encoded"] = json!(true);
        event
    };
    for event in [json!({}), json!({ "action": "status" }), not_base64] {
        assert_eq!(function.invoke(event).0, "error");
    }
    assert_eq!(function.answer(valid()).0, 202);
    for line in function.lines(3) {
        let text = line.to_string();
        assert!(!text.contains(TOKEN) && !text.contains("anna"), "{text}");
    }
}

#[test]
fn at_the_most_talkative_level_no_token_and_no_body_is_logged() {
    let function = Function::start(&aws(), &[("LOG_LEVEL", Some("trace"))]);
    assert_eq!(function.answer(valid()).0, 202);
    told(&function);
}
