//! A whole batch: readers in parallel, each with an outcome of its own.
//!
//! Two kinds of readers are synced alone, one by one, once all others of the
//! batch are settled with the queue itself: those whose messages were received
//! so often that the function may have died of them, and those whose data is
//! too large to be held beside that of others. Should the function die then,
//! nothing but that reader's messages and those still to be begun come back,
//! when their visibility timeout ends, in their order and received once more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument, error, info_span};

use super::batch::{Batch, ReaderBatch, Record};
use super::connector::{Connector, EventStream};
use super::outcome::{DeadLetter, DeadLetterKind, Outcome};
use super::queue::{DeadLetterMessage, Queue, QueueError, attribute};
use super::report;
use super::retry::{Why, delay};
use super::slots::{Slots, Turn};
use super::sync::Findings;
use super::tally::Tally;
use crate::cache::Cache;
use crate::digest::digest;
use crate::http::Http;
use crate::secrets::Secrets;
use crate::sesamy::Sesamy;
use crate::telemetry::Metrics;

/// What is kept of an invocation's time to hand back what is not done: by two
/// calls of SQS, one for dead letters and one to hide the others.
pub(super) const RESERVE: Duration = Duration::from_secs(5);

/// The share of batches that handle all alone who were received often, also
/// where an outage explains it.
const DISTRUST: f64 = 0.1;

/// After so long a batch begins no further reader alone, one after the other:
/// those of other vendors wait for the next batch.
const ALONE_FOR: Duration = Duration::from_secs(8);

/// A sync is not begun with less time than this before the reserve: two calls
/// of ordinary length.
const SHORTEST_SYNC: Duration = Duration::from_secs(5);

/// A connector's function instance.
pub struct Consumer<C, Q> {
    pub(super) connector: C,
    pub(super) http: Arc<Http>,
    pub(super) secrets: Secrets,
    pub(super) sesamy: Sesamy,
    /// Whose reader is being read at Sesamy, by vendor.
    pub(super) reading: Cache<()>,
    queue: Q,
    tally: Tally,
    clock: Clock,
}

/// What tells the time of day.
type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;

/// Beside whom a reader is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    /// Other readers of the batch, who share the memory.
    Others,
    /// No other user.
    None,
}

/// What becomes of a record.
#[derive(Clone)]
enum Disposition {
    Done,
    Retry(Why),
    DeadLetter(DeadLetter),
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    /// A consumer for this connector. Once per function instance.
    pub fn new(connector: C, http: Arc<Http>, secrets: Secrets, queue: Q) -> Self {
        Self {
            connector,
            sesamy: Sesamy::new(http.clone()),
            http,
            secrets,
            reading: Cache::default(),
            queue,
            tally: Tally::default(),
            clock: Box::new(Timestamp::now),
        }
    }

    /// The same consumer by another clock, for a simulation: messages' ages are
    /// counted by it. Whatever waits does so by tokio's clock.
    #[must_use]
    pub fn by_clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// The present moment.
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The metrics of the syncs and calls since they were last taken. To be
    /// taken after every batch.
    pub fn metrics(&self) -> Vec<Metrics> {
        let mut metrics = self.tally.take();
        metrics.extend(self.http.metrics());
        metrics
    }

    /// Handles a batch within `time_left` and names the records that are not
    /// done. It never fails as a whole: Lambda would retry every record.
    pub async fn handle(self: Arc<Self>, event: SqsEvent, time_left: Duration) -> SqsBatchResponse {
        let began = Instant::now();
        let end = began + time_left.saturating_sub(RESERVE);
        let now = self.now();
        let batch = Batch::sort(event.records, now);

        let mut dispositions: Vec<(Record, Disposition)> = Vec::new();
        for (record, error) in batch.unreadable {
            let dead_letter = DeadLetter {
                kind: DeadLetterKind::UnreadableMessage,
                status: None,
                message: format!(
                    "{error}; look at the message in the dead-letter queue and delete it, or redrive it to a version that understands it"
                ),
            };
            report::unreadable::<C>(&record, &dead_letter);
            self.tally
                .count(Outcome::DeadLetter(dead_letter.clone()).name());
            dispositions.push((record, Disposition::DeadLetter(dead_letter)));
        }

        // Who waited for an API was received often because of that, as far as
        // this instance knows: one that a message killed knows nothing when it
        // is started again. Now and then all are handled alone all the same, so
        // that no message keeps failing for ever beside one that kills the function.
        let trusts = fastrand::f64() >= DISTRUST;
        let (mut alone, beside): (Vec<_>, Vec<_>) = batch.readers.into_iter().partition(|reader| {
            let has_waited = || self.was_left_alone(&reader.reader.vendor_id);
            reader.is_suspect() && !(trusts && has_waited())
        });
        // By chance, so that none of them always comes after what kills the function.
        fastrand::shuffle(&mut alone);
        if beside.len() == 1 && alone.is_empty() {
            alone = beside;
        } else {
            let (settled, too_large) = self.clone().sync_all(beside, Company::Others, end).await;
            dispositions.extend(settled);
            alone.splice(0..0, too_large);
        }
        let mut response = SqsBatchResponse::default();
        for (n, reader) in alone.into_iter().enumerate() {
            let is_late = n > 0 && began.elapsed() >= ALONE_FOR;
            let end = if is_late { Instant::now() } else { end };
            // For whom an API is left alone, nothing is done.
            let vendor = &reader.reader.vendor_id;
            if !is_late && self.left_alone(&self.http, vendor).is_ok() {
                // Should the function die of this one, it must take nothing with it.
                self.settle_early(&mut response, &mut dispositions, now)
                    .await;
                if reader.is_suspect() {
                    report::suspect::<C>(&reader);
                }
            }
            let (settled, _) = self
                .clone()
                .sync_all(vec![reader], Company::None, end)
                .await;
            dispositions.extend(settled);
        }
        self.settle(&mut response, dispositions, now).await;
        response
    }

    /// Syncs readers beside each other. What becomes of their records, and the
    /// readers for whom there is no memory in this company.
    async fn sync_all(
        self: Arc<Self>,
        readers: Vec<ReaderBatch>,
        company: Company,
        end: Instant,
    ) -> (Vec<(Record, Disposition)>, Vec<ReaderBatch>) {
        self.http.share_memory(company == Company::Others);
        // Whatever happens to a sync, no record of its may be taken for done.
        let mut unsettled: HashMap<String, Record> = readers
            .iter()
            .flat_map(|reader| &reader.entries)
            .map(|(record, _)| (record.message_id.clone(), record.clone()))
            .collect();
        let mut dispositions = Vec::new();
        let mut too_large = Vec::new();
        let mut slots = Slots::new(readers);
        let mut syncs = JoinSet::new();
        // Whose sync a task is: one that is lost cannot tell.
        let mut vendors = HashMap::new();
        loop {
            while let Some(turn) = slots.next() {
                let vendor = turn.batch.reader.vendor_id.clone();
                let task = syncs.spawn(self.clone().sync_in_time(turn, company, end));
                vendors.insert(task.id(), vendor);
            }
            let (task, (settled, left)) = match syncs.join_next_with_id().await {
                None => break,
                Some(Ok(finished)) => finished,
                Some(Err(lost)) => (lost.id(), (Vec::new(), None)),
            };
            if let Some(vendor) = vendors.remove(&task) {
                slots.give_back(&vendor);
            }
            for (record, disposition) in settled {
                unsettled.remove(&record.message_id);
                dispositions.push((record, disposition));
            }
            if let Some(reader) = left {
                for (record, _) in &reader.entries {
                    unsettled.remove(&record.message_id);
                }
                too_large.push(reader);
            }
        }
        for record in unsettled.into_values() {
            error!(
                connector = C::NAME,
                message_id = record.message_id,
                "A sync was lost; its message comes back."
            );
            dispositions.push((record, Disposition::Retry(Why::Passing)));
        }
        self.http.share_memory(false);
        (dispositions, too_large)
    }

    /// One reader's sync, bounded in time, a panic caught. What becomes of its
    /// records, and the reader where there is no memory for it in this company.
    async fn sync_in_time(
        self: Arc<Self>,
        turn: Turn,
        company: Company,
        end: Instant,
    ) -> (Vec<(Record, Disposition)>, Option<ReaderBatch>) {
        let Turn {
            batch,
            is_after_others,
        } = turn;
        let began = Instant::now();
        let events = Arc::new(EventStream::new(batch.events()));
        let (outcome, findings) = if began + SHORTEST_SYNC > end {
            (Outcome::NoTime, Findings::default())
        } else {
            let (consumer, stream, reader) = (self.clone(), events.clone(), batch.reader.clone());
            let announced = batch.announced();
            let sync = async move {
                let mut findings = Findings::default();
                let outcome = consumer
                    .sync(&consumer.http, &reader, announced, &stream, &mut findings)
                    .await;
                (outcome, findings)
            };
            // So that each line of the sync, those of its calls too, has the trace.
            let span = info_span!("sync", trace_id = report::trace(&batch));
            let task = tokio::spawn(sync.instrument(span));
            let lost = |outcome| (outcome, Findings::default());
            bounded(task, end).await.unwrap_or_else(lost)
        };
        if outcome == Outcome::NoRoom && company == Company::Others {
            let (done, rest) = batch.split_after(events.delivered());
            let done = done.into_iter().map(|record| (record, Disposition::Done));
            return (done.collect(), Some(rest));
        }
        let times = report::sync::<C>(&batch, &outcome, &findings, began.elapsed(), self.now());
        self.tally.note(&outcome, times);

        let why = match outcome {
            Outcome::Synced(_)
            | Outcome::Unchanged
            | Outcome::Skipped(_)
            | Outcome::NotConfigured => {
                let done = batch
                    .into_records()
                    .map(|record| (record, Disposition::Done));
                return (done.collect(), None);
            }
            Outcome::Retry {
                wait: Some(wait), ..
            } => Disposition::Retry(Why::AskedToWait(wait)),
            Outcome::Retry { wait: None, .. } | Outcome::NoRoom => Disposition::Retry(Why::Passing),
            Outcome::NoTime if is_after_others => Disposition::Retry(Why::AfterOthers),
            Outcome::NoTime => Disposition::Retry(Why::NoTime),
            Outcome::Refused { .. } => Disposition::Retry(Why::Refused),
            Outcome::DeadLetter(dead_letter) => Disposition::DeadLetter(dead_letter),
        };
        let (done, rest) = batch.split_after(events.delivered());
        let done = done.into_iter().map(|record| (record, Disposition::Done));
        let rest = rest.into_records().map(|record| (record, why.clone()));
        (done.chain(rest).collect(), None)
    }

    /// Settles what is known so far before the batch's end, so that it stays
    /// settled should the function die.
    async fn settle_early(
        &self,
        response: &mut SqsBatchResponse,
        dispositions: &mut Vec<(Record, Disposition)>,
        now: Timestamp,
    ) {
        // Boxed, since it is deep in calls of the SDK.
        let done = Box::pin(self.settle(response, std::mem::take(dispositions), now)).await;
        self.queue.delete(done).await;
    }

    /// Sends on, hides and names what is not done. The receipts of what is.
    async fn settle(
        &self,
        response: &mut SqsBatchResponse,
        dispositions: Vec<(Record, Disposition)>,
        now: Timestamp,
    ) -> Vec<String> {
        if dispositions.is_empty() {
            return Vec::new();
        }
        let mut done = Vec::new();
        let mut retried = Vec::new();
        let (mut dead, mut messages) = (Vec::new(), Vec::new());
        for (record, disposition) in dispositions {
            match disposition {
                Disposition::Done => done.push(record.receipt_handle),
                Disposition::Retry(why) => retried.push((record, why)),
                Disposition::DeadLetter(dead_letter) => {
                    messages.push(dead_letter_message::<C>(&record, &dead_letter, now));
                    dead.push(record);
                }
            }
        }
        let mut sent = self.queue.send_dead_letters(messages).await.into_iter();
        for record in dead {
            let untold = || Err(QueueError::new("nothing was told of it"));
            if let Err(error) = sent.next().unwrap_or_else(untold) {
                // Not lost: it stays in the queue and is tried again.
                error!(connector = C::NAME, message_id = record.message_id, %error, "A dead letter could not be moved.");
                retried.push((record, Why::Passing));
            } else {
                done.push(record.receipt_handle);
            }
        }
        let waits = retried
            .iter()
            .map(|(record, why)| {
                self.tally.retried(record.age(now));
                let wait = delay(*why, record.age(now), fastrand::f64());
                (record.receipt_handle.clone(), wait)
            })
            .collect();
        self.queue.hide(waits).await;
        let named = retried.into_iter().map(|(record, _)| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = record.message_id;
            failure
        });
        response.batch_item_failures.extend(named);
        done
    }
}

/// What the task comes to until `end`; a panic is a bug and fails this reader alone.
pub(super) async fn bounded<T>(mut task: JoinHandle<T>, end: Instant) -> Result<T, Outcome> {
    match tokio::time::timeout_at(end, &mut task).await {
        Ok(Ok(settled)) => Ok(settled),
        Ok(Err(_)) => Err(Outcome::DeadLetter(DeadLetter {
            kind: DeadLetterKind::Bug,
            status: None,
            message: "the sync panicked; the log names the place; redrive once it is mended".into(),
        })),
        Err(_) => {
            task.abort();
            Err(Outcome::Retry {
                reason: "the sync took longer than the invocation has".into(),
                wait: None,
            })
        }
    }
}

/// A dead letter with its reasons.
fn dead_letter_message<C: Connector>(
    record: &Record,
    why: &DeadLetter,
    now: Timestamp,
) -> DeadLetterMessage {
    let mut attributes = vec![
        (attribute::CONNECTOR, C::NAME.to_owned()),
        (attribute::ERROR_KIND, why.kind.name().to_owned()),
        (attribute::MESSAGE, why.message.clone()),
        (attribute::DIED_AT, now.to_string()),
    ];
    attributes.extend(
        why.status
            .map(|status| (attribute::STATUS, status.to_string())),
    );
    DeadLetterMessage {
        body: record.body.clone(),
        group: record
            .group
            .clone()
            .unwrap_or_else(|| digest(&[&record.message_id])),
        deduplication_id: digest(&[&record.message_id, &record.receipt_handle]),
        attributes,
        trace: record.trace.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Patience;

    #[test]
    fn what_is_not_done_is_handed_back_within_the_reserve() {
        assert!(2 * Patience::PROMPT.operation < RESERVE);
    }
}
