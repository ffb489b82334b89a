//! Records of the queue in the form that Lambda delivers, received just now.

use std::collections::HashMap;

use aws_lambda_events::sqs::SqsMessage;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::remembered::WakeUp;

use crate::VENDOR;

pub fn record(id: &str, user: &str, event_id: &str) -> SqsMessage {
    event(id, user, event_id, "contract.1#update")
}

pub fn event(id: &str, user: &str, event_id: &str, event_type: &str) -> SqsMessage {
    let event = json!({ "eventType": event_type, "occurredAt": "2026-01-01T00:00:00Z" });
    event_of(id, user, event_id, &event)
}

pub fn event_of(id: &str, user: &str, event_id: &str, event: &Value) -> SqsMessage {
    let body = json!({
        "version": "1",
        "eventId": event_id,
        "vendorId": VENDOR,
        "userId": user,
        "receivedAt": Timestamp::now(),
        "event": event,
    });
    raw(id, &body.to_string())
}

/// A message without an event.
pub fn resync(id: &str, user: &str) -> SqsMessage {
    let body = json!({
        "version": "1",
        "eventId": id,
        "vendorId": VENDOR,
        "userId": user,
        "receivedAt": Timestamp::now(),
    });
    raw(id, &body.to_string())
}

/// A record of any body, received for the first time, in a group named after its id.
pub fn raw(id: &str, body: &str) -> SqsMessage {
    let mut message = SqsMessage::default();
    message.message_id = Some(id.into());
    message.receipt_handle = Some(format!("receipt-{id}"));
    message.body = Some(body.into());
    let group = format!("group-{id}");
    message.attributes = HashMap::from([("MessageGroupId".into(), group)]);
    message
}

/// The record of another time of receipt.
pub fn received_at(mut record: SqsMessage, at: Timestamp) -> SqsMessage {
    let mut body: Value = serde_json::from_str(&record.body.unwrap()).unwrap();
    body["receivedAt"] = json!(at);
    record.body = Some(body.to_string());
    record
}

/// The message of a wake-up that fires.
pub fn wake_up(id: &str, wake_up: &WakeUp) -> SqsMessage {
    raw(id, &wake_up.message().to_json())
}
