//! The laws that every connector keeps, and a bench to test them on.
//!
//! On the bench, the real consumer runs with a connector. Sesamy and the CRMs are
//! strict fakes; secrets and the queue are in memory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench that breaks must fail its test"
)]

mod actions;
mod clock;
mod crm;
mod kill;
pub mod laws;
mod memory;
mod queue;
mod records;
mod seeded;
mod states;
mod store;
mod users;

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use fakes::sesamy::Vendor;
use fakes::{Api, Fakes};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::connector::Connector;
use shared::consumer::Consumer;
use shared::http::Http;
use shared::secrets::Secrets;

pub use clock::TestClock;
pub use crm::{ContactData, EMAIL, ForgetCall, SyncCall, TestedCrm, USER, anna, customer, start};
pub use laws::check::{CheckCase, each_problem_is_found_by_reading};
pub use laws::preview::preview_and_sync;
pub use memory::MemoryTable;
pub use queue::MemoryQueue;
pub use records::{event, event_of, raw, received_at, record, resync, wake_up};
pub use seeded::seeded;
pub use states::{any_state, any_tags, derived, derived_at, our_tags, split_tags};
pub use store::MemorySecrets;
pub use users::users;

pub const VENDOR: &str = "vendor";

/// A connector's consumer with fakes around it.
pub struct Bench<C: Connector> {
    pub fakes: Fakes,
    pub sesamy: Vendor,
    pub secrets: MemorySecrets,
    pub table: MemoryTable,
    pub queue: MemoryQueue,
    pub clock: TestClock,
    consumer: Arc<Consumer<C, MemoryQueue>>,
}

impl<C: Connector> Bench<C> {
    /// The vendor has credentials for Sesamy, but none for the CRM yet.
    pub async fn new(connector: C) -> Self {
        let fakes = Fakes::start().await.unwrap();
        let sesamy = fakes.sesamy().add_vendor(VENDOR, "client", "secret");
        let (secrets, table) = (MemorySecrets::default(), MemoryTable::default());
        let (queue, clock) = (MemoryQueue::default(), TestClock::default());
        let bench = Self {
            consumer: consumer(connector, &secrets, &table, &queue, &clock),
            fakes,
            sesamy,
            secrets,
            table,
            queue,
            clock,
        };
        bench.put_sesamy_secret("secret");
        bench
    }

    /// Replaces the function instance by a new one with empty caches.
    pub fn restart(&mut self, connector: C) {
        self.consumer = consumer(
            connector,
            &self.secrets,
            &self.table,
            &self.queue,
            &self.clock,
        );
    }

    pub fn put_sesamy_secret(&self, client_secret: &str) {
        let urls = self.fakes.urls();
        let secret = json!({
            "clientId": "client",
            "clientSecret": client_secret,
            "apiUrl": urls.sesamy_api,
            "tokenUrl": urls.sesamy_token,
        });
        self.put_secret("sesamy", &secret);
    }

    pub fn put_connector_secret(&self, secret: &Value) {
        self.put_secret(C::NAME, secret);
    }

    fn put_secret(&self, api: &str, secret: &Value) {
        self.secrets.put(&secret_name(api), &secret.to_string());
    }

    /// The requests to one API for review, without credentials and without headers
    /// that differ each time.
    pub fn transcript(&self, api: Api) -> Vec<Value> {
        let requests = self.fakes.requests_to(api).into_iter();
        requests
            .map(|mut request| {
                for varying in ["content-length", "host", "user-agent"] {
                    request.headers.remove(varying);
                }
                json!({
                    "request": format!("{} {}", request.method, request.path),
                    "query": request.query,
                    "headers": request.headers,
                    "body": request.body,
                    "status": request.status,
                })
            })
            .collect()
    }

    /// Method and path of each recorded call to an API, in order. Clears the record.
    pub fn calls(&self, api: Api) -> Vec<String> {
        let requests = self.fakes.requests_to(api).into_iter();
        let calls = requests
            .map(|request| format!("{} {}", request.method, request.path))
            .collect();
        self.fakes.clear_requests();
        calls
    }

    /// Handles one event of a user, which must succeed.
    pub async fn synced(&self, user: &str, event_id: &str) {
        self.handle_successfully(record("1", user, event_id)).await;
    }

    /// A record of a webhook that was received so long ago.
    pub fn received(&self, ago: SignedDuration, record: SqsMessage) -> SqsMessage {
        received_at(record, self.clock.now() - ago)
    }

    /// Syncs the users whose wake-ups are due by now, and returns how many.
    pub async fn fire_wake_ups(&self) -> usize {
        let due = self.table.due(self.clock.now());
        for (n, due) in due.iter().enumerate() {
            let record = wake_up(&n.to_string(), due);
            self.handle_successfully(record).await;
        }
        due.len()
    }

    /// Syncs a user without an event, which must succeed.
    pub async fn resynced(&self, user: &str) {
        self.handle_successfully(resync("1", user)).await;
    }

    async fn handle_successfully(&self, record: SqsMessage) {
        assert_eq!(self.handle([record]).await, [""; 0]);
        assert_eq!(self.queue.dead_letters(), []);
        assert_eq!(self.fakes.violations(), []);
    }

    /// Handles a batch and returns the ids of the records that failed.
    pub async fn handle(&self, records: impl IntoIterator<Item = SqsMessage>) -> Vec<String> {
        self.handle_within(records, Duration::from_secs(60)).await
    }

    /// Returns the metrics as text, and resets them.
    pub fn metrics(&self) -> String {
        format!("{:?}", self.consumer.metrics())
    }

    /// Handles a batch within a time limit and returns the ids that failed.
    pub async fn handle_within(
        &self,
        records: impl IntoIterator<Item = SqsMessage>,
        time_left: Duration,
    ) -> Vec<String> {
        let mut event = SqsEvent::default();
        event.records = records.into_iter().collect();
        let response = self.consumer.clone().handle(event, time_left).await;
        let failures = response.batch_item_failures.into_iter();
        let mut ids: Vec<_> = failures.map(|failure| failure.item_identifier).collect();
        ids.sort();
        ids
    }
}

/// The requests of syncs of all [`users`], each user on a separate bench.
pub async fn transcripts<C: TestedCrm>() -> Vec<(&'static str, Vec<Value>)> {
    let mut transcripts = Vec::new();
    for (name, states) in users() {
        let (bench, _) = start::<C>().await;
        for (n, state) in states.into_iter().enumerate() {
            let user = state.id.clone();
            bench.sesamy.put_user(state);
            bench.synced(&user, &format!("event-{n}")).await;
        }
        transcripts.push((name, bench.transcript(C::API)));
    }
    transcripts
}

pub fn secret_name(api: &str) -> String {
    format!("test/{VENDOR}/{api}")
}

fn consumer<C: Connector>(
    connector: C,
    secrets: &MemorySecrets,
    table: &MemoryTable,
    queue: &MemoryQueue,
    clock: &TestClock,
) -> Arc<Consumer<C, MemoryQueue>> {
    let http = Arc::new(Http::new().unwrap());
    let secrets = Secrets::new(secrets.clone(), "test");
    Arc::new(Consumer::with_clock(
        connector,
        http,
        secrets,
        table.memory(C::NAME),
        queue.clone(),
        {
            let clock = clock.clone();
            move || clock.now()
        },
    ))
}
