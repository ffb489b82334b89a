//! Moves messages from the dead-letter queue back to the connector's queue.
//!
//! A message is received, sent, and deleted, in this order. If the function crashes
//! in between, the next run sends it again under the same deduplication id.
//!
//! # Order
//! Messages of a group keep their order: a call sends at most one message of each
//! group, and a message that could not be sent or deleted holds back the rest of
//! its group for this run.
//!
//! # Messages that stay
//! SQS hands out a group's messages in order, and none while an earlier one is in
//! flight. Messages that became visible are received first the next time. Hence:
//!
//! - Messages that do not match the filter stay in flight until the run ends, so
//!   that they are received once. If the run crashes, their visibility timeout ends.
//! - A group that had messages moved is made visible and received again, because
//!   the messages behind the moved ones have become reachable. Each such receive
//!   moves a message, so this ends.
//! - Ten messages at the head of a group that do not match hide those behind them.
//!   The report says so.

mod groups;
mod report;

use std::collections::HashSet;
use std::num::NonZeroU64;
use std::time::Duration;

use shared::sqs::{MAX_BATCH, SqsError};
use tokio::time::Instant;

use crate::command::RedriveCommand;
use crate::dead_letters::{ConnectorQueues, Receipt, ReceivedDeadLetter, Unavailable};
use crate::deadline::Deadline;

use groups::{MessageGroup, group_messages};
pub use report::{MatchingLeft, RedriveReport};

/// SQS allows 120,000 messages in flight; a receipt takes some hundred bytes.
const MAX_HELD: usize = 20_000;

/// The run stops after so many batches in a row of which no message was sent.
const MAX_FAILED_SENDS: u32 = 3;

const DELETE_ATTEMPTS: u32 = 3;

/// The queue counts as empty after so many empty receives in a row.
const EMPTY_RECEIVES: u32 = 2;

/// Time left for the answer when the held messages have been made visible.
const ANSWER_TIME: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
enum StopReason {
    /// Every reachable message was looked at.
    Finished,
    Limit,
    Time,
    TooManySkipped,
    Unavailable(Unavailable),
}

/// Messages of one group that stay in flight until the run ends.
struct HeldGroup {
    receipts: Vec<Receipt>,
    /// Whether the receive brought all messages of the group that SQS shows.
    complete: bool,
}

struct ProcessedBatch {
    stop: Option<StopReason>,
    /// Whether some messages were made visible to be received again.
    released: bool,
}

struct RedriveRun<'a, Q> {
    queues: &'a Q,
    command: &'a RedriveCommand,
    deadline: Deadline,
    held: Vec<HeldGroup>,
    /// The ids of messages that do not match.
    skipped: HashSet<String>,
    counts: RedriveCounts,
    /// Batches in a row of which no message was sent.
    failed_sends: u32,
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
    /// Matching messages beyond the limit or the time.
    left: u64,
    skipped: usize,
    /// Why sends and deletes failed, each reason once.
    reasons: Vec<String>,
    /// Groups whose later messages cannot be reached.
    hidden_groups: u64,
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
        held: Vec::new(),
        skipped: HashSet::new(),
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
    // There may be nothing behind the ten messages of a full group.
    if run.counts.hidden_groups > 0
        && stop == StopReason::Finished
        && !run.unreceived_messages_exist().await
    {
        run.counts.hidden_groups = 0;
    }
    run.release_held().await;
    run.counts.skipped = run.skipped.len();
    let left = queues.dead_letter_depth().await.ok();
    let report = RedriveReport::new(command, stop, run.counts, left);
    report.log();
    report
}

impl<Q: ConnectorQueues> RedriveRun<'_, Q> {
    async fn move_messages(&mut self) -> StopReason {
        let mut empty = 0;
        let mut released_group = false;
        loop {
            if self.room() == 0 {
                return StopReason::Limit;
            }
            if Instant::now() >= self.deadline.work {
                return StopReason::Time;
            }
            if self.skipped.len() >= MAX_HELD {
                return StopReason::TooManySkipped;
            }
            // Not longer than the invocation: if this run crashes, the next one must
            // see its messages.
            let visibility_timeout = self.deadline.end.duration_since(Instant::now());
            let messages = match self.queues.receive(visibility_timeout).await {
                Ok(messages) => messages,
                Err(unavailable) => return StopReason::Unavailable(unavailable),
            };
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            let full = messages.len() >= MAX_BATCH;
            let processed = self.process(messages).await;
            if let Some(stop) = processed.stop {
                return stop;
            }
            // A receive with room to spare brought all of a group that was released.
            if empty >= EMPTY_RECEIVES || (released_group && !full && !processed.released) {
                released_group = self.release_incomplete_group().await;
                if !released_group {
                    return StopReason::Finished;
                }
            }
        }
    }

    /// How many more messages the limit allows.
    fn room(&self) -> u64 {
        let limit = self.command.limit.map_or(u64::MAX, NonZeroU64::get);
        limit.saturating_sub(self.counts.moved + self.counts.not_deleted)
    }

    /// Moves the matching messages of one receive and decides about the others.
    async fn process(&mut self, messages: Vec<ReceivedDeadLetter>) -> ProcessedBatch {
        let full = messages.len() >= MAX_BATCH;
        let mut groups = group_messages(messages, self.command, self.room());
        let (sent, stop) = self.send(&mut groups).await;
        self.delete(sent, &mut groups).await;

        let last = groups.len().saturating_sub(1);
        let mut released = Vec::new();
        for (index, group) in groups.into_iter().enumerate() {
            self.counts.left += group.left();
            let mut some_new = false;
            for message in &group.skipped {
                some_new |= self.skipped.insert(message.id.clone());
            }
            let group_is_full = group.size >= MAX_BATCH;
            let cut_off = full && !group_is_full;
            // SQS fills a receive with one group before it begins the next, so only
            // the last group may have been cut off.
            let receive_again = group.moved_some || (cut_off && index == last && some_new);
            if receive_again && !group.blocked {
                released.extend(group.remaining());
                continue;
            }
            let blocked = group.blocked;
            let receipts = group.remaining();
            if receipts.is_empty() {
                continue;
            }
            if group_is_full && !blocked {
                self.counts.hidden_groups += 1;
            }
            self.held.push(HeldGroup {
                receipts,
                complete: blocked || !cut_off,
            });
        }
        if !released.is_empty() {
            self.queues.make_visible(&released).await;
        }
        ProcessedBatch {
            stop,
            released: !released.is_empty(),
        }
    }

    /// Sends the matching messages, one of each group at a time. Returns the
    /// receipts of sent messages with the index of their group, and whether to stop.
    async fn send(
        &mut self,
        groups: &mut [MessageGroup],
    ) -> (Vec<(usize, Receipt)>, Option<StopReason>) {
        let mut sent = Vec::new();
        loop {
            let mut batch: Vec<(usize, ReceivedDeadLetter)> = Vec::new();
            if Instant::now() < self.deadline.work && self.failed_sends < MAX_FAILED_SENDS {
                for (index, group) in groups.iter_mut().enumerate() {
                    batch.extend(group.next().map(|message| (index, message)));
                }
            }
            if batch.is_empty() {
                break;
            }
            let messages: Vec<_> = batch.iter().map(|(_, one)| one.redriven()).collect();
            let results = self.queues.send(&messages).await;
            self.failed_sends += 1;
            for ((index, message), result) in batch.into_iter().zip(results) {
                match result {
                    Ok(()) => {
                        self.failed_sends = 0;
                        sent.push((index, message.receipt));
                    }
                    Err(error) => {
                        self.counts.not_sent += 1;
                        self.note(&error);
                        if let Some(group) = groups.get_mut(index) {
                            group.block(message.receipt);
                        }
                    }
                }
            }
        }
        let stop = (self.failed_sends >= MAX_FAILED_SENDS).then(|| {
            StopReason::Unavailable(Unavailable {
                what: "sending to the connector's queue",
                reason: self.counts.reasons.last().cloned().unwrap_or_default(),
            })
        });
        (sent, stop)
    }

    async fn delete(&mut self, sent: Vec<(usize, Receipt)>, groups: &mut [MessageGroup]) {
        let mut rest = sent;
        for attempt in 1..=DELETE_ATTEMPTS {
            if rest.is_empty() {
                return;
            }
            let receipts: Vec<_> = rest.iter().map(|(_, receipt)| receipt.clone()).collect();
            let results = self.queues.delete(&receipts).await;
            let mut not_deleted = Vec::new();
            for ((index, receipt), result) in rest.into_iter().zip(results) {
                match result {
                    Ok(()) => {
                        self.counts.moved += 1;
                        if let Some(group) = groups.get_mut(index) {
                            group.moved_some = true;
                        }
                    }
                    Err(error) => {
                        if attempt == DELETE_ATTEMPTS {
                            self.note(&error);
                        }
                        not_deleted.push((index, receipt));
                    }
                }
            }
            rest = not_deleted;
        }
        for (index, receipt) in rest {
            self.counts.not_deleted += 1;
            if let Some(group) = groups.get_mut(index) {
                group.block(receipt);
            }
        }
    }

    /// Makes one group visible that a receive may have cut off, so that the next
    /// receive brings all of it. `false` if there is none, or nothing behind it.
    async fn release_incomplete_group(&mut self) -> bool {
        let Some(index) = self.held.iter().position(|held| !held.complete) else {
            return false;
        };
        if !self.unreceived_messages_exist().await {
            self.held.iter_mut().for_each(|held| held.complete = true);
            return false;
        }
        let held = self.held.swap_remove(index);
        self.queues.make_visible(&held.receipts).await;
        true
    }

    /// As far as SQS counts; where it does not answer, they may exist.
    async fn unreceived_messages_exist(&self) -> bool {
        !matches!(self.queues.dead_letter_depth().await, Ok(depth) if depth.visible == 0)
    }

    async fn release_held(&mut self) {
        let held = std::mem::take(&mut self.held).into_iter();
        let receipts: Vec<_> = held.flat_map(|held| held.receipts).collect();
        let end = self.deadline.end;
        let until = end.checked_sub(ANSWER_TIME).unwrap_or(end);
        // Those left over become visible at the end of the invocation.
        let _ = tokio::time::timeout_at(until, self.queues.make_visible(&receipts)).await;
    }

    fn note(&mut self, error: &SqsError) {
        let reason = error.to_string();
        if !self.counts.reasons.contains(&reason) {
            self.counts.reasons.push(reason);
        }
    }
}
