use serde::Serialize;
use shared::request::ErrorAnswer;
use shared::sqs::Depth;
use tracing::{info, warn};

use super::{RedriveCounts, StopReason};
use crate::command::RedriveCommand;

/// The counts are of what the run saw: there may be more.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveReport {
    action: &'static str,
    connector: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_kind: Option<String>,
    /// Messages that are in the connector's queue again.
    pub moved: u64,
    /// Messages that do not match.
    pub skipped: u64,
    /// Matching messages behind one of their user that stays.
    pub held_back: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<RedriveFailures>,
    /// As SQS counts: approximately.
    pub dead_letters_left: Option<u64>,
    pub stopped: &'static str,
    /// Whether the same command would move more.
    pub run_again: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RedriveFailures {
    pub not_sent: u64,
    pub sent_but_not_deleted: u64,
    pub reasons: Vec<String>,
}

impl RedriveReport {
    pub(super) fn new(
        command: &RedriveCommand,
        stop: StopReason,
        counts: RedriveCounts,
        left: Option<Depth>,
    ) -> Self {
        let failures = counts.not_sent + counts.not_deleted;
        Self {
            action: "redrive",
            connector: command.connector.to_string(),
            vendor_id: command.vendor_id.as_ref().map(ToString::to_string),
            error_kind: command.error_kind.as_ref().map(|k| k.as_str().to_owned()),
            moved: counts.moved,
            skipped: counts.skipped,
            held_back: counts.held_back,
            dead_letters_left: left.map(Depth::total),
            stopped: match stop {
                StopReason::Finished => "finished",
                StopReason::Limit => "limit",
                StopReason::Time => "time",
                StopReason::Unavailable(_) => "error",
            },
            run_again: match stop {
                StopReason::Finished => failures > 0 || counts.in_flight_before > 0,
                // A run that only skipped messages skips the same ones next time.
                StopReason::Time => counts.moved > 0,
                StopReason::Limit | StopReason::Unavailable(_) => true,
            },
            failed: (failures > 0).then_some(RedriveFailures {
                not_sent: counts.not_sent,
                sent_but_not_deleted: counts.not_deleted,
                reasons: counts.reasons,
            }),
            error: match stop {
                StopReason::Unavailable(unavailable) => Some(unavailable.into()),
                _ => None,
            },
        }
    }

    pub(super) fn log(&self) {
        macro_rules! line {
            ($level:ident) => {
                $level!(
                    action = self.action,
                    connector = self.connector,
                    vendor_id = self.vendor_id,
                    error_kind = self.error_kind,
                    moved = self.moved,
                    skipped = self.skipped,
                    not_sent = self.failed.as_ref().map(|failed| failed.not_sent),
                    not_deleted = self
                        .failed
                        .as_ref()
                        .map(|failed| failed.sent_but_not_deleted),
                    stopped = self.stopped,
                    reason = self.error.as_ref().map(|error| error.message.as_str()),
                    "Moved dead-letter messages back to their queue."
                )
            };
        }
        if self.failed.is_some() || self.error.is_some() {
            line!(warn);
        } else {
            line!(info);
        }
    }
}
