//! What a redrive did, for the person who asked for it.

use serde::Serialize;
use tracing::{info, warn};

use super::{Stop, Tally};
use crate::letters::{Depth, MOST_AT_ONCE};
use crate::request::Redrive;
use shared::request::ErrorAnswer;

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    action: &'static str,
    connector: String,
    /// What was asked for, so that the answer can be read by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_kind: Option<String>,
    /// Letters whose message is in the connector's queue again.
    pub moved: u64,
    /// Letters looked at that were not meant; they stay.
    pub skipped: usize,
    /// Letters that were meant and stay.
    pub matching_left: Left,
    /// Letters that could not be moved, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failures>,
    /// All dead letters that are left, as SQS counts them: approximately.
    pub dead_letters_left: Option<u64>,
    /// Why the run ended.
    pub stopped: &'static str,
    /// Whether to ask for the same again.
    pub run_again: bool,
    /// What that means.
    pub advice: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorAnswer>,
}

/// How many letters that were meant stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Left {
    /// So many are known of.
    pub count: u64,
    /// Whether there are no others.
    pub exact: bool,
}

/// Letters that could not be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// The queue did not take their message.
    pub not_sent: u64,
    /// The queue took their message, but the letter is still there.
    pub sent_but_not_deleted: u64,
    /// Why.
    pub reasons: Vec<String>,
}

impl Report {
    pub(super) fn new<Q>(
        request: &Redrive<'_, Q>,
        stop: Stop,
        tally: Tally,
        left: Option<Depth>,
    ) -> Self {
        let filter = &request.filter;
        let failures = tally.not_sent + tally.not_deleted;
        let out_of_sight = tally.in_flight_before > 0 || tally.hidden_groups > 0;
        Self {
            action: "redrive",
            connector: request.connector.name.clone(),
            vendor_id: filter.vendor_id.as_ref().map(ToString::to_string),
            error_kind: filter.error_kind.as_ref().map(|k| k.as_str().to_owned()),
            moved: tally.moved,
            skipped: tally.skipped,
            matching_left: Left {
                count: tally.left + tally.not_sent,
                exact: stop == Stop::Finished && failures == 0 && !out_of_sight,
            },
            dead_letters_left: left.map(Depth::total),
            stopped: stop.name(),
            run_again: match stop {
                Stop::Finished => failures > 0 || tally.in_flight_before > 0,
                // What stands first comes first again: a run that only looked
                // gets no further the next time.
                Stop::Time => tally.moved > 0,
                Stop::Limit | Stop::Held => false,
                Stop::Unavailable(_) => true,
            },
            advice: advice(&stop, &tally),
            failed: (failures > 0).then_some(Failures {
                not_sent: tally.not_sent,
                sent_but_not_deleted: tally.not_deleted,
                reasons: tally.reasons,
            }),
            error: match stop {
                Stop::Unavailable(unavailable) => Some(unavailable.into()),
                _ => None,
            },
        }
    }

    /// Writes the run's log line.
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
                    "Moved dead letters back to their queue."
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

impl Stop {
    fn name(&self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Limit => "limit",
            Self::Time => "time",
            Self::Held => "too_many_skipped",
            Self::Unavailable(_) => "error",
        }
    }
}

fn advice(stop: &Stop, tally: &Tally) -> String {
    let mut advice = vec![match stop {
        Stop::Finished => "All letters within reach were looked at.".to_owned(),
        Stop::Limit => {
            "The limit is reached; there may be more letters. Run it again for the next ones."
                .to_owned()
        }
        Stop::Time if tally.moved > 0 => {
            "The time of the invocation is over. Run the same again.".to_owned()
        }
        Stop::Time => {
            "The time of the invocation is over, and all of it went into letters that are not meant. Running the same again gets no further: redrive those first, or delete them."
                .to_owned()
        }
        Stop::Held => {
            "So many letters that are not meant stand before the others that no more can be looked at. Redrive those first, or delete them."
                .to_owned()
        }
        Stop::Unavailable(_) => {
            "SQS did not do what was asked; nothing is lost. Mend the cause, then run the same again."
                .to_owned()
        }
    }];
    if tally.in_flight_before > 0 {
        advice.push(format!(
            "{} letters were in somebody's hands when this run began: another run, or one that died. They show again within a minute; run the same again then.",
            tally.in_flight_before
        ));
    }
    if tally.hidden_groups > 0 {
        advice.push(format!(
            "Of {} readers the first {MOST_AT_ONCE} letters are not meant, and SQS shows none behind them. There may be letters that are: redrive with a wider filter.",
            tally.hidden_groups
        ));
    }
    if tally.not_sent > 0 {
        advice.push(
            "Letters whose message was not taken stay, and so do the later ones of the same reader."
                .to_owned(),
        );
    }
    if tally.not_deleted > 0 {
        advice.push(
            "Messages of letters that could not be deleted were sent. Run the same again within five minutes and they are not sent twice."
                .to_owned(),
        );
    }
    advice.join(" ")
}
