//! Moves messages from the dead-letter queue back to the connector's queue, in one pass.
//!
//! A message is received, sent, and deleted, in this order. If the function crashes in
//! between, the next run sends it again under the same deduplication id.
//!
//! Messages of a group keep their order: once one of them stays, those behind it stay too.
//! SQS hands out none of a group while one is in flight, and messages that stay are in
//! flight until the invocation ends, so each is received once.

mod report;

use std::collections::HashSet;
use std::num::NonZeroU64;

use shared::sqs::SqsError;
use tokio::time::Instant;

use crate::command::RedriveCommand;
use crate::dead_letters::{ConnectorQueues, Receipt, ReceivedDeadLetter, Unavailable};
use crate::deadline::Deadline;

pub use report::RedriveReport;

/// The run stops after so many batches in a row of which no message was sent.
const MAX_FAILED_SENDS: u32 = 3;

/// The queue counts as empty after so many empty receives in a row.
const EMPTY_RECEIVES: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
enum StopReason {
    Finished,
    Limit,
    Time,
    Unavailable(Unavailable),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct RedriveCounts {
    /// Messages that another receiver had in flight when the run began.
    in_flight_before: u64,
    /// Sent and deleted.
    moved: u64,
    /// Sent, but not deleted.
    not_deleted: u64,
    not_sent: u64,
    /// Messages looked at that do not match.
    skipped: u64,
    /// Matching messages behind one of their group that stays.
    held_back: u64,
    /// Why sends and deletes failed, each reason once.
    reasons: Vec<String>,
}

struct RedriveRun<'a, Q> {
    queues: &'a Q,
    command: &'a RedriveCommand,
    deadline: Deadline,
    /// The groups of which a message stays.
    held: HashSet<String>,
    counts: RedriveCounts,
    /// Batches in a row of which no message was sent.
    failed_sends: u32,
}

pub async fn run<Q: ConnectorQueues>(
    queues: &Q,
    command: &RedriveCommand,
    deadline: Deadline,
) -> RedriveReport {
    let mut run = RedriveRun {
        queues,
        command,
        deadline,
        held: HashSet::new(),
        counts: RedriveCounts::default(),
        failed_sends: 0,
    };
    let stop = match queues.dead_letter_depth().await {
        Ok(depth) => {
            run.counts.in_flight_before = depth.in_flight;
            run.move_messages().await
        }
        Err(unavailable) => StopReason::Unavailable(unavailable),
    };
    let left = queues.dead_letter_depth().await.ok();
    let report = RedriveReport::new(command, stop, run.counts, left);
    report.log();
    report
}

impl<Q: ConnectorQueues> RedriveRun<'_, Q> {
    async fn move_messages(&mut self) -> StopReason {
        let mut empty = 0;
        while empty < EMPTY_RECEIVES {
            if self.room() == 0 {
                return StopReason::Limit;
            }
            let now = Instant::now();
            if now >= self.deadline.work {
                return StopReason::Time;
            }
            // Until the invocation ends: if this run crashes, the next one must see its
            // messages.
            let visibility_timeout = self.deadline.end.duration_since(now);
            let messages = match self.queues.receive(visibility_timeout).await {
                Ok(messages) => messages,
                Err(unavailable) => return StopReason::Unavailable(unavailable),
            };
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            self.process(messages).await;
            if self.failed_sends >= MAX_FAILED_SENDS {
                return StopReason::Unavailable(Unavailable {
                    what: "sending to the connector's queue",
                    reason: self.counts.reasons.last().cloned().unwrap_or_default(),
                });
            }
        }
        StopReason::Finished
    }

    /// How many more messages the limit allows.
    fn room(&self) -> u64 {
        let limit = self.command.limit.map_or(u64::MAX, NonZeroU64::get);
        limit.saturating_sub(self.counts.moved + self.counts.not_deleted)
    }

    /// Moves the matching messages of one receive, at most one of each group in a call.
    async fn process(&mut self, messages: Vec<ReceivedDeadLetter>) {
        let mut rest = messages;
        while !rest.is_empty() {
            let mut batch: Vec<ReceivedDeadLetter> = Vec::new();
            let mut later = Vec::new();
            for message in rest {
                let matches = self.command.matches(&message);
                if !matches {
                    self.counts.skipped += 1;
                    self.held.insert(message.group);
                } else if self.held.contains(&message.group) {
                    self.counts.held_back += 1;
                } else if batch.iter().any(|one| one.group == message.group) {
                    later.push(message);
                } else if self.room() <= batch.len() as u64 {
                    self.held.insert(message.group);
                    self.counts.held_back += 1;
                } else {
                    batch.push(message);
                }
            }
            self.move_batch(batch).await;
            rest = later;
        }
    }

    async fn move_batch(&mut self, batch: Vec<ReceivedDeadLetter>) {
        if batch.is_empty() {
            return;
        }
        let messages: Vec<_> = batch.iter().map(ReceivedDeadLetter::redriven).collect();
        let results = self.queues.send(&messages).await;
        self.failed_sends += 1;
        let mut sent = Vec::new();
        for (message, result) in batch.into_iter().zip(results) {
            match result {
                Ok(()) => {
                    self.failed_sends = 0;
                    sent.push(message);
                }
                Err(error) => {
                    self.counts.not_sent += 1;
                    self.stays(message, &error);
                }
            }
        }
        let receipts: Vec<Receipt> = sent.iter().map(|one| one.receipt.clone()).collect();
        if receipts.is_empty() {
            return;
        }
        let results = self.queues.delete(&receipts).await;
        for (message, result) in sent.into_iter().zip(results) {
            match result {
                Ok(()) => self.counts.moved += 1,
                Err(error) => {
                    self.counts.not_deleted += 1;
                    self.stays(message, &error);
                }
            }
        }
    }

    fn stays(&mut self, message: ReceivedDeadLetter, error: &SqsError) {
        self.held.insert(message.group);
        let reason = error.to_string();
        if !self.counts.reasons.contains(&reason) {
            self.counts.reasons.push(reason);
        }
    }
}
