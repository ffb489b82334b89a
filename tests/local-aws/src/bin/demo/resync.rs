//! A resync of all of the publisher's readers, as a person asks for it.

use local_aws::{Error, Function, Result, Stack, eventually, samples};
use serde_json::{Value, json};

use crate::{LIMIT, progress::Progress};

/// Resyncs all readers and shows how far it is.
pub async fn all(stack: &Stack<'_>, progress: &Progress) -> Result<()> {
    let step = progress.step("Ask the operator function to resync all readers");
    let ask = async |wish: &str| {
        let event = json!({"action": "resync", "vendorId": samples::VENDOR, "do": wish});
        stack.invoke(Function::Operator, &event).await
    };
    let started = ask("start").await?;
    if text(&started, "did") != "started" {
        return Err(Error::new(format!("no resync was started: {started}")));
    }
    let run = eventually("the resync to end", LIMIT, async || {
        let answer = ask("show").await?;
        let run = answer.get("run").cloned().unwrap_or_default();
        step.note(&format!("{} readers queued", text(&run, "visited")));
        Ok((text(&run, "state") == "finished").then_some(run))
    });
    let run = run.await?;
    step.done(&format!(
        "{} readers for {}, at most {} a minute",
        text(&run, "visited"),
        text(&run, "connectors"),
        text(&run, "usersPerMinute"),
    ));
    Ok(())
}

/// What is at a key, for a person.
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
