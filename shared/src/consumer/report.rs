//! Log lines of syncs: ids and counts, never personal data.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{info, warn};

use super::batch::{Record, UserBatch};
use super::metrics::Times;
use crate::connector::{Changes, Connector, DeadLetterReason, Outcome};
use crate::sync::SyncDetails;

/// Set by Lambda.
const TRACE_VARIABLE: &str = "_X_AMZN_TRACE_ID";

/// The trace of the first webhook that has one, so that a search for it finds
/// the whole path from webhook to CRM. Otherwise the invocation's trace.
pub(super) fn trace(batch: &UserBatch) -> Option<String> {
    let sent = batch.entries.iter().find_map(|(r, _)| r.trace.clone());
    sent.or_else(|| std::env::var(TRACE_VARIABLE).ok())
}

pub(super) fn sync<C: Connector>(
    batch: &UserBatch,
    outcome: &Outcome,
    details: &SyncDetails,
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
        vendor_id = batch.user.vendor_id.as_str(),
        user_id = batch.user.user_id.as_str(),
        event_ids = event_ids.join(","),
        trace_id = trace(batch),
        outcome = outcome.name(),
        reason = outcome.reason(),
        tags_added = changes.tags_added(),
        tags_removed = changes.tags_removed(),
        writes = changes.writes,
        refused_writes = details.refused_writes,
        dropped_values = details.dropped.values().total(),
        dropped_at = %details.dropped.values(),
        unknown_values = details.dropped.unknown().total(),
        unknown_at = %details.dropped.unknown(),
        took_ms = millis(took),
        since_receipt_ms = times.since_receipt.map(millis),
        since_event_ms = times.since_event.map(millis),
        receives = batch.entries.iter().map(|(r, _)| r.receive_count).max(),
        "A sync ended."
    );
    times
}

/// Logged before the sync: if the sync kills the function, this is the last line.
pub(super) fn suspect<C: Connector>(batch: &UserBatch) {
    info!(
        connector = C::NAME,
        vendor_id = batch.user.vendor_id.as_str(),
        user_id = batch.user.user_id.as_str(),
        receives = batch.entries.iter().map(|(r, _)| r.receive_count).max(),
        "A message that was received often is handled alone."
    );
}

pub(super) fn unreadable<C: Connector>(record: &Record, reason: &DeadLetterReason) {
    warn!(
        connector = C::NAME,
        message_id = record.message_id,
        outcome = "dead_letter",
        reason = reason.message,
        "A message could not be read."
    );
}

fn since(earlier: Timestamp, now: Timestamp) -> Duration {
    // Zero, not negative, if the other clock is ahead.
    Duration::try_from(now.duration_since(earlier)).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
