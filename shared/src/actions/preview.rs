//! Shows what a sync of a user would write, without writing it.
//!
//! The same sync runs with an HTTP client that records writes instead of
//! sending them, so a preview shows exactly what a sync would do.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::connector::{Connector, ContactChanges, EventStream, FieldChange, NewValue, Outcome};
use crate::derivation::{PERMANENT_TAG, Tag, Tags};
use crate::http::DryRunCall;
use crate::message::UserKey;
use crate::remembered::UserRecord;
use crate::request::ErrorAnswer;
use crate::sync::{SyncDetails, SyncRequest, Syncer, bounded};

/// Holds no personal data when serialised; the recorded calls stay in memory.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    action: &'static str,
    connector: &'static str,
    #[serde(flatten)]
    user: UserKey,
    /// `would_sync`, `unchanged`, `skipped`, `not_configured` or `error`.
    pub outcome: &'static str,
    /// Why the outcome is `skipped` or `not_configured`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
    /// Left out if the table does not answer.
    #[serde(flatten)]
    remembered: Option<Remembered>,
    pub contacts: Vec<ContactPlan>,
    /// In order.
    writes: Vec<Write>,
    /// The same calls with their content.
    #[serde(skip)]
    pub dry_run_calls: Vec<DryRunCall>,
}

/// What is remembered of the user, apart from the contact.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Remembered {
    /// When the last sync that an event caused, or that changed something, read the
    /// user's state. Null for a user that was never synced.
    last_sync: Option<Timestamp>,
    next_wake_up: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub struct ContactPlan {
    /// For a CRM that has a contact per list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    pub new: bool,
    /// The contact of the user's earlier address moves to the new one.
    #[serde(skip_serializing_if = "is_false")]
    pub moved: bool,
    /// The contact of the earlier address, which keeps nothing of ours.
    #[serde(skip_serializing_if = "is_false")]
    pub earlier: bool,
    pub tags: TagPlan,
    pub fields: Vec<FieldPlan>,
}

#[derive(Debug, Serialize)]
pub struct TagPlan {
    pub add: Vec<TagReason>,
    pub remove: Vec<TagReason>,
    /// Ours that the contact has already.
    pub stay: Vec<TagReason>,
    /// Includes the publisher's own tags.
    pub kept: usize,
}

#[derive(Debug, Serialize)]
pub struct TagReason {
    pub tag: String,
    because: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct FieldPlan {
    /// The CRM's name of the field.
    pub name: String,
    #[serde(flatten)]
    pub change: PlannedValue,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PlannedValue {
    Set(Value),
    /// A personal value, which is not shown. Always true.
    Personal(bool),
    /// Always true.
    Clear(bool),
}

#[derive(Debug, Serialize)]
struct Write {
    method: String,
    endpoint: &'static str,
}

pub(super) async fn run<C: Connector>(
    syncer: Arc<Syncer<C>>,
    user: UserKey,
    end: Instant,
) -> Preview {
    let task = tokio::spawn({
        let (syncer, user) = (syncer.clone(), user.clone());
        async move {
            let http = syncer.http.read_only();
            let no_events = EventStream::new(Vec::new());
            let request = SyncRequest {
                user,
                announced_at: Timestamp::MIN,
                received_at: None,
                wake_ups: Vec::new(),
            };
            let remembered = syncer.memory.recall(&request.user).await;
            let remembered = remembered
                .ok()
                .map(|record| Remembered::of(record, syncer.now()));
            let (outcome, details) = syncer.sync(&http, &request, &no_events).await;
            (outcome, details, http.dry_run_calls(), remembered)
        }
    });
    let (outcome, details, calls, remembered) = match bounded(task, end).await {
        Ok(result) => result,
        Err(outcome) => (outcome, SyncDetails::default(), Vec::new(), None),
    };
    let desired = details.desired.map(|desired| desired.tags);
    let desired = desired.unwrap_or_default();
    let mut preview = Preview {
        action: "preview",
        connector: C::NAME,
        user,
        outcome: outcome.name(),
        reason: None,
        error: None,
        remembered,
        contacts: Vec::new(),
        writes: Vec::new(),
        dry_run_calls: Vec::new(),
    };
    match outcome {
        Outcome::Synced(changes) => {
            preview.outcome = "would_sync";
            preview.contacts = plans(changes.contacts, &desired);
            preview.writes = calls.iter().map(Write::new).collect();
            preview.dry_run_calls = calls;
        }
        Outcome::Unchanged => preview.contacts = plans(details.contacts, &desired),
        Outcome::NotConfigured => {
            let path = Syncer::<C>::connector_path(&preview.user.vendor_id);
            let secret = syncer.secrets.name(&path);
            preview.reason = Some(format!("there is no secret {secret}"));
        }
        Outcome::Skipped(_) => {
            preview.reason = outcome.reason().map(str::to_owned);
        }
        failed => {
            preview.outcome = "error";
            preview.error = Some(failed.into_error());
        }
    }
    preview
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

impl Remembered {
    fn of(record: Option<UserRecord>, now: Timestamp) -> Self {
        let record = record.unwrap_or_default();
        Self {
            last_sync: record.read_at,
            // One that has fired is remembered until its sync is done.
            next_wake_up: record.wake_up_at.filter(|at| *at > now),
        }
    }
}

fn plans(contacts: Vec<ContactChanges>, desired: &Tags) -> Vec<ContactPlan> {
    let contacts = contacts.into_iter();
    contacts.map(|c| ContactPlan::new(c, desired)).collect()
}

impl ContactPlan {
    fn new(changes: ContactChanges, desired: &Tags) -> Self {
        let fields = changes.fields.into_iter();
        let is_added = |tag: &str| changes.tags.added.iter().any(|added| added == tag);
        let staying = desired.keys().map(Tag::as_str).filter(|tag| !is_added(tag));
        let staying = staying.filter(|_| !changes.is_earlier);
        let staying = staying.map(str::to_owned).collect();
        Self {
            list: changes.list,
            new: changes.is_new,
            moved: changes.is_moved,
            earlier: changes.is_earlier,
            tags: TagPlan {
                stay: reasons(staying, |tag| why_added(tag, desired)),
                add: reasons(changes.tags.added, |tag| why_added(tag, desired)),
                remove: reasons(changes.tags.removed, |tag| {
                    vec![if changes.is_earlier {
                        "the user has another address, or is gone".to_owned()
                    } else {
                        why_removed(tag, desired)
                    }]
                }),
                kept: changes.tags.kept,
            },
            fields: fields.map(FieldPlan::new).collect(),
        }
    }
}

fn reasons(tags: Vec<String>, why: impl Fn(&str) -> Vec<String>) -> Vec<TagReason> {
    let reason = |tag: String| TagReason {
        because: why(&tag),
        tag,
    };
    tags.into_iter().map(reason).collect()
}

fn why_added(tag: &str, desired: &Tags) -> Vec<String> {
    let derived = desired.iter().find(|(known, _)| known.as_str() == tag);
    match derived {
        Some((_, reasons)) => reasons.iter().map(ToString::to_string).collect(),
        None if tag == PERMANENT_TAG => vec!["it is permanent and was misspelled".to_owned()],
        None => vec!["every contact that comes from Sesamy has it".to_owned()],
    }
}

fn why_removed(tag: &str, desired: &Tags) -> String {
    let lower = tag.to_lowercase();
    let is_misspelt = lower == PERMANENT_TAG || desired.keys().any(|known| known.as_str() == lower);
    if is_misspelt {
        format!("it should be spelled {lower}")
    } else {
        "no longer applies".to_owned()
    }
}

impl FieldPlan {
    fn new(change: FieldChange) -> Self {
        Self {
            name: change.name,
            change: match change.to {
                NewValue::Shown(value) => PlannedValue::Set(value),
                NewValue::Personal => PlannedValue::Personal(true),
                NewValue::Cleared => PlannedValue::Clear(true),
            },
        }
    }
}

impl Write {
    fn new(call: &DryRunCall) -> Self {
        Self {
            method: call.method.to_string(),
            endpoint: call.endpoint,
        }
    }
}
