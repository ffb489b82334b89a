//! The answers of the other functions, as far as they are shown. They hold no personal
//! data.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

/// Why a part of an answer is missing.
#[derive(Debug, Deserialize)]
pub struct Reason {
    pub message: String,
}

/// `{"action": "status"}` of the operator's function.
#[derive(Debug, Deserialize)]
pub struct Status {
    pub connectors: BTreeMap<String, ConnectorStatus>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum ConnectorStatus {
    Known { dead_letters: DeadLetters },
    Unknown { error: Reason },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    pub total: u64,
    pub in_flight: u64,
    pub looked_at: u64,
    pub complete: bool,
    pub groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub error_kind: String,
    /// `None` for what is not a message of this system.
    pub vendor_id: Option<String>,
    pub count: u64,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    pub user_id: Option<String>,
    pub status: Option<String>,
    pub message: Option<String>,
    pub died_at: Option<Timestamp>,
    pub sent_at: Option<Timestamp>,
}

/// `{"action": "runs"}` of the operator's function.
#[derive(Debug, Deserialize)]
pub struct Runs {
    pub runs: Vec<RunAnswer>,
    /// How many are left out.
    pub more: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum RunAnswer {
    Known(Run),
    Unknown { execution: String, error: Reason },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    Running,
    Stopped,
    Finished,
    Failed,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    pub vendor_id: String,
    pub state: RunState,
    pub connectors: Vec<String>,
    pub visited: u64,
    pub of: Option<u64>,
    pub users_per_minute: f64,
    pub started_at: Timestamp,
    pub waiting: Option<String>,
    pub reason: Option<String>,
    /// A page of AWS's console.
    pub execution: String,
}

/// `{"action": "preview"}` of a connector's function.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    pub outcome: PreviewOutcome,
    pub reason: Option<String>,
    pub error: Option<Reason>,
    /// Absent if the table does not answer.
    #[serde(flatten)]
    pub remembered: Option<Remembered>,
    pub contacts: Vec<Contact>,
}

/// With `deserialize_with` a key may be null, but not absent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remembered {
    #[serde(deserialize_with = "Option::deserialize")]
    pub last_sync: Option<Timestamp>,
    #[serde(deserialize_with = "Option::deserialize")]
    pub next_wake_up: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreviewOutcome {
    WouldSync,
    Unchanged,
    Skipped,
    NotConfigured,
    Error,
}

#[derive(Debug, Deserialize)]
pub struct Contact {
    pub list: Option<String>,
    pub new: bool,
    #[serde(default)]
    pub moved: bool,
    #[serde(default)]
    pub earlier: bool,
    pub tags: Tags,
    pub fields: Vec<Field>,
}

#[derive(Debug, Deserialize)]
pub struct Tags {
    pub add: Vec<Tag>,
    pub remove: Vec<Tag>,
    pub stay: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
pub struct Tag {
    pub tag: String,
    pub because: Vec<String>,
}

/// Its value is not read: what is not read is not shown.
#[derive(Debug, Deserialize)]
pub struct Field {
    pub name: String,
}

/// The operator's answer to a redrive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redriven {
    pub moved: u64,
    pub held_back: u64,
    pub failed: Option<RedriveFailures>,
    pub run_again: bool,
    pub error: Option<Reason>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveFailures {
    pub not_sent: u64,
    pub sent_but_not_deleted: u64,
    pub reasons: Vec<String>,
}

/// The operator's answer to stopping or resuming a run.
#[derive(Debug, Deserialize)]
pub struct Controlled {
    pub did: Did,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    Started,
    Stopped,
    Resumed,
    GoesOn,
    Nothing,
}

/// The operator's answer to a resync of one user.
#[derive(Debug, Deserialize)]
pub struct Queued {
    pub queued: Vec<String>,
}
