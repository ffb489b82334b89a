//! What a sync of a reader would write, without writing it.
//!
//! The very same sync runs, with a client that withholds writes. So what a
//! preview announces is by construction what a sync then does.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::changes::{ContactChanges, FieldChange, NewValue};
use super::connector::{Connector, EventStream};
use super::handler::{Consumer, bounded};
use super::outcome::Outcome;
use super::queue::Queue;
use super::sync::Findings;
use crate::derivation::{PERMANENT_TAG, Tags};
use crate::http::Withheld;
use crate::message::Reader;
use crate::request::ErrorAnswer;

/// What a sync of one reader would write now. Holds no personal data when it
/// is serialised; the withheld writes stay in memory.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    action: &'static str,
    connector: &'static str,
    #[serde(flatten)]
    reader: Reader,
    /// `would_sync`, `unchanged`, `skipped`, `not_configured` or `error`.
    pub outcome: &'static str,
    /// Why the reader would be skipped, or the vendor has no such connector.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
    /// What would change about the reader's contact, or about each.
    pub contacts: Vec<Contact>,
    /// The calls that would write, in order.
    writes: Vec<Write>,
    /// The same calls, whole.
    #[serde(skip)]
    pub withheld: Vec<Withheld>,
}

/// What would change about one contact.
#[derive(Debug, Serialize)]
pub struct Contact {
    /// The list, where the vendor may have several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Whether the contact would be created.
    pub new: bool,
    /// The tags.
    pub tags: TagPlan,
    /// The fields that would change.
    pub fields: Vec<FieldPlan>,
}

/// What would change about a contact's tags.
#[derive(Debug, Serialize)]
pub struct TagPlan {
    /// Tags to add.
    pub add: Vec<TagReason>,
    /// Tags to remove.
    pub remove: Vec<TagReason>,
    /// How many stay as they are, the publisher's own included.
    pub kept: usize,
}

/// A tag and why it comes or goes.
#[derive(Debug, Serialize)]
pub struct TagReason {
    /// The tag.
    pub tag: String,
    because: Vec<String>,
}

/// A field and what would become of it.
#[derive(Debug, Serialize)]
pub struct FieldPlan {
    /// The field as the CRM calls it.
    pub name: &'static str,
    /// What would become of it.
    #[serde(flatten)]
    pub change: FieldTo,
}

/// What would become of a field.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FieldTo {
    /// It gets this value.
    Set(Value),
    /// It gets a value about a person, which is not shown. Always true.
    Personal(bool),
    /// It loses its value. Always true.
    Clear(bool),
}

/// A call that would write.
#[derive(Debug, Serialize)]
struct Write {
    method: String,
    endpoint: &'static str,
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    /// Tells what a sync of the reader would write, until `end`.
    pub async fn preview(self: Arc<Self>, reader: Reader, end: Instant) -> Preview {
        let task = tokio::spawn({
            let (consumer, reader) = (self.clone(), reader.clone());
            async move {
                let http = consumer.http.read_only();
                // A preview is of a sync without events, which none has caused.
                let events = EventStream::new(Vec::new());
                let mut findings = Findings::default();
                let outcome = consumer
                    .sync(&http, &reader, Timestamp::MIN, &events, &mut findings)
                    .await;
                (outcome, findings, http.withheld())
            }
        });
        let (outcome, findings, withheld) = match bounded(task, end).await {
            Ok(told) => told,
            Err(outcome) => (outcome, Findings::default(), Vec::new()),
        };
        let mut preview = Preview {
            action: "preview",
            connector: C::NAME,
            reader,
            outcome: outcome.name(),
            reason: None,
            error: None,
            contacts: Vec::new(),
            writes: Vec::new(),
            withheld: Vec::new(),
        };
        match outcome {
            Outcome::Synced(changes) => {
                let wanted = findings.subscriber.map(|s| s.tags).unwrap_or_default();
                let contacts = changes.contacts.into_iter();
                preview.outcome = "would_sync";
                preview.contacts = contacts.map(|c| Contact::of(c, &wanted)).collect();
                preview.writes = withheld.iter().map(Write::of).collect();
                preview.withheld = withheld;
            }
            Outcome::NotConfigured => {
                let path = format!("{}/{}", preview.reader.vendor_id, C::NAME);
                let secret = self.secrets.name(&path);
                preview.reason = Some(format!("there is no secret {secret}"));
            }
            Outcome::Unchanged | Outcome::Skipped(_) => {
                preview.reason = outcome.reason().map(str::to_owned);
            }
            failed => {
                preview.outcome = "error";
                preview.error = Some(failed.into_error());
            }
        }
        preview
    }
}

impl Contact {
    fn of(changes: ContactChanges, wanted: &Tags) -> Self {
        let fields = changes.fields.into_iter();
        Self {
            list: changes.list,
            new: changes.is_new,
            tags: TagPlan {
                add: reasons(changes.tags.added, |tag| why_added(tag, wanted)),
                remove: reasons(changes.tags.removed, |tag| vec![why_removed(tag, wanted)]),
                kept: changes.tags.kept,
            },
            fields: fields.map(FieldPlan::of).collect(),
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

fn why_added(tag: &str, wanted: &Tags) -> Vec<String> {
    let derived = wanted.iter().find(|(known, _)| known.as_str() == tag);
    match derived {
        Some((_, reasons)) => reasons.iter().map(ToString::to_string).collect(),
        None if tag == PERMANENT_TAG => vec!["it is permanent, and was spelt otherwise".to_owned()],
        None => vec!["every contact that comes from Sesamy has it".to_owned()],
    }
}

fn why_removed(tag: &str, wanted: &Tags) -> String {
    let lower = tag.to_lowercase();
    let misspelt = lower == PERMANENT_TAG || wanted.keys().any(|known| known.as_str() == lower);
    if misspelt {
        format!("it is spelt otherwise: {lower}")
    } else {
        "no longer applies".to_owned()
    }
}

impl FieldPlan {
    fn of(change: FieldChange) -> Self {
        Self {
            name: change.name,
            change: match change.to {
                NewValue::Shown(value) => FieldTo::Set(value),
                NewValue::Personal => FieldTo::Personal(true),
                NewValue::Cleared => FieldTo::Clear(true),
            },
        }
    }
}

impl Write {
    fn of(withheld: &Withheld) -> Self {
        Self {
            method: withheld.method.to_string(),
            endpoint: withheld.endpoint,
        }
    }
}
