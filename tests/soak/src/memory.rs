//! What the user table remembers of a user of the soak.

use harness::{Connector, Result, Stack};
use jiff::Timestamp;
use serde_json::Value;
use shared::digest::digest;
use shared::message::UserKey;

/// Whether every connector has completed a sync of the user at the address, or left its
/// contact to another user. Where the contact stays at an earlier address, a completed
/// sync at that one is enough.
pub async fn is_settled(
    stack: &Stack<'_>,
    user: &UserKey,
    address: &str,
    stays_at: impl Fn(Connector) -> bool,
) -> Result<bool> {
    let address = digest(&["address", user.vendor_id.as_str(), address]);
    for connector in Connector::ALL {
        let record = record(stack, user, connector).await?;
        let synced = record.get("address").and_then(Value::as_str);
        let is_moving = record.get("movingTo").is_some();
        if synced == Some(&*address) || synced.is_some() && !is_moving && stays_at(connector) {
            continue;
        }
        let key = format!("{}#address#{address}", connector.name());
        let owner = read(stack, &key).await?;
        let owner = owner.get("owner").and_then(Value::as_str);
        if owner.is_none_or(|owner| owner == user.message_group()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The earliest wake-up of any connector.
pub async fn next_wake_up(stack: &Stack<'_>, user: &UserKey) -> Result<Option<Timestamp>> {
    let mut next = None;
    for connector in Connector::ALL {
        let record = record(stack, user, connector).await?;
        let at = record.get("wakeUpAt").and_then(Value::as_str);
        let at = at.and_then(|at| at.parse().ok());
        next = next.into_iter().chain(at).min();
    }
    Ok(next)
}

async fn record(stack: &Stack<'_>, user: &UserKey, connector: Connector) -> Result<Value> {
    let key = format!("{}#user#{}", connector.name(), user.message_group());
    read(stack, &key).await
}

/// Null if there is no item.
async fn read(stack: &Stack<'_>, key: &str) -> Result<Value> {
    let text = stack.remembered(key).await?;
    let item = text.and_then(|text| serde_json::from_str(&text).ok());
    Ok(item.unwrap_or_default())
}
