//! One queue per connector, every one of which must hold an event before it counts as received.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends as SystemAttribute, MessageSystemAttributeValue,
};
use aws_sdk_sqs::{Client, Config};
use shared::aws;
use shared::message::Message;
use thiserror::Error;
use tokio::task::JoinSet;

/// The longest trace header passed on. Those of X-Ray have about 100 bytes.
const MAX_TRACE_HEADER: usize = 512;

/// What is put into every queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The message in its JSON form.
    pub body: String,
    /// The FIFO message group: the reader, whose events stay in order.
    pub group: String,
    /// What the queue knows a second delivery by, for five minutes.
    pub deduplication_id: String,
    /// The trace this belongs to.
    pub trace: Option<TraceHeader>,
}

impl Entry {
    /// The entry of a message.
    pub fn new(message: &Message, trace: Option<TraceHeader>) -> Self {
        Self {
            body: message.to_json(),
            group: message.reader.message_group(),
            deduplication_id: message.event_id.to_string(),
            trace,
        }
    }
}

/// An X-Ray trace header, of the form that SQS takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeader(String);

impl TraceHeader {
    /// Reads the header that Lambda gives to an invocation. `None` where it is
    /// none: SQS refuses a message with a malformed one, and a trace is not
    /// worth an event.
    pub fn read(header: &str) -> Option<Self> {
        let plain = header.bytes().all(|byte| byte.is_ascii_graphic());
        (header.starts_with("Root=1-") && header.len() <= MAX_TRACE_HEADER && plain)
            .then(|| Self(header.to_owned()))
    }
}

impl fmt::Display for TraceHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A service that keeps queues.
pub trait QueueService: Send + Sync + 'static {
    /// Puts an entry into the queue at `url`. Where it fails, why, in a few
    /// words for a log.
    fn send(&self, url: &str, entry: &Entry) -> impl Future<Output = Result<(), String>> + Send;
}

/// Amazon SQS.
///
/// The client is made at the first send: the SDK compiles its table of AWS's
/// partitions for each client anew, and the first webhook waits no longer for
/// that than the start of the function would.
pub struct Sqs {
    config: Config,
    client: OnceLock<Client>,
}

impl Sqs {
    /// Sends by this configuration, with its timeouts and retries.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            client: OnceLock::new(),
        }
    }
}

impl QueueService for Sqs {
    async fn send(&self, url: &str, entry: &Entry) -> Result<(), String> {
        let new_client = || Client::from_conf(self.config.clone());
        let client = self.client.get_or_init(new_client);
        let mut request = client
            .send_message()
            .queue_url(url)
            .message_body(&entry.body)
            .message_group_id(&entry.group)
            .message_deduplication_id(&entry.deduplication_id);
        let trace = entry.trace.as_ref().and_then(|trace| {
            MessageSystemAttributeValue::builder()
                .data_type("String")
                .string_value(trace.to_string())
                .build()
                .ok()
        });
        if let Some(trace) = trace {
            request = request.message_system_attributes(SystemAttribute::AwsTraceHeader, trace);
        }
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(aws::reason(&error)),
        }
    }
}

/// The addresses of the connectors' queues, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueUrls(Vec<Arc<str>>);

/// There is no queue to put events into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "QUEUE_URLS names no queue; set it to the addresses of the connectors' queues, separated by commas"
)]
pub struct NoQueue;

impl QueueUrls {
    /// Reads addresses separated by commas.
    ///
    /// # Errors
    /// [`NoQueue`] where there is none: every event would seem queued and be lost.
    pub fn read(text: &str) -> Result<Self, NoQueue> {
        let urls: Vec<_> = text
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .map(Arc::from)
            .collect();
        if urls.is_empty() {
            return Err(NoQueue);
        }
        Ok(Self(urls))
    }
}

/// That not every queue holds an entry. Some may: whoever sends again is not
/// in danger of queueing twice, since a queue knows the entry by its
/// deduplication id, and a sync done twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not queued everywhere: {}; check that the queues exist and that the function's role may send to them", .0.join(", "))]
pub struct NotQueued(pub Vec<String>);

/// The queues of all connectors.
pub struct Queues<Q> {
    service: Arc<Q>,
    urls: QueueUrls,
}

impl<Q: QueueService> Queues<Q> {
    /// The queues at these addresses of this service.
    pub fn new(service: Q, urls: QueueUrls) -> Self {
        Self {
            service: Arc::new(service),
            urls,
        }
    }

    /// Puts an entry into every queue, all at the same time.
    ///
    /// # Errors
    /// [`NotQueued`] unless every queue holds it.
    pub async fn send(&self, entry: Entry) -> Result<(), NotQueued> {
        let entry = Arc::new(entry);
        let mut sends = JoinSet::new();
        for url in &self.urls.0 {
            let (service, entry) = (Arc::clone(&self.service), Arc::clone(&entry));
            let url = Arc::clone(url);
            sends.spawn(async move {
                let sent = service.send(&url, &entry).await;
                sent.map_err(|reason| format!("{} ({reason})", name(&url)))
            });
        }
        let mut failed = Vec::new();
        while let Some(send) = sends.join_next().await {
            match send {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => failed.push(reason),
                Err(_) => failed.push("a queue (sending panicked)".to_owned()),
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        failed.sort();
        Err(NotQueued(failed))
    }
}

/// The queue's name: the last part of its address.
fn name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stand_in::{Behaviour, QueueStandIn};

    fn entry() -> Entry {
        Entry {
            body: "{}".to_owned(),
            group: "group".to_owned(),
            deduplication_id: "id".to_owned(),
            trace: None,
        }
    }

    fn queues(service: &QueueStandIn) -> Queues<QueueStandIn> {
        let urls =
            QueueUrls::read("https://sqs/1/a.fifo, https://sqs/1/b.fifo,https://sqs/1/c.fifo");
        Queues::new(service.clone(), urls.unwrap())
    }

    #[tokio::test]
    async fn every_queue_gets_the_entry() {
        let service = QueueStandIn::default();
        assert_eq!(queues(&service).send(entry()).await, Ok(()));
        assert_eq!(service.holding(), ["a.fifo", "b.fifo", "c.fifo"]);
    }

    #[tokio::test]
    async fn a_queue_that_fails_is_told_and_keeps_the_entry_from_no_other() {
        let service = QueueStandIn::default();
        service.behave("b.fifo", Behaviour::Fail);
        let NotQueued(failed) = queues(&service).send(entry()).await.unwrap_err();
        assert_eq!(failed, ["b.fifo (ServiceUnavailable)"]);
        assert_eq!(service.holding(), ["a.fifo", "c.fifo"]);
    }

    #[tokio::test]
    async fn all_queues_that_fail_are_told() {
        let service = QueueStandIn::default();
        for queue in ["a.fifo", "b.fifo"] {
            service.behave(queue, Behaviour::Fail);
        }
        service.behave("c.fifo", Behaviour::Panic);
        let NotQueued(failed) = queues(&service).send(entry()).await.unwrap_err();
        assert_eq!(
            failed,
            [
                "a queue (sending panicked)",
                "a.fifo (ServiceUnavailable)",
                "b.fifo (ServiceUnavailable)"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn queues_are_sent_to_at_the_same_time() {
        let service = QueueStandIn::default();
        for queue in ["a.fifo", "b.fifo", "c.fifo"] {
            service.behave(queue, Behaviour::Take(Duration::from_secs(1)));
        }
        let began = tokio::time::Instant::now();
        queues(&service).send(entry()).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }

    #[test]
    fn queue_urls_are_separated_by_commas_and_at_least_one() {
        let urls = |text| QueueUrls::read(text).map(|QueueUrls(urls)| urls.len());
        assert_eq!(urls("a"), Ok(1));
        assert_eq!(urls(" a , ,b, "), Ok(2));
        for text in ["", " ", ",", " , "] {
            assert_eq!(urls(text), Err(NoQueue), "{text:?}");
        }
    }

    #[test]
    fn a_trace_header_is_passed_on_if_it_is_one() {
        let whole = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:0";
        let long = format!("Root=1-{}", "5".repeat(600));
        let cases = [
            (whole, true),
            ("Root=1-5759e988-bd862e3fe1be46a994272793", true),
            ("", false),
            ("1-5759e988-bd862e3fe1be46a994272793", false),
            ("Root=1-5759e988\nx", false),
            (long.as_str(), false),
        ];
        for (header, passed) in cases {
            assert_eq!(TraceHeader::read(header).is_some(), passed, "{header}");
        }
    }
}
