//! What is logged of a sync: one line, ids and counts, never personal data.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::batch::{ReaderBatch, Record};
use super::changes::Changes;
use super::connector::Connector;
use super::outcome::{DeadLetter, Outcome};
use super::sync::Findings;
use super::tally::Times;

/// The variable in which Lambda puts the trace of an invocation.
const TRACE_VARIABLE: &str = "_X_AMZN_TRACE_ID";

/// The trace a sync belongs to: the one of its first webhook that has one, so
/// that a search for it finds a change from webhook to CRM; else the invocation's.
pub(super) fn trace(batch: &ReaderBatch) -> Option<String> {
    let sent = batch.entries.iter().find_map(|(r, _)| r.trace.clone());
    sent.or_else(|| std::env::var(TRACE_VARIABLE).ok())
}

/// Logs a sync that ended now, and gives its times.
pub(super) fn sync<C: Connector>(
    batch: &ReaderBatch,
    outcome: &Outcome,
    findings: &Findings,
    took: Duration,
    now: Timestamp,
) -> Times {
    let event_ids: Vec<_> = batch
        .entries
        .iter()
        .map(|(_, message)| message.event_id.as_str())
        .collect();
    let nothing = Changes::default();
    let changes = match outcome {
        Outcome::Synced(changes) => changes,
        _ => &nothing,
    };
    let received = batch.entries.iter().map(|(_, message)| message.received_at);
    let events = batch.entries.iter().filter_map(|(_, m)| m.event.as_ref());
    let occurred = events.map(|event| event.occurred_at);
    let times = Times {
        took,
        since_receipt: received.min().map(|at| since(at, now)),
        since_event: occurred.min().map(|at| since(at, now)),
    };
    info!(
        connector = C::NAME,
        vendor_id = batch.reader.vendor_id.as_str(),
        user_id = batch.reader.user_id.as_str(),
        event_ids = event_ids.join(","),
        trace_id = trace(batch),
        outcome = outcome.name(),
        reason = outcome.reason(),
        tags_added = changes.tags_added(),
        tags_removed = changes.tags_removed(),
        writes = changes.writes,
        refused_writes = findings.refused_writes,
        dropped_values = findings.dropped.values().total(),
        dropped_at = %findings.dropped.values(),
        unknown_values = findings.dropped.unknown().total(),
        unknown_at = %findings.dropped.unknown(),
        took_ms = millis(took),
        since_receipt_ms = times.since_receipt.map(millis),
        since_event_ms = times.since_event.map(millis),
        receives = batch.entries.iter().map(|(r, _)| r.receive_count).max(),
        "A sync ended."
    );
    times
}

/// Logs that a reader's sync begins of which the function may have died before:
/// should it die again, this is the last line.
pub(super) fn suspect<C: Connector>(batch: &ReaderBatch) {
    info!(
        connector = C::NAME,
        vendor_id = batch.reader.vendor_id.as_str(),
        user_id = batch.reader.user_id.as_str(),
        receives = batch.entries.iter().map(|(r, _)| r.receive_count).max(),
        "A message that was received often is handled alone."
    );
}

/// Logs a record whose body is no message.
pub(super) fn unreadable<C: Connector>(record: &Record, dead_letter: &DeadLetter) {
    warn!(
        connector = C::NAME,
        message_id = record.message_id,
        outcome = "dead_letter",
        reason = dead_letter.message,
        "A message could not be read."
    );
}

fn since(earlier: Timestamp, now: Timestamp) -> Duration {
    // A clock that runs ahead of ours makes it nothing, not negative.
    Duration::try_from(now.duration_since(earlier)).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
