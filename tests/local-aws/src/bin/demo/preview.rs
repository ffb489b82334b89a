//! What a connector says it would write, before anything is written.

use local_aws::{Connector, Error, Result, Stack, samples};
use serde_json::{Value, json};

use crate::events::Reader;

/// Asks a connector's deployed function for a preview of a reader, as lines to read.
pub async fn preview(
    stack: &Stack<'_>,
    connector: Connector,
    reader: &Reader,
) -> Result<Vec<String>> {
    let request = json!({
        "action": "preview",
        "vendorId": samples::VENDOR,
        "userId": reader.user_id,
    });
    let answer = stack.invoke(connector.function(), &request).await?;
    if answer["outcome"] != "would_sync" {
        return Err(Error::new(format!("no preview: {answer}")));
    }
    let mut lines = Vec::new();
    for contact in list(&answer["contacts"]) {
        let tags = &contact["tags"];
        for (sign, tags) in [("+", &tags["add"]), ("-", &tags["remove"])] {
            for tag in list(tags) {
                let because: Vec<_> = list(&tag["because"]).map(text).collect();
                lines.push(format!(
                    "{sign} {}: {}",
                    text(&tag["tag"]),
                    because.join("; ")
                ));
            }
        }
        lines.push(format!("= {} tags stay", tags["kept"]));
        for field in list(&contact["fields"]) {
            let value = match field.get("set") {
                Some(value) => value.to_string(),
                None if field["clear"] == true => "no value".to_owned(),
                None => "(about a person, not shown)".to_owned(),
            };
            lines.push(format!("{} becomes {value}", text(&field["name"])));
        }
    }
    for write in list(&answer["writes"]) {
        lines.push(format!(
            "by {} {}",
            text(&write["method"]),
            text(&write["endpoint"])
        ));
    }
    Ok(lines)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
