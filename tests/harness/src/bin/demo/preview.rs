//! Shows what a connector would write for a user.

use harness::{Connector, Error, Result, Stack, samples};
use serde_json::{Value, json};

use crate::events::DemoUser;

/// The preview as lines to print.
pub async fn preview(
    stack: &Stack<'_>,
    connector: Connector,
    user: &DemoUser,
) -> Result<Vec<String>> {
    let request = json!({
        "action": "preview",
        "vendorId": samples::VENDOR,
        "userId": user.user_id,
    });
    let answer = stack.invoke(connector.function(), &request).await?;
    if text(&answer, "outcome") != "would_sync" {
        return Err(Error::new(format!("no preview: {answer}")));
    }
    let mut lines = Vec::new();
    for contact in list(&answer, "/contacts") {
        for (sign, tags) in [("+", "/tags/add"), ("-", "/tags/remove")] {
            for tag in list(contact, tags) {
                let because = list(tag, "/because").filter_map(Value::as_str);
                let because: Vec<_> = because.collect();
                let line = format!("{sign} {}: {}", text(tag, "tag"), because.join("; "));
                lines.push(line);
            }
        }
        let kept = contact.pointer("/tags/kept").unwrap_or(&Value::Null);
        lines.push(format!("= {kept} tags stay"));
        for field in list(contact, "/fields") {
            let value = match (field.get("set"), field.get("clear")) {
                (Some(value), _) => value.to_string(),
                (None, Some(_)) => "no value".to_owned(),
                (None, None) => "(personal data, not shown)".to_owned(),
            };
            lines.push(format!("{} becomes {value}", text(field, "name")));
        }
    }
    for write in list(&answer, "/writes") {
        let (method, endpoint) = (text(write, "method"), text(write, "endpoint"));
        lines.push(format!("by {method} {endpoint}"));
    }
    Ok(lines)
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
