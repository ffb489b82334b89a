//! The executions of the resync's state machine: a run is one, or several in a row.

use std::collections::BTreeSet;

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus, HistoryEvent};
use serde_json::{Value, json};
use shared::digest::digest;
use shared::identity::VendorId;

use super::run::Run;
use crate::unavailable::Unavailable;

/// The maximum of ListExecutions. Source: AWS's API reference.
const EXECUTIONS_PER_PAGE: i32 = 1_000;

/// More than the retries of one step and of the hand-over.
const LAST_EVENTS: i32 = 400;

pub struct Executions {
    pub client: Client,
    pub state_machine_arn: String,
}

#[derive(Debug, Clone)]
pub struct Execution {
    arn: String,
    name: String,
    pub status: ExecutionStatus,
}

/// The name of a vendor's n-th execution. Names are unique for 90 days, so two who start
/// a run at the same time choose the same name, and AWS refuses the second.
pub fn name(vendor: &VendorId, execution: u32) -> String {
    format!("{}-{execution}", vendor_part(vendor))
}

/// The vendor's id as far as a name can hold it, made unique by a digest.
fn vendor_part(vendor: &VendorId) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let readable: String = vendor.as_str().chars().take(40).map(allowed).collect();
    let unique: String = digest(&[vendor.as_str()]).chars().take(16).collect();
    format!("{readable}-{unique}")
}

/// Whose execution has this name, and which of the vendor's it is.
fn parts(name: &str) -> Option<(&str, u32)> {
    let (vendor, number) = name.rsplit_once('-')?;
    Some((vendor, number.parse().ok()?))
}

impl From<ExecutionListItem> for Execution {
    fn from(item: ExecutionListItem) -> Self {
        Self {
            arn: item.execution_arn,
            name: item.name,
            status: item.status,
        }
    }
}

impl Execution {
    pub fn is_running(&self) -> bool {
        matches!(
            self.status,
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive
        )
    }

    pub fn number(&self) -> u32 {
        parts(&self.name).map_or(0, |(_, number)| number)
    }

    /// Where AWS's console shows its graph and history.
    pub fn console_url(&self) -> String {
        let arn = &self.arn;
        let region = arn.split(':').nth(3).unwrap_or_default();
        format!(
            "https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{arn}"
        )
    }
}

impl Executions {
    /// Starts the execution that the run names; `None` if there is one of its name.
    pub async fn start(&self, run: &Run) -> Result<Option<Execution>, Unavailable> {
        let name = name(&run.vendor_id, run.execution);
        let start = self.client.start_execution().name(&name);
        let start = start.state_machine_arn(&self.state_machine_arn);
        let input = json!({ "run": run }).to_string();
        match start.input(input).send().await {
            Ok(started) => Ok(Some(Execution {
                arn: started.execution_arn,
                name,
                status: ExecutionStatus::Running,
            })),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_execution_already_exists() => Ok(None),
                _ => Err(Unavailable::service("starting a resync")(error)),
            },
        }
    }

    /// The latest of each vendor, newest first, of those on the first page of AWS's list.
    pub async fn latest_of_all(&self) -> Result<Vec<Execution>, Unavailable> {
        let list = self.client.list_executions();
        let list = list.state_machine_arn(&self.state_machine_arn);
        let page = list.max_results(EXECUTIONS_PER_PAGE).send().await;
        let page = page.map_err(Unavailable::service("listing the resyncs"))?;
        let mut vendors = BTreeSet::new();
        let mut latest = page.executions;
        latest.retain(|item| {
            parts(&item.name).is_some_and(|(vendor, _)| vendors.insert(vendor.to_owned()))
        });
        Ok(latest.into_iter().map(Execution::from).collect())
    }

    /// The vendor's latest. The list may lag by some seconds.
    pub async fn latest(&self, vendor: &VendorId) -> Result<Option<Execution>, Unavailable> {
        let vendor_part = vendor_part(vendor);
        let list = self.client.list_executions();
        let list = list.state_machine_arn(&self.state_machine_arn);
        let pages = list.max_results(EXECUTIONS_PER_PAGE).into_paginator();
        let mut newest_first = pages.items().send();
        while let Some(item) = newest_first.next().await {
            let item = item.map_err(Unavailable::service("listing the resyncs"))?;
            if parts(&item.name).is_some_and(|(vendor, _)| vendor == vendor_part) {
                return Ok(Some(item.into()));
            }
        }
        Ok(None)
    }

    /// The run of an execution, and why it failed.
    pub async fn progress(
        &self,
        execution: &Execution,
    ) -> Result<(Run, Option<String>), Unavailable> {
        const WHAT: &str = "reading a resync";
        let history = self.client.get_execution_history();
        let history = history.execution_arn(&execution.arn).reverse_order(true);
        let history = history.max_results(LAST_EVENTS).send().await;
        let history = history.map_err(Unavailable::service(WHAT))?;
        let failures = history.events.iter();
        let mut failures = failures.filter_map(HistoryEvent::execution_failed_event_details);
        let cause = failures.find_map(|failure| Some(failure.cause()?.to_owned()));
        let run = history.events.iter().find_map(run_in);
        let run = run.ok_or_else(|| Unavailable::other(WHAT, "its history has no run"))?;
        Ok((run, cause))
    }

    pub async fn stop(&self, execution: &Execution) -> Result<(), Unavailable> {
        let stop = self.client.stop_execution().execution_arn(&execution.arn);
        let stop = stop.error("Stopped").cause("by the operator's command");
        let stopped = stop.send().await;
        stopped
            .map(drop)
            .map_err(Unavailable::service("stopping a resync"))
    }
}

/// The run in the data that a state was left or entered with.
fn run_in(event: &HistoryEvent) -> Option<Run> {
    let left = event.state_exited_event_details();
    let entered = event.state_entered_event_details();
    let started = event.execution_started_event_details();
    let data = left.map(|left| left.output());
    let data = data.or_else(|| entered.map(|entered| entered.input()));
    let data = data.or_else(|| started.map(|started| started.input()));
    let mut data: Value = serde_json::from_str(data??).ok()?;
    serde_json::from_value(data.get_mut("run")?.take()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_what_aws_allows_and_tells_vendors_apart() {
        let long = "v".repeat(256);
        let vendors = ["nordposten", "a|b", "a-b", "a-b-1", &long];
        let mut parts = Vec::new();
        for vendor in vendors {
            let name = name(&VendorId::try_from(vendor).unwrap(), u32::MAX);
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
            assert!(name.len() <= 80 && name.chars().all(allowed), "{name}");
            let (vendor, number) = super::parts(&name).unwrap();
            assert_eq!(number, u32::MAX);
            parts.push(vendor.to_owned());
        }
        parts.sort();
        parts.dedup();
        assert_eq!(parts.len(), vendors.len());
    }
}
