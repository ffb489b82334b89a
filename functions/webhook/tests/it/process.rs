use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fake::{FakeAws, Function, SqsFailure};

const TOKEN: &str = "s3cret-token-of-123";
const SECRET: &str = r#"{"vendors":{"vendor_123":{"tokens":["s3cret-token-of-123"]}}}"#;

fn aws() -> FakeAws {
    let aws = FakeAws::default();
    aws.set_secret(SECRET);
    aws
}

/// An event of an API Gateway REST API.
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

/// Makes the event's time easy to find in the logs.
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

/// The two lines written for one request.
fn log_and_metrics(function: &Function) -> (Value, Value) {
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
fn webhook_is_queued_for_every_connector_with_its_trace() {
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
fn request_writes_one_log_line_and_one_line_of_metrics() {
    let function = Function::start(&aws(), &[]);
    let (_, _, body) = function.answer(valid());
    let (log, metrics) = log_and_metrics(&function);
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
}

#[test]
fn request_that_is_not_queued_writes_one_warning_and_one_count() {
    struct Case {
        event: Value,
        outcome: &'static str,
        status: u64,
        reason: &'static str,
    }
    let valid = r#"{"eventType":"contract.1#update","vendorId":"vendor_123","userId":"user_456","occured_at":"2025-11-10T12:00:00Z"}"#;
    let bearer = Some("Bearer s3cret-token-of-123");
    let cases = [
        Case {
            event: event(bearer, &valid.replace("contract.1#update", "bill.1#new")),
            outcome: "ignored",
            status: 202,
            reason: "unknown event type",
        },
        Case {
            event: event(bearer, &valid.replace('}', r#","contractId":" "}"#)),
            outcome: "invalid",
            status: 400,
            reason: "contractId must not contain blank, control or format characters",
        },
        Case {
            event: event(bearer, "anna@example.se"),
            outcome: "invalid",
            status: 400,
            reason: "body must be JSON in UTF-8",
        },
        Case {
            event: event(None, valid),
            outcome: "unauthenticated",
            status: 401,
            reason: "no token is presented",
        },
        Case {
            event: event(Some("Bearer s3cret-token-of-1232"), valid),
            outcome: "unauthenticated",
            status: 401,
            reason: "the token is none of the vendor's",
        },
        Case {
            event: event(bearer, &valid.replace("vendor_123", "vendor_9")),
            outcome: "unauthenticated",
            status: 401,
            reason: "the secret lists no such vendor",
        },
        Case {
            event: event(bearer, &" ".repeat(65_537)),
            outcome: "too_large",
            status: 413,
            reason: "the body has 65537 bytes",
        },
    ];
    let function = Function::start(&aws(), &[]);
    for case in cases {
        assert_eq!(function.answer(case.event).0, case.status);
        let (log, metrics) = log_and_metrics(&function);
        assert_eq!(log["level"], "WARN");
        assert_eq!(log["outcome"], case.outcome);
        assert_eq!(log["status"], case.status);
        assert_eq!(log["reason"], case.reason);
        assert_eq!(metrics["Outcome"], case.outcome);
        assert_eq!(metrics.get("WebhookDuration"), None, "{}", case.outcome);
    }
}

#[test]
fn failed_send_is_retried() {
    let aws = aws();
    let function = Function::start(&aws, &[]);
    for status in [500, 503] {
        aws.fail_next(vec![SqsFailure::Status(status); 2]);
        let (answered, _, body) = function.answer(valid());
        assert_eq!(answered, 202, "{body}");
    }
    assert_eq!(aws.sent().len(), 4);
}

#[test]
fn persistent_failure_of_a_queue_is_answered_503_in_time() {
    let aws = aws();
    let function = Function::start(&aws, &[]);
    let cases = [
        ("errors", SqsFailure::Status(500)),
        ("no such queue", SqsFailure::Status(400)),
        ("silence", SqsFailure::NoAnswer(Duration::from_secs(30))),
    ];
    for (name, failure) in cases {
        aws.fail_next(vec![failure; 20]);
        let began = Instant::now();
        let (status, headers, body) = function.answer(valid());
        assert!(began.elapsed() < Duration::from_secs(5), "{name}");
        assert_eq!(status, 503, "{name}");
        assert_eq!(headers["retry-after"], json!(["30"]));
        assert_eq!(body["error"]["code"], "service_unavailable");
        let (log, metrics) = log_and_metrics(&function);
        assert_eq!(log["level"], "ERROR");
        assert_eq!(log["event_type"], "userVendor.1#new");
        let reason = log["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("not queued everywhere: make.fifo ("),
            "{reason}"
        );
        assert_eq!(metrics["Outcome"], "unavailable");
    }
    aws.fail_next(Vec::new());
    assert_eq!(function.answer(valid()).0, 202);
}

#[test]
fn function_starts_without_aws_and_answers_503() {
    // Nothing listens on this port.
    let unreachable = "http://127.0.0.1:9";
    let function = Function::start(&aws(), &[("AWS_ENDPOINT_URL", Some(unreachable))]);
    let warning = function.lines(1).remove(0);
    assert_eq!(warning["level"], "WARN");
    let began = Instant::now();
    assert_eq!(function.answer(valid()).0, 503);
    assert!(began.elapsed() < Duration::from_secs(5));
    let (log, _) = log_and_metrics(&function);
    let reason = log["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("secret test/webhook could not be read"),
        "{reason}"
    );
}

#[test]
fn function_answers_503_without_its_secret() {
    let function = Function::start(&FakeAws::default(), &[]);
    assert_eq!(function.answer(valid()).0, 503);
    let (log, _) = log_and_metrics(&function);
    assert_eq!(
        log["reason"],
        "secret test/webhook does not exist; create it as the README describes"
    );
}

#[test]
fn function_does_not_start_without_queues() {
    let mut function = Function::start(&aws(), &[("QUEUE_URLS", None)]);
    assert!(!function.wait().success());
    let line = function.lines(1).remove(0);
    assert_eq!(line["level"], "ERROR");
    assert!(line["error"].as_str().unwrap().starts_with("QUEUE_URLS"));
}

#[test]
fn function_survives_an_invalid_invocation() {
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
fn log_level_trace_shows_no_token_and_no_body() {
    let function = Function::start(&aws(), &[("LOG_LEVEL", Some("trace"))]);
    assert_eq!(function.answer(valid()).0, 202);
    log_and_metrics(&function);
}
