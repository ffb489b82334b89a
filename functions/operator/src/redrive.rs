//! Brings dead letters home: from the dead-letter queue to the connector's queue.
//!
//! A letter is received, its message sent, the letter deleted, in this order:
//! whoever dies in between leaves the letter where it is, and the next run sends
//! the message again under the same deduplication id.
//!
//! # Order
//! Messages of one group arrive in the order of their letters. So a call sends at
//! most one message per group, and once one was not taken, none of its group
//! follows in this run.
//!
//! # Letters that stay
//! SQS hands out a group's letters in their order and none while an earlier one
//! is in somebody's hands; letters put back are the first to come again. Hence:
//!
//! - What is not meant is held until the run ends, so that it does not come again
//!   and again, and is then put back. Should the run die, SQS does that when its
//!   time is over.
//! - A group that gave letters away is put back at once and looked at again, since
//!   what stood behind them has moved up. Each further look takes a letter away,
//!   so there is an end to it.
//! - Ten letters that are not meant at the head of a group hide what is behind
//!   them, and nothing short of taking them away changes that. The answer says so.

mod groups;
mod report;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::num::NonZeroU64;

use tokio::time::Instant;

use crate::letters::{DeadLetters, Failed, Filter, Letter, MOST_AT_ONCE, Receipt, Unavailable};
use crate::operator::Deadline;
use crate::request;

use groups::{Group, groups};
pub use report::Report;

/// How many letters are held at most. SQS lets 120,000 be in flight; their
/// receipts take some hundred bytes each.
const MOST_HELD: usize = 20_000;

/// After so many calls in a row without a message taken the queue is left alone.
const MOST_FRUITLESS: u32 = 3;

/// How often the deletion of a letter is tried.
const DELETE_ATTEMPTS: u32 = 3;

/// How many receives in a row must bring nothing before nothing is left.
const EMPTY_RECEIVES: u32 = 2;

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stop {
    /// Every letter within reach was looked at.
    Finished,
    /// The limit that was asked for is reached.
    Limit,
    /// The invocation's time is over.
    Time,
    /// As many letters are held as may be.
    Held,
    /// SQS does not do what is asked.
    Unavailable(Unavailable),
}

/// A letter's place among those that are held until the end.
struct Held {
    receipts: Vec<Receipt>,
    /// Whether further letters of the group may be behind these.
    explored: bool,
}

/// What came of the letters of one receive.
struct Settled {
    /// Why to go no further.
    stop: Option<Stop>,
    /// Whether letters were put back that are to be looked at again.
    some_put_back: bool,
}

/// One run.
struct Run<'a, Q> {
    queues: &'a Q,
    filter: &'a Filter,
    limit: Option<NonZeroU64>,
    deadline: Deadline,
    held: Vec<Held>,
    /// The letters that are not meant, by id.
    skipped: HashSet<String>,
    tally: Tally,
    fruitless: u32,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    /// Letters in somebody else's hands when the run began.
    in_flight_before: u64,
    /// Letters whose message was sent, and which were deleted.
    moved: u64,
    /// Letters whose message was sent, but which could not be deleted.
    not_deleted: u64,
    /// Letters that are meant and whose message was not taken.
    not_sent: u64,
    /// Letters that are meant and were received beyond the limit or the time.
    left: u64,
    /// Letters that are not meant.
    skipped: usize,
    /// Why some messages were not taken or some letters not deleted.
    reasons: Vec<String>,
    /// Groups whose later letters are out of reach.
    hidden_groups: u64,
}

/// Moves the letters that are meant.
pub async fn run<Q: DeadLetters>(request: request::Redrive<'_, Q>, deadline: Deadline) -> Report {
    let queues = &request.connector.queues;
    let mut run = Run {
        queues,
        filter: &request.filter,
        limit: request.limit,
        deadline,
        held: Vec::new(),
        skipped: HashSet::new(),
        tally: Tally::default(),
        fruitless: 0,
    };
    let stop = match queues.dead_depth().await {
        Ok(depth) => {
            run.tally.in_flight_before = depth.in_flight;
            run.move_letters().await
        }
        Err(unavailable) => Stop::Unavailable(unavailable),
    };
    // Ten letters at the head of a group need not have others behind them.
    if run.tally.hidden_groups > 0 && stop == Stop::Finished && !run.some_are_hidden().await {
        run.tally.hidden_groups = 0;
    }
    run.put_all_back().await;
    run.tally.skipped = run.skipped.len();
    let left = queues.dead_depth().await.ok();
    let report = Report::new(&request, stop, run.tally, left);
    report.log();
    report
}

impl<Q: DeadLetters> Run<'_, Q> {
    async fn move_letters(&mut self) -> Stop {
        let mut empty = 0;
        let mut exploring = false;
        loop {
            if self.room() == 0 {
                return Stop::Limit;
            }
            if Instant::now() >= self.deadline.work {
                return Stop::Time;
            }
            if self.skipped.len() >= MOST_HELD {
                return Stop::Held;
            }
            // Hidden until we end, however we end: not longer, or a next run
            // would not see what a run that died had in its hands.
            let hide = self.deadline.end.duration_since(Instant::now());
            let letters = match self.queues.receive(hide).await {
                Ok(letters) => letters,
                Err(unavailable) => return Stop::Unavailable(unavailable),
            };
            empty = if letters.is_empty() { empty + 1 } else { 0 };
            let full = letters.len() >= MOST_AT_ONCE;
            let settled = self.settle(letters).await;
            if let Some(stop) = settled.stop {
                return stop;
            }
            // One group that was let go has come back whole if there was room.
            let nothing_more =
                empty >= EMPTY_RECEIVES || (exploring && !full && !settled.some_put_back);
            if nothing_more {
                exploring = self.explore().await;
                if !exploring {
                    return Stop::Finished;
                }
            }
        }
    }

    /// How many more letters may be moved.
    fn room(&self) -> u64 {
        let limit = self.limit.map_or(u64::MAX, NonZeroU64::get);
        limit.saturating_sub(self.tally.moved + self.tally.not_deleted)
    }

    /// Sends and deletes what is meant of these letters, and decides about the rest.
    async fn settle(&mut self, letters: Vec<Letter>) -> Settled {
        let full = letters.len() >= MOST_AT_ONCE;
        let mut groups = groups(letters, self.filter, self.room());
        let (sent, stop) = self.send(&mut groups).await;
        self.delete(sent, &mut groups).await;

        let last = groups.len().saturating_sub(1);
        let mut put_back = Vec::new();
        for (index, group) in groups.into_iter().enumerate() {
            self.tally.left += group.left();
            let mut news = false;
            for letter in &group.not_meant {
                news |= self.skipped.insert(letter.id.clone());
            }
            let whole = group.size >= MOST_AT_ONCE;
            let cut_off = full && !whole;
            // SQS fills a receive with one group before it begins the next, so
            // that its end may have cut off the last group alone.
            let again = group.gave || (cut_off && index == last && news);
            if again && !group.stuck {
                put_back.extend(group.kept());
                continue;
            }
            let stuck = group.stuck;
            let receipts = group.kept();
            if receipts.is_empty() {
                continue;
            }
            if whole && !stuck {
                self.tally.hidden_groups += 1;
            }
            self.held.push(Held {
                receipts,
                explored: stuck || !cut_off,
            });
        }
        let some_put_back = !put_back.is_empty();
        if some_put_back {
            self.queues.put_back(&put_back).await;
        }
        Settled {
            stop,
            some_put_back,
        }
    }

    /// Sends what is meant, one message per group at a time. The receipts of
    /// what was sent, each with its group, and why to go no further.
    async fn send(&mut self, groups: &mut [Group]) -> (Vec<(usize, Receipt)>, Option<Stop>) {
        let mut sent = Vec::new();
        loop {
            let mut wave: Vec<(usize, Letter)> = Vec::new();
            if Instant::now() < self.deadline.work && self.fruitless < MOST_FRUITLESS {
                for (index, group) in groups.iter_mut().enumerate() {
                    wave.extend(group.next().map(|letter| (index, letter)));
                }
            }
            if wave.is_empty() {
                break;
            }
            let messages: Vec<_> = wave.iter().map(|(_, one)| one.homeward()).collect();
            let failed = self.queues.send(&messages).await;
            let mut taken = 0;
            for (index, (of, letter)) in wave.into_iter().enumerate() {
                let Some(group) = groups.get_mut(of) else {
                    continue;
                };
                if failed.iter().any(|one| one.index == index) {
                    self.tally.not_sent += 1;
                    group.not_sent(letter);
                } else {
                    taken += 1;
                    sent.push((of, letter.receipt));
                }
            }
            self.fruitless = if taken == 0 { self.fruitless + 1 } else { 0 };
            self.note(failed);
        }
        let stop = (self.fruitless >= MOST_FRUITLESS).then(|| {
            Stop::Unavailable(Unavailable {
                what: "sending to the connector's queue",
                reason: self.tally.reasons.last().cloned().unwrap_or_default(),
            })
        });
        (sent, stop)
    }

    /// Deletes the letters whose messages were sent.
    async fn delete(&mut self, sent: Vec<(usize, Receipt)>, groups: &mut [Group]) {
        let mut rest = sent;
        for attempt in 1..=DELETE_ATTEMPTS {
            if rest.is_empty() {
                return;
            }
            let receipts: Vec<_> = rest.iter().map(|(_, receipt)| receipt.clone()).collect();
            let failed = self.queues.delete(&receipts).await;
            let mut undone = Vec::new();
            for (index, (of, receipt)) in rest.into_iter().enumerate() {
                if failed.iter().any(|one| one.index == index) {
                    undone.push((of, receipt));
                } else {
                    self.tally.moved += 1;
                    if let Some(group) = groups.get_mut(of) {
                        group.gave = true;
                    }
                }
            }
            rest = undone;
            if attempt == DELETE_ATTEMPTS {
                self.note(failed);
            }
        }
        for (of, receipt) in rest {
            self.tally.not_deleted += 1;
            if let Some(group) = groups.get_mut(of) {
                group.not_deleted(receipt);
            }
        }
    }

    /// Lets go of one group that a receive may have cut off, so that the next
    /// receive brings the rest of it. `false` where there is none, or SQS counts
    /// no letter that we do not hold.
    async fn explore(&mut self) -> bool {
        let Some(place) = self.held.iter().position(|held| !held.explored) else {
            return false;
        };
        if !self.some_are_hidden().await {
            self.held.iter_mut().for_each(|held| held.explored = true);
            return false;
        }
        let held = self.held.swap_remove(place);
        self.queues.put_back(&held.receipts).await;
        true
    }

    /// Whether letters stand behind those that we hold, as far as SQS counts them.
    async fn some_are_hidden(&self) -> bool {
        !matches!(self.queues.dead_depth().await, Ok(depth) if depth.visible == 0)
    }

    async fn put_all_back(&mut self) {
        let held = std::mem::take(&mut self.held).into_iter();
        let receipts: Vec<_> = held.flat_map(|held| held.receipts).collect();
        // Without time they come back by themselves: they are hidden until our end.
        let answer = std::time::Duration::from_secs(1);
        let until = self
            .deadline
            .end
            .checked_sub(answer)
            .unwrap_or(self.deadline.end);
        let _ = tokio::time::timeout_at(until, self.queues.put_back(&receipts)).await;
    }

    /// Remembers why something failed, each reason once.
    fn note(&mut self, failed: Vec<Failed>) {
        for Failed { reason, .. } in failed {
            if !self.tally.reasons.contains(&reason) {
                self.tally.reasons.push(reason);
            }
        }
    }
}
