//! Resyncs all of the publisher's users.

use harness::{Error, Function, Result, Stack, eventually, samples};
use serde_json::{Value, json};

use crate::{TIMEOUT, progress::Progress};

pub async fn all(stack: &Stack<'_>, progress: &Progress) -> Result<()> {
    let step = progress.step("Ask the operator function to resync all users");
    let ask = async |command: &str| {
        let event = json!({"action": "resync", "vendorId": samples::VENDOR, "do": command});
        stack.invoke(Function::Operator, &event).await
    };
    let started = ask("start").await?;
    if text(&started, "did") != "started" {
        return Err(Error::new(format!("the resync did not start: {started}")));
    }
    let run = eventually("the resync to end", TIMEOUT, async || {
        let answer = ask("show").await?;
        let run = answer.get("run").cloned().unwrap_or_default();
        step.note(&format!("{} users queued", text(&run, "visited")));
        Ok((text(&run, "state") == "finished").then_some(run))
    });
    let run = run.await?;
    step.done(&format!(
        "{} users for {}, at most {} a minute (here Sesamy allows 600 requests a minute instead of 100)",
        text(&run, "visited"),
        text(&run, "connectors"),
        text(&run, "usersPerMinute"),
    ));
    Ok(())
}

/// The value at a key, as text to print.
fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => {
            let names: Vec<_> = list.iter().filter_map(Value::as_str).collect();
            names.join(", ")
        }
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
