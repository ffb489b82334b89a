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
    if started["did"] != "started" {
        return Err(Error::new(format!("no resync was started: {started}")));
    }
    let run = eventually("the resync to end", LIMIT, async || {
        let run = ask("show").await?["run"].take();
        step.note(&format!("{} readers queued", run["visited"]));
        Ok((run["state"] == "finished").then_some(run))
    });
    let Value::Object(run) = run.await? else {
        return Err(Error::new("the operator tells of no run"));
    };
    let told = |key: &str| run.get(key).cloned().unwrap_or_default();
    step.done(&format!(
        "{} readers for {}, at most {} a minute",
        told("visited"),
        told("connectors"),
        told("usersPerMinute"),
    ));
    Ok(())
}
