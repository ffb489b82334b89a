//! Handles a batch: users in parallel, each with its own outcome.
//!
//! Two kinds of users are synced alone, one after the other, after SQS knows
//! the result of all others: users whose messages were received so often that
//! they may have killed the function, and users whose data is too large to be
//! held beside that of others. If the function dies during such a sync, only the
//! messages of this user and of users not started yet return to the queue, when
//! their visibility timeout ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument, error, info_span};

use super::batch::{Batch, Record, UserBatch};
use super::metrics::SyncMetrics;
use super::queue::Queue;
use super::report;
use super::retry::RetryReason;
use super::settle::{Disposition, RESERVE, settle};
use super::slots::{Slots, Turn};
use crate::actions::{self, Answer, Scope};
use crate::connector::{Connector, DeadLetterKind, DeadLetterReason, EventStream, Outcome};
use crate::http::Http;
use crate::remembered::UserMemory;
use crate::secrets::Secrets;
use crate::sync::{Clock, SyncDetails, SyncRequest, Syncer, bounded};
use crate::telemetry::Metrics;

/// The share of batches that sync every suspect alone, even if a pause explains
/// why its messages were received so often.
const ALWAYS_ALONE_SHARE: f64 = 0.1;

/// After this time a batch starts no more users alone, so that other vendors'
/// users do not wait too long for the next batch.
const MAX_ALONE: Duration = Duration::from_secs(8);

/// A sync starts only if this much time is left, without the reserve: enough for
/// two ordinary calls.
const MIN_SYNC: Duration = Duration::from_secs(5);

/// A connector's function instance.
pub struct Consumer<C, Q> {
    syncer: Arc<Syncer<C>>,
    queue: Q,
    metrics: SyncMetrics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concurrency {
    /// The users run in parallel and share the memory.
    Shared,
    Alone,
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    pub fn new(
        connector: C,
        http: Arc<Http>,
        secrets: Secrets,
        memory: UserMemory,
        queue: Q,
    ) -> Self {
        Self::with_clock(connector, http, secrets, memory, queue, Timestamp::now)
    }

    /// For simulations. The clock determines the messages' ages; waits use
    /// tokio's clock.
    pub fn with_clock(
        connector: C,
        http: Arc<Http>,
        secrets: Secrets,
        memory: UserMemory,
        queue: Q,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        let clock: Clock = Box::new(clock);
        Self {
            syncer: Arc::new(Syncer::new(connector, http, secrets, memory, clock)),
            queue,
            metrics: SyncMetrics::default(),
        }
    }

    /// The metrics since the last call. Call this after every batch.
    pub fn metrics(&self) -> Vec<Metrics> {
        let mut metrics = self.metrics.take();
        metrics.extend(self.syncer.http.metrics());
        metrics.extend(self.syncer.memory.metrics());
        metrics
    }

    /// Answers a person's request within `time_left`.
    pub async fn answer(&self, request: Value, scope: Scope, time_left: Duration) -> Answer {
        let end = Instant::now() + time_left.saturating_sub(RESERVE);
        actions::answer(self.syncer.clone(), request, scope, end).await
    }

    /// Handles a batch within `time_left` and names the records that are not
    /// done. It never fails as a whole, because Lambda would retry every record.
    pub async fn handle(self: Arc<Self>, event: SqsEvent, time_left: Duration) -> SqsBatchResponse {
        let began = Instant::now();
        let end = began + time_left.saturating_sub(RESERVE);
        let now = self.syncer.now();
        let batch = Batch::sort(event.records, now);
        let mut dispositions: Vec<_> = batch
            .unreadable
            .into_iter()
            .map(|(record, error)| {
                let reason = DeadLetterReason {
                    kind: DeadLetterKind::UnreadableMessage,
                    status: None,
                    message: format!(
                        "{error}; look at the message in the dead-letter queue and delete it, or redrive it to a version that understands it"
                    ),
                };
                report::unreadable::<C>(&record, &reason);
                self.metrics
                    .count(Outcome::DeadLetter(reason.clone()).name());
                (record, Disposition::DeadLetter(reason))
            })
            .collect();

        // A recent pause explains why a message was received often. (An instance
        // that a message killed remembers no pause.) Some batches sync all
        // suspects alone anyway, so that no message keeps failing beside one that
        // kills the function.
        let always_alone = fastrand::f64() < ALWAYS_ALONE_SHARE;
        let (mut alone, shared): (Vec<_>, Vec<_>) = batch.users.into_iter().partition(|user| {
            let was_paused = || self.syncer.was_paused(&user.user.vendor_id);
            user.is_suspect() && (always_alone || !was_paused())
        });
        // Shuffle, so that no user always comes after one that kills the function.
        fastrand::shuffle(&mut alone);
        if shared.len() == 1 && alone.is_empty() {
            alone = shared;
        } else {
            let (settled, too_large) = self
                .clone()
                .sync_all(shared, Concurrency::Shared, end)
                .await;
            dispositions.extend(settled);
            alone.splice(0..0, too_large);
        }
        let mut response = SqsBatchResponse::default();
        for (n, user) in alone.into_iter().enumerate() {
            let is_late = n > 0 && began.elapsed() >= MAX_ALONE;
            let end = if is_late { Instant::now() } else { end };
            let vendor = &user.user.vendor_id;
            let is_paused = self.syncer.check_paused(&self.syncer.http, vendor).is_err();
            if !is_late && !is_paused {
                // All others must be settled first, in case this user kills the
                // function. Boxed, because the SDK's futures nest deeply.
                let done = Box::pin(self.settle(&mut response, &mut dispositions, now)).await;
                self.queue.delete(done).await;
                if user.is_suspect() {
                    report::suspect::<C>(&user);
                }
            }
            let (settled, _) = self
                .clone()
                .sync_all(vec![user], Concurrency::Alone, end)
                .await;
            dispositions.extend(settled);
        }
        self.settle(&mut response, &mut dispositions, now).await;
        response
    }

    /// Returns the receipts of the records that are done.
    async fn settle(
        &self,
        response: &mut SqsBatchResponse,
        dispositions: &mut Vec<(Record, Disposition)>,
        now: Timestamp,
    ) -> Vec<String> {
        let dispositions = std::mem::take(dispositions);
        let settled = settle::<C>(&self.queue, &self.metrics, dispositions, now).await;
        response.batch_item_failures.extend(settled.failures);
        settled.done
    }

    /// Syncs users in parallel. Also returns the users whose data does not fit
    /// beside the others'.
    async fn sync_all(
        self: Arc<Self>,
        users: Vec<UserBatch>,
        concurrency: Concurrency,
        end: Instant,
    ) -> (Vec<(Record, Disposition)>, Vec<UserBatch>) {
        let http = &self.syncer.http;
        http.share_memory(concurrency == Concurrency::Shared);
        // Records stay unsettled until their sync reports an outcome.
        let mut unsettled: HashMap<String, Record> = users
            .iter()
            .flat_map(|user| &user.entries)
            .map(|(record, _)| (record.message_id.clone(), record.clone()))
            .collect();
        let (mut dispositions, mut too_large) = (Vec::new(), Vec::new());
        let mut slots = Slots::new(users, C::MAX_SYNCS);
        let mut syncs = JoinSet::new();
        // By task id, because a task that panicked returns no vendor.
        let mut vendors = HashMap::new();
        loop {
            while let Some(turn) = slots.next() {
                let vendor = turn.batch.user.vendor_id.clone();
                let task = syncs.spawn(self.clone().sync_in_time(turn, concurrency, end));
                vendors.insert(task.id(), vendor);
            }
            let (task, (settled, too_large_user)) = match syncs.join_next_with_id().await {
                None => break,
                Some(Ok(finished)) => finished,
                Some(Err(lost)) => (lost.id(), (Vec::new(), None)),
            };
            if let Some(vendor) = vendors.remove(&task) {
                slots.release(&vendor);
            }
            for (record, disposition) in settled {
                unsettled.remove(&record.message_id);
                dispositions.push((record, disposition));
            }
            if let Some(user) = too_large_user {
                for (record, _) in &user.entries {
                    unsettled.remove(&record.message_id);
                }
                too_large.push(user);
            }
        }
        for record in unsettled.into_values() {
            error!(
                connector = C::NAME,
                message_id = record.message_id,
                "A sync was lost; its message comes back."
            );
            dispositions.push((record, Disposition::Retry(RetryReason::Transient)));
        }
        http.share_memory(false);
        (dispositions, too_large)
    }

    /// Syncs one user, with a time limit and panics caught. Also returns the
    /// user if its data does not fit beside the others'.
    async fn sync_in_time(
        self: Arc<Self>,
        turn: Turn,
        concurrency: Concurrency,
        end: Instant,
    ) -> (Vec<(Record, Disposition)>, Option<UserBatch>) {
        let Turn {
            batch,
            is_after_others,
        } = turn;
        let began = Instant::now();
        let events = Arc::new(EventStream::new(batch.events()));
        let without_details = |outcome| (outcome, SyncDetails::default());
        let (outcome, details) = if began + MIN_SYNC > end {
            without_details(Outcome::NoTime)
        } else {
            let (syncer, stream) = (self.syncer.clone(), events.clone());
            let request = SyncRequest {
                announced_at: batch.announced_at(),
                received_at: batch.received_at(),
                wake_ups: batch.wake_ups(),
                user: batch.user.clone(),
            };
            let sync = async move { syncer.sync(&syncer.http, &request, &stream).await };
            // Every log line of the sync and its calls carries the trace.
            let span = info_span!("sync", trace_id = report::trace(&batch));
            let task = tokio::spawn(sync.instrument(span));
            bounded(task, end).await.unwrap_or_else(without_details)
        };
        if !outcome.is_done() {
            self.syncer.remember_delivered(&batch.user, &events).await;
        }
        let done = |record| (record, Disposition::Done);
        if outcome == Outcome::NoRoom && concurrency == Concurrency::Shared {
            let (delivered, rest) = batch.split_after(&events);
            return (delivered.into_iter().map(done).collect(), Some(rest));
        }
        let now = self.syncer.now();
        let times = report::sync::<C>(&batch, &outcome, &details, began.elapsed(), now);
        self.metrics.record(&outcome, times);

        let disposition = match outcome {
            Outcome::Synced(_)
            | Outcome::Unchanged
            | Outcome::Covered
            | Outcome::Skipped(_)
            | Outcome::NotConfigured => {
                let mut settled: Vec<_> = batch.into_records().map(done).collect();
                if details.needs_another_sync
                    && let Some((_, last)) = settled.last_mut()
                {
                    *last = Disposition::Retry(RetryReason::Transient);
                }
                return (settled, None);
            }
            Outcome::Retry {
                wait: Some(wait), ..
            } => Disposition::Retry(RetryReason::AskedToWait(wait)),
            Outcome::Retry { wait: None, .. } | Outcome::NoRoom => {
                Disposition::Retry(RetryReason::Transient)
            }
            Outcome::NoTime if is_after_others => Disposition::Retry(RetryReason::AfterOthers),
            Outcome::NoTime => Disposition::Retry(RetryReason::NoTime),
            Outcome::Refused { .. } => Disposition::Retry(RetryReason::Refused),
            Outcome::DeadLetter(reason) => Disposition::DeadLetter(reason),
        };
        let (delivered, rest) = batch.split_after(&events);
        let rest = rest.into_records();
        let rest = rest.map(|record| (record, disposition.clone()));
        (delivered.into_iter().map(done).chain(rest).collect(), None)
    }
}
