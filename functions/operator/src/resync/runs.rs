//! The latest run of each vendor.

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use shared::request::ErrorAnswer;
use tracing::warn;

use super::executions::Execution;
use crate::handler::Operator;

/// How many runs are shown: those that go on, then the newest. Each costs a call, and AWS
/// allows few of these a second.
const MAX_RUNS: usize = 20;

/// How many are read at once.
const AT_ONCE: usize = 5;

impl Operator {
    pub(crate) async fn runs(&self) -> Result<Value, ErrorAnswer> {
        let mut latest = self.executions.latest_of_all().await?;
        // Stable, so that the newest of the others come first.
        latest.sort_by_key(|execution| !execution.is_running());
        let all = latest.len();
        latest.truncate(MAX_RUNS);
        let shown = latest.len();
        let runs = stream::iter(latest).map(|execution| self.run_shown(execution));
        let runs: Vec<_> = runs.buffered(AT_ONCE).collect().await;
        Ok(json!({ "action": "runs", "runs": runs, "more": all - shown }))
    }

    async fn run_shown(&self, execution: Execution) -> Value {
        match self.executions.progress(&execution).await {
            Ok((run, cause)) => {
                let mut report = self.report(&run, &execution, cause);
                if let Some(report) = report.as_object_mut() {
                    report.insert("vendorId".to_owned(), json!(run.vendor_id));
                }
                report
            }
            Err(error) => {
                warn!(%error, "A resync cannot be read.");
                json!({ "execution": execution.console_url(), "error": ErrorAnswer::from(error) })
            }
        }
    }
}
