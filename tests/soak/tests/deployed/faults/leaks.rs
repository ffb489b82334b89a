//! No log or answer of a function contains personal data or credentials.
//!
//! The table exercises the connectors. This module also exercises the webhook, the operator
//! function and the widgets, and then searches all logs and answers.

use std::time::Duration;

use harness::{Connector, Error, FifoMessage, Function, Result, Stack, eventually, secrets};
use serde_json::{Value, json};
use soak::leaks::{self, MARKER, PHONE};

use super::{
    case::{Case, SecretState},
    table::Expected,
};

/// How long the functions may take to handle the messages sent here.
const TIMEOUT: Duration = Duration::from_secs(90);

pub struct Answer {
    request: String,
    answer: String,
}

/// The leaks in these answers and in all logs.
pub async fn find_all(stack: &Stack<'_>, answers: Vec<Answer>) -> Result<Vec<String>> {
    let mut failures = Vec::new();
    for Answer { request, answer } in answers {
        if let Some(leak) = leaks::find(&answer) {
            failures.push(format!("the answer to {request} leaks: {leak}"));
        }
    }
    for function in Function::ALL {
        let lines = stack.logs(function).await?;
        // Without logs the search would prove nothing.
        if lines.len() < 5 {
            failures.push(format!("{function} logged {} lines", lines.len()));
        }
        let leaks = lines.iter().filter_map(|line| leaks::find(line));
        failures.extend(leaks.map(|leak| format!("{function} logged: {leak}")));
    }
    Ok(failures)
}

/// The number of messages in flight per connector; `None` while any message waits.
async fn in_flight(stack: &Stack<'_>) -> Result<Option<Vec<u64>>> {
    let mut in_flight = Vec::new();
    for connector in Connector::ALL {
        let depth = stack.queue_depth(connector).await?;
        if depth.total() > depth.in_flight {
            return Ok(None);
        }
        in_flight.push(depth.in_flight);
    }
    Ok(Some(in_flight))
}

/// Messages that no function can read.
const UNREADABLE: usize = 2;

pub async fn send_unreadable_messages(stack: &Stack<'_>) -> Result<()> {
    let bodies: [String; UNREADABLE] = [
        format!("{MARKER}@user.example {PHONE}"),
        json!({"userId": MARKER}).to_string(),
    ];
    let unreadable = bodies.map(|body| FifoMessage {
        group: format!("poison-{}", body.len()),
        body,
    });
    for connector in Connector::ALL {
        stack.enqueue(connector, &unreadable).await?;
    }
    Ok(())
}

/// The answers of the operator function and the widgets to valid and invalid requests,
/// once there are dead-letter messages. A redrive keeps them for a minute.
pub async fn operator_and_widget_answers(stack: &Stack<'_>) -> Result<Vec<Answer>> {
    eventually("the unreadable messages to be moved", TIMEOUT, async || {
        for connector in Connector::ALL {
            let depth = stack.dead_letter_depth(connector).await?;
            if depth.total() < UNREADABLE as u64 {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await?;
    let widget = |name: &str| json!({"widgetContext": {"params": {"widget": name}}});
    let redrive =
        json!({"do": "redrive", "connector": "rule", "vendorId": "unknown", "errorKind": "bug"});
    let unknown = json!({"action": MARKER, "do": MARKER, MARKER: PHONE});
    let requests = [
        (Function::Operator, json!({"action": "status"})),
        (
            Function::Operator,
            json!({"action": "redrive", "connector": "rule", "vendorId": "unknown"}),
        ),
        (Function::Operator, unknown.clone()),
        (Function::Operator, json!(MARKER)),
        (Function::Widgets, widget("dead-letters")),
        (Function::Widgets, widget("runs")),
        (Function::Widgets, unknown.clone()),
        (Function::WidgetActions, redrive),
        (Function::WidgetActions, unknown),
    ];
    let mut answers = Vec::new();
    for (function, action) in requests {
        let answer = stack.invoke(function, &action).await?;
        // An answer may quote the request.
        let request = action.to_string();
        if !request.contains(MARKER) {
            let answer = answer.to_string();
            answers.push(Answer { request, answer });
        }
    }
    Ok(answers)
}

/// The answers of the webhook to valid and invalid requests.
pub async fn webhook_answers(stack: &Stack<'_>) -> Result<Vec<Answer>> {
    let in_flight = wait_until_in_flight(stack).await?;
    let mut answers = Vec::new();
    let vendor = "silence";
    let token = format!("{MARKER}-token");
    let contents = [
        secrets::webhook([(vendor, vec![token.clone()])]),
        json!({"vendors": {vendor: {"tokens": MARKER}}}),
        json!(MARKER),
    ];
    for secret in &contents {
        stack.put_secret("webhook", secret).await?;
        // An unknown token makes the webhook read the secret again.
        for authorization in [
            Some(format!("Bearer {token}")),
            Some(MARKER.to_owned()),
            None,
        ] {
            for (name, body) in bodies(vendor) {
                let answer = stack.post(authorization.as_deref(), body).await?;
                answers.push(Answer {
                    request: format!("a webhook with {name}"),
                    answer: format!("{answer:?}"),
                });
            }
        }
    }
    wait_until_handled(stack, &in_flight).await?;
    Ok(answers)
}

/// The answers to actions about two users per connector: a synced one, and one whose
/// publisher has a malformed secret.
pub async fn action_answers(stack: &Stack<'_>, cases: &[&Case]) -> Result<Vec<Answer>> {
    let in_flight = wait_until_in_flight(stack).await?;
    let mut answers = Vec::new();
    for connector in Connector::ALL {
        for secrets in [SecretState::Valid, SecretState::ConnectorMalformed] {
            let case = cases.iter().find(|case| {
                let is_synced = matches!(case.expected, Expected::Retried | Expected::Refused);
                case.connector == connector && case.secrets == secrets && is_synced
            });
            let case = case.ok_or_else(|| Error::new(format!("no case for {connector}")))?;
            let action = |action: &str| json!({"action": action, "vendorId": case.id, "userId": case.user_id()});
            let mut forget = action("forget");
            if let Some(forget) = forget.as_object_mut() {
                forget.insert("email".to_owned(), case.email().into());
            }
            let check = json!({"action": "check", "vendorId": case.id});
            let requests = [
                (connector.function(), check),
                (connector.function(), action("preview")),
                (Function::Widgets, lookup(case)),
                (connector.function(), forget),
                (Function::Operator, action("resync")),
                (
                    connector.function(),
                    json!({"action": MARKER, MARKER: PHONE}),
                ),
            ];
            for (function, event) in requests {
                // With a malformed secret, the resync's message would wait behind the refused
                // one.
                if function == Function::Operator && secrets != SecretState::Valid {
                    continue;
                }
                let answer = stack.invoke(function, &event).await?;
                // An answer may quote an unknown action.
                if event.get("vendorId").is_some() || function == Function::Widgets {
                    let action = event.get("action").and_then(Value::as_str);
                    answers.push(Answer {
                        request: format!("{} of {}", action.unwrap_or_default(), case.id),
                        answer: answer.to_string(),
                    });
                }
            }
        }
    }
    wait_until_handled(stack, &in_flight).await?;
    Ok(answers)
}

/// As the console asks why a user has a tag.
fn lookup(case: &Case) -> Value {
    let form = json!({"vendorId": case.id, "userId": case.user_id()});
    let context = json!({"params": {"widget": "user"}, "forms": {"all": form}});
    json!({"lookUp": true, "widgetContext": context})
}

/// Waits until only as many messages are in flight as before and no message waits.
async fn wait_until_handled(stack: &Stack<'_>, before: &[u64]) -> Result<()> {
    eventually("the messages to be handled", TIMEOUT, async || {
        let now = in_flight(stack).await?;
        Ok((now.as_deref() == Some(before)).then_some(()))
    })
    .await
}

/// Waits until every message is in flight. A refused message is briefly visible between
/// its retries.
async fn wait_until_in_flight(stack: &Stack<'_>) -> Result<Vec<u64>> {
    eventually("all messages to be in flight", TIMEOUT, async || {
        in_flight(stack).await
    })
    .await
}

/// Webhook bodies, valid and invalid, each with a marker in it.
fn bodies(vendor: &str) -> Vec<(&'static str, String)> {
    let valid = json!({
        "eventType": "userVendor.1#update",
        "vendorId": vendor,
        "userId": "email|silence",
        "occured_at": "2026-01-15T09:30:00Z",
        "email": format!("{MARKER}@user.example"),
        "user": {"firstName": MARKER, "phone": PHONE},
    });
    let with = |key: &str, value: Value| {
        let mut body = valid.clone();
        if let Some(body) = body.as_object_mut() {
            body.insert(key.to_owned(), value);
        }
        body.to_string()
    };
    vec![
        ("unknown fields", valid.to_string()),
        ("a broken body", format!("{{\"{MARKER}\": \"{MARKER}")),
        ("a string for a body", json!(MARKER).to_string()),
        ("a wrong type", with("userId", json!({MARKER: PHONE}))),
        ("no timestamp", with("occured_at", json!(MARKER))),
        (
            "a wrong id",
            with("contractId", json!(format!("{MARKER} {PHONE}"))),
        ),
        ("a long id", with("contractId", json!(MARKER.repeat(60)))),
        ("a large body", with("note", json!(MARKER.repeat(20_000)))),
    ]
}
