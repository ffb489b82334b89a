//! A model of Lambda's pollers: each hands batches to an instance of its own,
//! one after the other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use jiff::{SignedDuration, Timestamp};
use shared::consumer::{Consumer, DeadLetterMessage, Queue, QueueError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::crm::Crm;
use crate::fifo::{Fifo, Received};

/// `MaximumConcurrency` of the template.
pub const POLLERS: usize = 2;

/// `BatchSize` of the template. A FIFO queue has no batching window.
const BATCH: usize = 10;

/// The template's timeout of the function.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long a call to SQS takes, and Lambda from a batch to its invocation. Assumed.
const SQS_CALL: Duration = Duration::from_millis(10);
const INVOKE: Duration = Duration::from_millis(5);

/// When simulations begin.
pub const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// The queue as pollers and consumers share it.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    fifo: Mutex<Fifo>,
    sent: Notify,
    invocations: Mutex<u64>,
}

impl Shared {
    /// An empty queue from now on.
    pub fn new(start: Instant) -> Self {
        Self(Arc::new(Inner {
            start,
            fifo: Mutex::default(),
            sent: Notify::new(),
            invocations: Mutex::default(),
        }))
    }

    /// The simulated time of day.
    pub fn time_of_day(&self) -> Timestamp {
        START + SignedDuration::try_from(self.0.start.elapsed()).unwrap()
    }

    /// Sends a message.
    pub fn send(&self, group: &str, body: String) {
        let now = self.0.start.elapsed();
        self.0.fifo.lock().unwrap().send(group, body, now);
        self.0.sent.notify_waiters();
    }

    /// Looks at the queue.
    pub fn look<T>(&self, at: impl FnOnce(&Fifo) -> T) -> T {
        at(&self.0.fifo.lock().unwrap())
    }

    /// How often the function was invoked.
    pub fn invocations(&self) -> u64 {
        *self.0.invocations.lock().unwrap()
    }

    /// Receives a batch, once there is one.
    async fn receive(&self) -> Vec<Received> {
        loop {
            sleep(SQS_CALL).await;
            let sent = self.0.sent.notified();
            let (batch, due) = {
                let mut fifo = self.0.fifo.lock().unwrap();
                let batch = fifo.receive(BATCH, self.0.start.elapsed());
                (batch, fifo.next_due())
            };
            if !batch.is_empty() {
                return batch;
            }
            let due = async {
                match due {
                    // Also where all that may be in flight is: not at once again.
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

    /// Polls for ever.
    pub async fn poll(self, consumer: Arc<Consumer<Crm, Shared>>) {
        loop {
            let batch = self.receive().await;
            let numbers: Vec<_> = batch.iter().map(|received| received.number).collect();
            sleep(INVOKE).await;
            *self.0.invocations.lock().unwrap() += 1;
            let mut event = SqsEvent::default();
            event.records = batch.into_iter().map(record).collect();
            let answer = consumer.clone().handle(event, TIMEOUT).await;
            // What a function does after every batch.
            drop(consumer.metrics());
            let failed = answer.batch_item_failures.into_iter();
            let failed: HashSet<_> = failed.map(|failure| failure.item_identifier).collect();
            sleep(SQS_CALL).await;
            let mut fifo = self.0.fifo.lock().unwrap();
            for number in numbers {
                if !failed.contains(&number.to_string()) {
                    fifo.delete(number);
                }
            }
        }
    }
}

/// A message as Lambda hands it over.
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

impl Queue for Shared {
    async fn hide(&self, messages: Vec<(String, Duration)>) {
        if messages.is_empty() {
            return;
        }
        sleep(SQS_CALL).await;
        let now = self.0.start.elapsed();
        let mut fifo = self.0.fifo.lock().unwrap();
        for (receipt, wait) in messages {
            // SQS knows whole seconds, and the consumer rounds up.
            let wait = Duration::from_secs(wait.as_millis().div_ceil(1_000).try_into().unwrap());
            fifo.hide(receipt.parse().unwrap(), wait, now);
        }
    }

    async fn delete(&self, receipts: Vec<String>) {
        if receipts.is_empty() {
            return;
        }
        sleep(SQS_CALL).await;
        let mut fifo = self.0.fifo.lock().unwrap();
        for receipt in receipts {
            fifo.delete(receipt.parse().unwrap());
        }
    }

    async fn send_dead_letters(
        &self,
        messages: Vec<DeadLetterMessage>,
    ) -> Vec<Result<(), QueueError>> {
        sleep(SQS_CALL).await;
        let mut fifo = self.0.fifo.lock().unwrap();
        messages.iter().for_each(|_| fifo.send_dead_letters());
        messages.iter().map(|_| Ok(())).collect()
    }
}
