//! Dead-letter messages, by connector, reason and vendor.

use std::cmp::Reverse;

use askama::Template;
use jiff::Timestamp;
use shared::identity::VendorId;

use super::{Page, messages};
use crate::answers::{ConnectorStatus, DeadLetters, Group, Sample, Status};
use crate::event::{Action, MAX_REDRIVEN, Word};
use crate::functions::NoAnswer;

/// A page that a person can still read. Decided.
const MAX_GROUPS: usize = 50;

#[derive(Template)]
#[template(path = "dead_letters.html")]
pub struct DeadLettersPage<'a> {
    page: Page<'a>,
    /// What is missing.
    problems: Vec<String>,
    notes: Vec<String>,
    rows: Vec<Row>,
}

struct Row {
    connector: String,
    group: Group,
    /// Whether the group was counted in full.
    is_complete: bool,
    /// What has no vendor is no message of this system, and would only come back.
    redrive: Option<Action>,
}

impl<'a> DeadLettersPage<'a> {
    pub fn new(page: Page<'a>, status: Result<Status, NoAnswer>) -> Self {
        let mut shown = Self {
            page,
            problems: Vec::new(),
            notes: Vec::new(),
            rows: Vec::new(),
        };
        match status {
            Ok(status) => {
                for (connector, status) in status.connectors {
                    shown.add(connector, status);
                }
            }
            Err(no_answer) => shown
                .problems
                .push(format!("Nothing is known, OperatorFunction: {no_answer}.")),
        }
        shown.rows.sort_by_key(|row| Reverse(row.group.count));
        let more = shown.rows.len().saturating_sub(MAX_GROUPS);
        if more > 0 {
            shown.rows.truncate(MAX_GROUPS);
            shown
                .notes
                .push(format!("{more} smaller groups are not shown."));
        }
        shown
    }

    fn add(&mut self, connector: String, status: ConnectorStatus) {
        let DeadLetters {
            total,
            in_flight,
            looked_at,
            complete,
            groups,
        } = match status {
            ConnectorStatus::Known { dead_letters } => dead_letters,
            ConnectorStatus::Unknown { error } => {
                let problem = format!("Nothing is known of {connector}: {}.", error.message);
                return self.problems.push(problem);
            }
        };
        if in_flight > 0 {
            let received = messages(in_flight);
            self.notes.push(format!(
                "{connector}: someone received {received} within the last minute, such as a redrive; these may be missing here."
            ));
        }
        if !complete {
            let all = messages(total);
            self.notes
                .push(format!("{connector}: {looked_at} of {all} were looked at."));
        }
        self.rows.extend(groups.into_iter().map(|group| Row {
            redrive: redrive(&connector, &group),
            connector: connector.clone(),
            group,
            is_complete: complete,
        }));
    }
}

fn redrive(connector: &str, group: &Group) -> Option<Action> {
    Some(Action::Redrive {
        connector: Word::try_from(connector.to_owned()).ok()?,
        vendor_id: VendorId::try_from(group.vendor_id.clone()?).ok()?,
        error_kind: Word::try_from(group.error_kind.clone()).ok()?,
    })
}

impl Sample {
    /// When it failed, or where only SQS knows, when it was sent.
    fn time(&self) -> Option<&Timestamp> {
        self.died_at.as_ref().or(self.sent_at.as_ref())
    }
}

impl Row {
    /// In short; docs/operate.md says more.
    fn meaning(&self) -> &'static str {
        match self.group.error_kind.as_str() {
            "rejected_by_api" => "an API refused the content",
            "malformed_answer" => "an API's answer could not be understood",
            "bug" => "the function itself failed",
            "unreadable_message" => "not a message of this system",
            "exhausted" => "received a thousand times",
            _ => "",
        }
    }

    fn confirmation(&self) -> String {
        let vendor = self.group.vendor_id.as_deref().unwrap_or_default();
        let most = u64::from(MAX_REDRIVEN);
        let moved = if self.is_complete && self.group.count <= most {
            messages(self.group.count)
        } else {
            format!("up to {}", messages(most))
        };
        format!(
            "Move {moved} of {vendor} ({}) back to the queue of {}? What still has its cause comes back here.",
            self.group.error_kind, self.connector,
        )
    }
}
