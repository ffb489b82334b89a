//! A function instance that dies at a certain point of its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use shared::connector::Connector;
use shared::consumer::Consumer;
use shared::http::{ApiErrorKind, Http, RawResponse, Request, ResponseFuture, Transport};
use shared::remembered::{ScheduleResult, TableResult, UserMemory, UserTable, WakeUp, WakeUps};
use shared::secrets::Secrets;
use tokio::sync::Notify;

use crate::{Bench, MemoryTable};

/// Counts the points before and after each call, and stops everything at one of them.
#[derive(Debug, Clone)]
struct Switch(Arc<Points>);

#[derive(Debug)]
struct Points {
    passed: AtomicUsize,
    dies_at: usize,
    is_dead: Notify,
}

impl Switch {
    fn new(dies_at: usize) -> Self {
        Self(Arc::new(Points {
            passed: AtomicUsize::new(0),
            dies_at,
            is_dead: Notify::new(),
        }))
    }

    async fn pass(&self) {
        if self.0.passed.fetch_add(1, Ordering::Relaxed) >= self.0.dies_at {
            self.0.is_dead.notify_one();
            std::future::pending().await
        }
    }

    async fn around<T>(self, call: impl Future<Output = T>) -> T {
        self.pass().await;
        let result = call.await;
        self.pass().await;
        result
    }
}

#[derive(Debug)]
struct Network(reqwest::Client, Switch);

impl Transport for Network {
    fn send(&self, request: Request) -> ResponseFuture {
        let call = self.0.execute(request);
        Box::pin(self.1.clone().around(async move {
            let response = call.await.map_err(|_| ApiErrorKind::Connection)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response
                .bytes()
                .await
                .map_err(|_| ApiErrorKind::Connection)?;
            let mut raw = RawResponse::new(body.to_vec());
            *raw.status_mut() = status;
            *raw.headers_mut() = headers;
            Ok(raw)
        }))
    }
}

#[derive(Clone)]
struct Mortal(MemoryTable, Switch);

impl UserTable for Mortal {
    fn get<'a>(&'a self, key: &'a str) -> TableResult<'a, Option<String>> {
        Box::pin(self.1.clone().around(self.0.get(key)))
    }

    fn put<'a>(&'a self, key: &'a str, text: String) -> TableResult<'a, ()> {
        Box::pin(self.1.clone().around(self.0.put(key, text)))
    }

    fn replace<'a>(
        &'a self,
        key: &'a str,
        old: Option<String>,
        new: String,
    ) -> TableResult<'a, bool> {
        Box::pin(self.1.clone().around(self.0.replace(key, old, new)))
    }

    fn delete<'a>(&'a self, key: &'a str, old: String) -> TableResult<'a, ()> {
        Box::pin(self.1.clone().around(self.0.delete(key, old)))
    }
}

impl WakeUps for Mortal {
    fn set<'a>(&'a self, wake_up: &'a WakeUp) -> ScheduleResult<'a> {
        Box::pin(self.1.clone().around(self.0.set(wake_up)))
    }

    fn cancel<'a>(&'a self, wake_up: &'a WakeUp) -> ScheduleResult<'a> {
        Box::pin(self.1.clone().around(self.0.cancel(wake_up)))
    }

    fn check(&self) -> ScheduleResult<'_> {
        Box::pin(self.1.clone().around(self.0.check()))
    }
}

impl<C: Connector + Default> Bench<C> {
    /// Handles a batch with a new instance that dies before or after one of its calls.
    /// Returns the ids that failed, or `None` if it died before it ended.
    ///
    /// Blocks: the fakes need threads of their own.
    pub fn handle_and_die(&self, records: &[SqsMessage], dies_at: usize) -> Option<Vec<String>> {
        let switch = Switch::new(dies_at);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        // The fakes have no TLS, and reading root certificates takes longer than a sync.
        let client = reqwest::Client::builder().tls_certs_only([]).build();
        // Dropped with the runtime, which ends every task where it waits.
        let network = Network(client.unwrap(), switch.clone());
        let mortal = Mortal(self.table.clone(), switch.clone());
        let clock = self.clock.clone();
        let consumer = Arc::new(Consumer::with_clock(
            C::default(),
            Arc::new(Http::new().unwrap().with_transport(network)),
            Secrets::new(self.secrets.clone(), "test"),
            UserMemory::new(C::NAME, Arc::new(mortal.clone()), Arc::new(mortal)),
            self.queue.clone(),
            move || clock.now(),
        ));
        let mut event = SqsEvent::default();
        event.records = records.to_vec();
        let response = runtime.block_on(async {
            tokio::select! {
                response = consumer.handle(event, Duration::from_secs(60)) => Some(response),
                () = switch.0.is_dead.notified() => None,
            }
        })?;
        let failures = response.batch_item_failures.into_iter();
        Some(failures.map(|failure| failure.item_identifier).collect())
    }
}
