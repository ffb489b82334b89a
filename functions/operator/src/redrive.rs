//! Moves messages from the dead-letter queue back to the connector's queue, in one pass.
//!
//! A message is received, sent, and deleted, in this order. If the function crashes in
//! between, the next run sends it again under the same deduplication id.
//!
//! Messages of a group keep their order: once one of them stays, those behind it stay too.
//! SQS hands out none of a group while one is in flight, and messages that stay are in
//! flight until the invocation ends, so each is received once.

use std::collections::{BTreeSet, HashSet};
use std::num::NonZeroU64;

use serde_json::{Value, json};
use shared::identity::VendorId;
use shared::request::ErrorAnswer;
use shared::sqs::SqsError;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::command::RedriveCommand;
use crate::connectors::ConnectorQueues;
use crate::dead_letters::{DeadLetter, receive};
use crate::deadline::Deadline;
use crate::unavailable::Unavailable;

/// The run stops at the next batch of which no message can be sent. Decided.
const MAX_NOT_SENT: u64 = 20;

/// The queue counts as empty after so many empty receives in a row.
const EMPTY_RECEIVES: u32 = 2;

struct RedriveRun<'a> {
    queues: &'a ConnectorQueues,
    command: &'a RedriveCommand,
    deadline: Deadline,
    /// The groups of which a message stays.
    held: HashSet<String>,
    /// Whether the same command would move more.
    run_again: bool,
    counts: Counts,
    /// Why sends and deletes failed, each reason once.
    reasons: BTreeSet<String>,
}

/// Of what the run saw: there may be more.
#[derive(Debug, Default)]
struct Counts {
    /// Messages that are in the connector's queue again.
    moved: u64,
    /// Messages that do not match.
    skipped: u64,
    /// Matching messages behind one of their user that stays.
    held_back: u64,
    not_sent: u64,
    not_deleted: u64,
}

pub async fn run(queues: &ConnectorQueues, command: &RedriveCommand, deadline: Deadline) -> Value {
    let mut run = RedriveRun {
        queues,
        command,
        deadline,
        held: HashSet::new(),
        run_again: true,
        counts: Counts::default(),
        reasons: BTreeSet::new(),
    };
    let (stopped, error) = match run.move_messages().await {
        Ok(stopped) => (stopped, None),
        Err(unavailable) => ("error", Some(ErrorAnswer::from(unavailable))),
    };
    let (counts, reasons) = (run.counts, run.reasons);
    let failures = counts.not_sent + counts.not_deleted > 0;
    let connector = &command.connector;
    let vendor_id = command.vendor_id.as_ref().map(VendorId::as_str);
    let (moved, skipped) = (counts.moved, counts.skipped);
    info!(
        connector,
        vendor_id, moved, skipped, stopped, "Moved dead-letter messages back."
    );
    if failures || error.is_some() {
        let reason = error.as_ref().map(|error| &*error.message);
        warn!(
            connector,
            ?reasons,
            reason,
            "Some dead-letter messages stay."
        );
    }
    let mut answer = json!({
        "action": "redrive",
        "connector": connector,
        "vendorId": vendor_id,
        "errorKind": command.error_kind,
        "moved": moved,
        "skipped": skipped,
        "heldBack": counts.held_back,
        "failed": failures.then(|| json!({
            "notSent": counts.not_sent,
            "sentButNotDeleted": counts.not_deleted,
            "reasons": reasons,
        })),
        "stopped": stopped,
        "runAgain": run.run_again,
    });
    if let (Some(error), Some(answer)) = (error, answer.as_object_mut()) {
        answer.insert("error".to_owned(), json!(error));
    }
    answer
}

impl RedriveRun<'_> {
    async fn move_messages(&mut self) -> Result<&'static str, Unavailable> {
        let dead_letters = &self.queues.dead_letter_queue;
        let before = dead_letters.depth().await;
        let before = before.map_err(Unavailable::queue("counting dead-letter messages"))?;
        let mut empty = 0;
        while empty < EMPTY_RECEIVES {
            if self.room() == 0 {
                return Ok("limit");
            }
            let now = Instant::now();
            if now >= self.deadline.work {
                // A run that only skipped messages skips the same ones next time.
                self.run_again = self.counts.moved > 0;
                return Ok("time");
            }
            // Until the invocation ends: if this run crashes, the next one must see its
            // messages.
            let visibility_timeout = self.deadline.end.duration_since(now);
            let messages = receive(dead_letters, visibility_timeout).await?;
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            self.process(messages).await?;
        }
        // Another receiver had some, such as a run that crashed.
        self.run_again = !self.reasons.is_empty() || before.in_flight > 0;
        Ok("finished")
    }

    /// How many more messages the limit allows.
    fn room(&self) -> u64 {
        let limit = self.command.limit.map_or(u64::MAX, NonZeroU64::get);
        limit.saturating_sub(self.counts.moved + self.counts.not_deleted)
    }

    fn matches(&self, dead_letter: &DeadLetter) -> bool {
        let (kind, vendor) = (&self.command.error_kind, &self.command.vendor_id);
        let of_vendor = dead_letter.message.as_ref().map(|m| &m.user.vendor_id);
        kind.as_ref()
            .is_none_or(|kind| kind == dead_letter.error_kind())
            && (vendor.is_none() || vendor.as_ref() == of_vendor)
    }

    /// Moves the matching messages of one receive, at most one of each group in a call.
    async fn process(&mut self, messages: Vec<DeadLetter>) -> Result<(), Unavailable> {
        let mut rest = messages;
        while !rest.is_empty() {
            let mut batch: Vec<DeadLetter> = Vec::new();
            let mut later = Vec::new();
            for message in rest {
                let group = message.group();
                if !self.matches(&message) {
                    self.counts.skipped += 1;
                    self.held.insert(group.to_owned());
                } else if self.held.contains(group) {
                    self.counts.held_back += 1;
                } else if batch.iter().any(|one| one.group() == group) {
                    later.push(message);
                } else if self.room() <= batch.len() as u64 {
                    self.counts.held_back += 1;
                    self.held.insert(group.to_owned());
                } else {
                    batch.push(message);
                }
            }
            if !batch.is_empty() {
                self.move_batch(batch).await?;
            }
            rest = later;
        }
        Ok(())
    }

    async fn move_batch(&mut self, batch: Vec<DeadLetter>) -> Result<(), Unavailable> {
        let messages: Vec<_> = batch.iter().map(DeadLetter::redriven).collect();
        let results = self.queues.queue.send_all(&messages).await;
        let sent = self.succeeded(batch.iter(), &results);
        self.counts.not_sent += (batch.len() - sent.len()) as u64;
        if let (true, Some(Err(error))) = (sent.is_empty(), results.first())
            && self.counts.not_sent > MAX_NOT_SENT
        {
            let unavailable = Unavailable::queue("sending to the connector's queue");
            return Err(unavailable(error.clone()));
        }
        let receipts: Vec<_> = sent.iter().map(|one| one.receipt()).collect();
        let results = self.queues.dead_letter_queue.delete(&receipts).await;
        let moved = self.succeeded(sent.iter().copied(), &results);
        self.counts.moved += moved.len() as u64;
        self.counts.not_deleted += (sent.len() - moved.len()) as u64;
        Ok(())
    }

    /// The messages without an error. The groups of the others are held.
    fn succeeded<'m>(
        &mut self,
        messages: impl Iterator<Item = &'m DeadLetter>,
        results: &[Result<(), SqsError>],
    ) -> Vec<&'m DeadLetter> {
        let mut succeeded = Vec::new();
        for (message, result) in messages.zip(results) {
            match result {
                Ok(()) => succeeded.push(message),
                Err(error) => {
                    self.held.insert(message.group().to_owned());
                    self.reasons.insert(error.to_string());
                }
            }
        }
        succeeded
    }
}
