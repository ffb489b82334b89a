use serde::Serialize;
use shared::request::ErrorAnswer;
use shared::sqs::{Depth, MAX_BATCH};
use tracing::{info, warn};

use super::{RedriveCounts, StopReason};
use crate::command::RedriveCommand;

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
    /// Messages looked at that do not match.
    pub skipped: usize,
    pub matching_left: MatchingLeft,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<RedriveFailures>,
    /// As SQS counts: approximately.
    pub dead_letters_left: Option<u64>,
    pub stopped: &'static str,
    pub run_again: bool,
    pub advice: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

/// Matching messages that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MatchingLeft {
    /// Those that were seen.
    pub count: u64,
    /// Whether there are no others.
    pub exact: bool,
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
        let some_unseen = counts.in_flight_before > 0 || counts.hidden_groups > 0;
        Self {
            action: "redrive",
            connector: command.connector.to_string(),
            vendor_id: command.vendor_id.as_ref().map(ToString::to_string),
            error_kind: command.error_kind.as_ref().map(|k| k.as_str().to_owned()),
            moved: counts.moved,
            skipped: counts.skipped,
            matching_left: MatchingLeft {
                count: counts.left + counts.not_sent,
                exact: stop == StopReason::Finished && failures == 0 && !some_unseen,
            },
            dead_letters_left: left.map(Depth::total),
            stopped: stop.name(),
            run_again: match stop {
                StopReason::Finished => failures > 0 || counts.in_flight_before > 0,
                // A run that only skipped messages skips the same ones next time.
                StopReason::Time => counts.moved > 0,
                StopReason::Limit | StopReason::TooManySkipped => false,
                StopReason::Unavailable(_) => true,
            },
            advice: advice(&stop, &counts),
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

impl StopReason {
    fn name(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Limit => "limit",
            Self::Time => "time",
            Self::TooManySkipped => "too_many_skipped",
            Self::Unavailable(_) => "error",
        }
    }
}

fn advice(stop: &StopReason, counts: &RedriveCounts) -> String {
    let stopped = match stop {
        StopReason::Finished => "All messages within reach were looked at.",
        StopReason::Limit => {
            "The limit is reached; there may be more messages. Run it again for the next ones."
        }
        StopReason::Time if counts.moved > 0 => {
            "The time of the invocation is over. Run the same again."
        }
        StopReason::Time => {
            "The time of the invocation is over, and all of it went into messages that do not match. Running the same again gets no further: redrive those first, or delete them."
        }
        StopReason::TooManySkipped => {
            "So many messages that do not match stand before the others that no more can be looked at. Redrive those first, or delete them."
        }
        StopReason::Unavailable(_) => {
            "SQS did not do what was asked; nothing is lost. Fix the cause, then run the same again."
        }
    };
    let mut advice = vec![stopped.to_owned()];
    if counts.in_flight_before > 0 {
        advice.push(format!(
            "{} messages were in flight when this run began: in another run, or in one that crashed. They are visible again within a minute; run the same again then.",
            counts.in_flight_before
        ));
    }
    if counts.hidden_groups > 0 {
        advice.push(format!(
            "Of {} users the first {MAX_BATCH} messages do not match, and SQS shows none behind them. There may be some that match: redrive with a wider filter.",
            counts.hidden_groups
        ));
    }
    if counts.not_sent > 0 {
        advice.push(
            "Messages that could not be sent stay, and so do the later ones of the same user."
                .to_owned(),
        );
    }
    if counts.not_deleted > 0 {
        advice.push(
            "Some messages were sent but could not be deleted. Run the same again within five minutes, and they are not sent twice."
                .to_owned(),
        );
    }
    advice.join(" ")
}
