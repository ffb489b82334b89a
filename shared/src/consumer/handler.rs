//! A whole batch: readers in parallel, each with an outcome of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument, error, info_span};

use super::batch::{Batch, ReaderBatch, Record};
use super::connector::{Connector, EventStream};
use super::outcome::{DeadLetter, DeadLetterKind, Outcome};
use super::queue::{Letter, Queue, attribute};
use super::report;
use super::retry::{Why, delay};
use super::sync::Findings;
use super::tally::Tally;
use crate::digest::digest;
use crate::http::Http;
use crate::secrets::Secrets;
use crate::sesamy::Sesamy;
use crate::telemetry::Metrics;

/// How many readers of a batch are synced at the same time. It bounds memory:
/// each holds a reader's whole state.
const READERS_IN_PARALLEL: usize = 5;

/// What is kept of an invocation's time to hand back what is not done.
pub(super) const RESERVE: Duration = Duration::from_secs(4);

/// A sync is not begun with less time than this before the reserve: two calls
/// of ordinary length.
const SHORTEST_SYNC: Duration = Duration::from_secs(5);

/// A connector's function instance.
pub struct Consumer<C, Q> {
    pub(super) connector: C,
    pub(super) http: Arc<Http>,
    pub(super) secrets: Secrets,
    pub(super) sesamy: Sesamy,
    queue: Q,
    tally: Tally,
}

/// What becomes of a record.
#[derive(Clone)]
enum Fate {
    Done,
    PutBack(Why),
    Buried(DeadLetter),
}

impl<C: Connector, Q: Queue> Consumer<C, Q> {
    /// A consumer for this connector. Once per function instance.
    pub fn new(connector: C, http: Arc<Http>, secrets: Secrets, queue: Q) -> Self {
        Self {
            connector,
            sesamy: Sesamy::new(http.clone()),
            http,
            secrets,
            queue,
            tally: Tally::default(),
        }
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
        let end = Instant::now() + time_left.saturating_sub(RESERVE);
        let now = Timestamp::now();
        let batch = Batch::sort(event.records, now);

        let mut fates: Vec<(Record, Fate)> = Vec::new();
        for (record, error) in batch.unreadable {
            let letter = DeadLetter {
                kind: DeadLetterKind::UnreadableMessage,
                status: None,
                message: format!(
                    "{error}; look at the message in the dead-letter queue and delete it, or redrive it to a version that understands it"
                ),
            };
            report::unreadable::<C>(&record, &letter);
            self.tally.count(Outcome::DeadLetter(letter.clone()).name());
            fates.push((record, Fate::Buried(letter)));
        }

        // Whatever happens to a sync, no record of its may be taken for done.
        let mut unsettled: HashMap<String, Record> = batch
            .readers
            .iter()
            .flat_map(|reader| &reader.entries)
            .map(|(record, _)| (record.message_id.clone(), record.clone()))
            .collect();
        let room = Arc::new(Semaphore::new(READERS_IN_PARALLEL));
        let mut syncs = JoinSet::new();
        for reader in batch.readers {
            let (consumer, room) = (self.clone(), room.clone());
            syncs.spawn(async move {
                // The semaphore is never closed, so a place is always had.
                let _place = room.acquire_owned().await;
                consumer.sync_in_time(reader, end).await
            });
        }
        while let Some(finished) = syncs.join_next().await {
            for (record, fate) in finished.unwrap_or_default() {
                unsettled.remove(&record.message_id);
                fates.push((record, fate));
            }
        }
        for record in unsettled.into_values() {
            error!(
                connector = C::NAME,
                message_id = record.message_id,
                "A sync was lost; its message comes back."
            );
            fates.push((record, Fate::PutBack(Why::Passing)));
        }
        self.settle(fates, now).await
    }

    /// One reader's sync, bounded in time, a panic caught.
    async fn sync_in_time(
        self: Arc<Self>,
        batch: ReaderBatch,
        end: Instant,
    ) -> Vec<(Record, Fate)> {
        let began = Instant::now();
        let events = Arc::new(EventStream::new(batch.events()));
        let (outcome, findings) = if began + SHORTEST_SYNC > end {
            (Outcome::NoTime, Findings::default())
        } else {
            let (consumer, stream, reader) = (self.clone(), events.clone(), batch.reader.clone());
            let sync = async move {
                let mut findings = Findings::default();
                let outcome = consumer
                    .sync(&consumer.http, &reader, &stream, &mut findings)
                    .await;
                (outcome, findings)
            };
            // So that each line of the sync, those of its calls too, has the trace.
            let span = info_span!("sync", trace_id = report::trace(&batch));
            let task = tokio::spawn(sync.instrument(span));
            let lost = |outcome| (outcome, Findings::default());
            bounded(task, end).await.unwrap_or_else(lost)
        };
        let times = report::sync::<C>(&batch, &outcome, &findings, began.elapsed());
        self.tally.note(&outcome, times);

        let why = match outcome {
            Outcome::Synced(_)
            | Outcome::Unchanged
            | Outcome::Skipped(_)
            | Outcome::NotConfigured => {
                return batch
                    .entries
                    .into_iter()
                    .map(|(record, _)| (record, Fate::Done))
                    .collect();
            }
            Outcome::Retry {
                wait: Some(wait), ..
            } => Fate::PutBack(Why::AskedToWait(wait)),
            Outcome::Retry { wait: None, .. } => Fate::PutBack(Why::Passing),
            Outcome::NoTime => Fate::PutBack(Why::NoTime),
            Outcome::Refused { .. } => Fate::PutBack(Why::Refused),
            Outcome::DeadLetter(letter) => Fate::Buried(letter),
        };
        let (done, rest) = batch.split_after(events.delivered());
        let done = done.into_iter().map(|record| (record, Fate::Done));
        let rest = rest.into_iter().map(|record| (record, why.clone()));
        done.chain(rest).collect()
    }

    /// Buries, hides and names what is not done.
    async fn settle(&self, fates: Vec<(Record, Fate)>, now: Timestamp) -> SqsBatchResponse {
        let mut put_back = Vec::new();
        for (record, fate) in fates {
            match fate {
                Fate::Done => {}
                Fate::PutBack(why) => put_back.push((record, why)),
                Fate::Buried(letter) => {
                    let buried = self.queue.bury(address::<C>(&record, &letter, now)).await;
                    if let Err(error) = buried {
                        // Not lost: it stays in the queue and is tried again.
                        error!(connector = C::NAME, message_id = record.message_id, %error, "A dead letter could not be moved.");
                        put_back.push((record, Why::Passing));
                    }
                }
            }
        }
        let waits = put_back
            .iter()
            .map(|(record, why)| {
                let wait = delay(*why, record.age(now), fastrand::f64());
                (record.receipt_handle.clone(), wait)
            })
            .collect();
        self.queue.hide(waits).await;
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = put_back
            .into_iter()
            .map(|(record, _)| {
                let mut failure = BatchItemFailure::default();
                failure.item_identifier = record.message_id;
                failure
            })
            .collect();
        response
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
fn address<C: Connector>(record: &Record, why: &DeadLetter, now: Timestamp) -> Letter {
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
    Letter {
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
