//! One queue per connector. An event counts as received once every queue holds it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_sdk_sqs::{Client, Config};
use shared::sqs::{OutgoingMessage, SqsQueue};
use thiserror::Error;
use tokio::task::JoinSet;

/// X-Ray's headers have about 100 bytes.
const MAX_TRACE_HEADER: usize = 512;

/// An X-Ray trace header in a form that SQS accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeader(String);

impl TraceHeader {
    /// `None` for any other form: SQS would refuse the message, and a trace is
    /// not worth losing an event.
    pub fn parse(header: &str) -> Option<Self> {
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

pub trait QueueService: Send + Sync + 'static {
    /// The error is a short reason for the log.
    fn send(
        &self,
        url: &str,
        message: &OutgoingMessage,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// Amazon SQS.
///
/// Creates the client at the first send: the SDK compiles its table of AWS's
/// partitions for each client, which would slow the start of the function.
pub struct Sqs {
    config: Config,
    client: OnceLock<Client>,
}

impl Sqs {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            client: OnceLock::new(),
        }
    }
}

impl QueueService for Sqs {
    async fn send(&self, url: &str, message: &OutgoingMessage) -> Result<(), String> {
        let new_client = || Client::from_conf(self.config.clone());
        let client = self.client.get_or_init(new_client).clone();
        let sent = SqsQueue::new(client, url).send(message).await;
        sent.map_err(|error| error.to_string())
    }
}

/// At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueUrls(Vec<Arc<str>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "QUEUE_URLS names no queue; set it to the addresses of the connectors' queues, separated by commas"
)]
pub struct NoQueue;

impl QueueUrls {
    /// Parses comma-separated addresses. Without any, every event would count as
    /// queued and be lost.
    pub fn parse(text: &str) -> Result<Self, NoQueue> {
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

/// At least one send failed; the others may have succeeded. Sending again is
/// safe: each queue drops a second message with the same deduplication id, and a
/// repeated sync changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not queued everywhere: {}; check that the queues exist and that the function's role may send to them", .0.join(", "))]
pub struct NotQueued(pub Vec<String>);

/// The queues of all connectors.
pub struct Queues<Q> {
    service: Arc<Q>,
    urls: QueueUrls,
}

impl<Q: QueueService> Queues<Q> {
    pub fn new(service: Q, urls: QueueUrls) -> Self {
        Self {
            service: Arc::new(service),
            urls,
        }
    }

    /// Sends to every queue, in parallel.
    pub async fn send(&self, message: OutgoingMessage) -> Result<(), NotQueued> {
        let message = Arc::new(message);
        let mut sends = JoinSet::new();
        for url in &self.urls.0 {
            let (service, message) = (Arc::clone(&self.service), Arc::clone(&message));
            let url = Arc::clone(url);
            sends.spawn(async move {
                let sent = service.send(&url, &message).await;
                sent.map_err(|reason| format!("{} ({reason})", queue_name(&url)))
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

fn queue_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fake::{Behaviour, QueueFake};

    fn message() -> OutgoingMessage {
        OutgoingMessage {
            body: "{}".to_owned(),
            group: "group".to_owned(),
            deduplication_id: "id".to_owned(),
            attributes: Vec::new(),
            trace: None,
        }
    }

    fn queues(service: &QueueFake) -> Queues<QueueFake> {
        let urls =
            QueueUrls::parse("https://sqs/1/a.fifo, https://sqs/1/b.fifo,https://sqs/1/c.fifo");
        Queues::new(service.clone(), urls.unwrap())
    }

    #[tokio::test]
    async fn every_queue_gets_the_message() {
        let service = QueueFake::default();
        assert_eq!(queues(&service).send(message()).await, Ok(()));
        assert_eq!(service.filled_queues(), ["a.fifo", "b.fifo", "c.fifo"]);
    }

    #[tokio::test]
    async fn failing_queue_is_named_and_the_others_get_the_message() {
        let service = QueueFake::default();
        service.set_behaviour("b.fifo", Behaviour::Fail);
        let NotQueued(failed) = queues(&service).send(message()).await.unwrap_err();
        assert_eq!(failed, ["b.fifo (ServiceUnavailable)"]);
        assert_eq!(service.filled_queues(), ["a.fifo", "c.fifo"]);
    }

    #[tokio::test]
    async fn all_failing_queues_are_named() {
        let service = QueueFake::default();
        for queue in ["a.fifo", "b.fifo"] {
            service.set_behaviour(queue, Behaviour::Fail);
        }
        service.set_behaviour("c.fifo", Behaviour::Panic);
        let NotQueued(failed) = queues(&service).send(message()).await.unwrap_err();
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
    async fn messages_are_sent_in_parallel() {
        let service = QueueFake::default();
        for queue in ["a.fifo", "b.fifo", "c.fifo"] {
            service.set_behaviour(queue, Behaviour::Delay(Duration::from_secs(1)));
        }
        let began = tokio::time::Instant::now();
        queues(&service).send(message()).await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }

    #[test]
    fn queue_urls_are_comma_separated_and_not_empty() {
        let urls = |text| QueueUrls::parse(text).map(|QueueUrls(urls)| urls.len());
        assert_eq!(urls("a"), Ok(1));
        assert_eq!(urls(" a , ,b, "), Ok(2));
        for text in ["", " ", ",", " , "] {
            assert_eq!(urls(text), Err(NoQueue), "{text:?}");
        }
    }

    #[test]
    fn only_a_valid_trace_header_is_passed_on() {
        let full = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:0";
        let long = format!("Root=1-{}", "5".repeat(600));
        let cases = [
            (full, true),
            ("Root=1-5759e988-bd862e3fe1be46a994272793", true),
            ("", false),
            ("1-5759e988-bd862e3fe1be46a994272793", false),
            ("Root=1-5759e988\nx", false),
            (long.as_str(), false),
        ];
        for (header, passed) in cases {
            assert_eq!(TraceHeader::parse(header).is_some(), passed, "{header}");
        }
    }
}
