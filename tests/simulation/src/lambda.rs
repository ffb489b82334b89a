//! A model of Lambda's pollers. Each one invokes its own instance, one batch at a time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use jiff::{SignedDuration, Timestamp};
use shared::consumer::{Consumer, Queue};
use shared::sqs::{OutgoingMessage, SqsError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::crm::Crm;
use crate::fifo::{Fifo, Received};

/// `MaximumConcurrency` of the template.
pub const POLLERS: usize = 2;

/// `BatchSize` of the template. A FIFO queue has no batching window.
const BATCH_SIZE: usize = 10;

/// From the template.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Assumed, like [`INVOKE_LATENCY`].
const SQS_LATENCY: Duration = Duration::from_millis(10);
const INVOKE_LATENCY: Duration = Duration::from_millis(5);

pub const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// The queue, shared by pollers and consumers.
#[derive(Debug, Clone)]
pub struct SharedQueue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    fifo: Mutex<Fifo>,
    sent: Notify,
    invocations: Mutex<u64>,
}

impl SharedQueue {
    pub fn new(start: Instant) -> Self {
        Self(Arc::new(Inner {
            start,
            fifo: Mutex::default(),
            sent: Notify::new(),
            invocations: Mutex::default(),
        }))
    }

    pub fn time_of_day(&self) -> Timestamp {
        START + SignedDuration::try_from(self.0.start.elapsed()).unwrap()
    }

    pub fn send(&self, group: &str, body: String) {
        let now = self.0.start.elapsed();
        self.0.fifo.lock().unwrap().send(group, body, now);
        self.0.sent.notify_waiters();
    }

    pub fn inspect<T>(&self, inspect: impl FnOnce(&Fifo) -> T) -> T {
        inspect(&self.0.fifo.lock().unwrap())
    }

    pub fn invocations(&self) -> u64 {
        *self.0.invocations.lock().unwrap()
    }

    /// Waits for a batch.
    async fn receive(&self) -> Vec<Received> {
        loop {
            sleep(SQS_LATENCY).await;
            let sent = self.0.sent.notified();
            let (batch, due) = {
                let mut fifo = self.0.fifo.lock().unwrap();
                let batch = fifo.receive(BATCH_SIZE, self.0.start.elapsed());
                (batch, fifo.next_due())
            };
            if !batch.is_empty() {
                return batch;
            }
            let due = async {
                match due {
                    // This wait also keeps a queue at the in-flight limit from being polled
                    // in a busy loop.
                    Some(due) => sleep_until(self.0.start + due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = sent => {}
                () = due => {}
            }
        }
    }

    /// Polls forever.
    pub async fn poll(self, consumer: Arc<Consumer<Crm, SharedQueue>>) {
        loop {
            let batch = self.receive().await;
            let numbers: Vec<_> = batch.iter().map(|received| received.number).collect();
            sleep(INVOKE_LATENCY).await;
            *self.0.invocations.lock().unwrap() += 1;
            let mut event = SqsEvent::default();
            event.records = batch.into_iter().map(record).collect();
            let answer = consumer.clone().handle(event, TIMEOUT).await;
            // The function writes its metrics after every batch, which resets them.
            drop(consumer.metrics());
            let failed = answer.batch_item_failures.into_iter();
            let failed: HashSet<_> = failed.map(|failure| failure.item_identifier).collect();
            sleep(SQS_LATENCY).await;
            let mut fifo = self.0.fifo.lock().unwrap();
            for number in numbers {
                if !failed.contains(&number.to_string()) {
                    fifo.delete(number);
                }
            }
        }
    }
}

fn record(received: Received) -> SqsMessage {
    let sent_at = START + SignedDuration::try_from(received.sent_at).unwrap();
    let mut message = SqsMessage::default();
    message.message_id = Some(received.number.to_string());
    message.receipt_handle = Some(received.number.to_string());
    message.body = Some(received.body);
    message.attributes = HashMap::from([
        ("SentTimestamp".into(), sent_at.as_millisecond().to_string()),
        (
            "ApproximateReceiveCount".into(),
            received.receives.to_string(),
        ),
        ("MessageGroupId".into(), received.group),
    ]);
    message
}

impl Queue for SharedQueue {
    async fn set_visibility(&self, messages: Vec<(String, Duration)>) {
        if messages.is_empty() {
            return;
        }
        sleep(SQS_LATENCY).await;
        let now = self.0.start.elapsed();
        let mut fifo = self.0.fifo.lock().unwrap();
        for (receipt, wait) in messages {
            // SQS counts whole seconds, and the adapter rounds up.
            let wait = Duration::from_secs(wait.as_millis().div_ceil(1_000).try_into().unwrap());
            fifo.set_visibility(receipt.parse().unwrap(), wait, now);
        }
    }

    async fn delete(&self, receipts: Vec<String>) {
        if receipts.is_empty() {
            return;
        }
        sleep(SQS_LATENCY).await;
        let mut fifo = self.0.fifo.lock().unwrap();
        for receipt in receipts {
            fifo.delete(receipt.parse().unwrap());
        }
    }

    async fn send_dead_letters(&self, messages: Vec<OutgoingMessage>) -> Vec<Result<(), SqsError>> {
        sleep(SQS_LATENCY).await;
        let mut fifo = self.0.fifo.lock().unwrap();
        messages.iter().for_each(|_| fifo.count_dead_letter());
        messages.iter().map(|_| Ok(())).collect()
    }
}
