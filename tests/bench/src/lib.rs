//! A connector's consumer on a bench.
//!
//! Sesamy and the CRMs are strict stand-ins, secrets and the queue are kept in
//! memory where a test can change and look at them; all between is the real
//! thing.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that breaks must fail the test that stands on it"
)]

mod answers;
mod previews;
mod queue;
mod readers;
mod records;
mod seeded;
mod states;
mod store;

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsEvent, SqsMessage};
use serde_json::{Value, json};
use shared::consumer::{Answer, Connector, Consumer, Scope};
use shared::http::Http;
use shared::secrets::Secrets;
use stand_ins::sesamy::Vendor;
use stand_ins::{Api, StandIns};

pub use previews::Held;
pub use queue::Memory;
pub use readers::{EMAIL, readers};
pub use records::{event, event_of, raw, record, resync};
pub use seeded::seeded;
pub use states::{any_state, any_tags, derived, our_tags, split_tags};
pub use store::Store;

/// The vendor every bench has.
pub const VENDOR: &str = "vendor";

/// A consumer of a connector with everything around it.
pub struct Bench<C: Connector> {
    /// Sesamy and the CRMs.
    pub stand_ins: StandIns,
    /// The vendor at Sesamy.
    pub sesamy: Vendor,
    /// The secrets.
    pub secrets: Store,
    /// The queue.
    pub queue: Memory,
    consumer: Arc<Consumer<C, Memory>>,
}

impl<C: Connector> Bench<C> {
    /// A bench whose vendor has Sesamy's credentials, but none of the CRM's yet.
    pub async fn new(connector: C) -> Self {
        let stand_ins = StandIns::start().await.unwrap();
        let sesamy = stand_ins.sesamy().add_vendor(VENDOR, "client", "secret");
        let (secrets, queue) = (Store::default(), Memory::default());
        let bench = Self {
            consumer: consumer(connector, &secrets, &queue),
            stand_ins,
            sesamy,
            secrets,
            queue,
        };
        bench.put_sesamy_secret("secret");
        bench
    }

    /// Puts another function instance in place of this one, which knows nothing of before.
    pub fn restart(&mut self, connector: C) {
        self.consumer = consumer(connector, &self.secrets, &self.queue);
    }

    /// Stores the vendor's Sesamy credentials with this client secret.
    pub fn put_sesamy_secret(&self, client_secret: &str) {
        let urls = self.stand_ins.urls();
        let secret = json!({
            "clientId": "client",
            "clientSecret": client_secret,
            "apiUrl": urls.sesamy_api,
            "tokenUrl": urls.sesamy_token,
        });
        self.put_secret("sesamy", &secret);
    }

    /// Stores the vendor's credentials for the connector.
    pub fn put_connector_secret(&self, secret: &Value) {
        self.put_secret(C::NAME, secret);
    }

    fn put_secret(&self, of: &str, secret: &Value) {
        self.secrets.put(&secret_name(of), &secret.to_string());
    }

    /// The requests to one API, as they are to be reviewed: without what is
    /// different each time and without credentials.
    pub fn transcript(&self, api: Api) -> Vec<Value> {
        let requests = self.stand_ins.requests_to(api).into_iter();
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

    /// Method and path of each call to an API since the last look, in order.
    pub fn calls(&self, api: Api) -> Vec<String> {
        let requests = self.stand_ins.requests_to(api).into_iter();
        let calls = requests.map(|request| format!("{} {}", request.method, request.path));
        let calls = calls.collect();
        self.stand_ins.clear_requests();
        calls
    }

    /// Handles one event of a user. It must be done, and nothing be harmed.
    pub async fn synced(&self, user: &str, event_id: &str) {
        let failures = self.handle([record("1", user, event_id)]).await;
        assert_eq!(failures, [""; 0]);
        assert_eq!(self.queue.dead_letters(), []);
        assert_eq!(self.stand_ins.violations(), []);
    }

    /// Handles a batch with plenty of time; the ids of the records that are not done.
    pub async fn handle(&self, records: impl IntoIterator<Item = SqsMessage>) -> Vec<String> {
        self.handle_within(records, Duration::from_secs(60)).await
    }

    /// The metrics since they were last taken, as text.
    pub fn metrics(&self) -> String {
        format!("{:?}", self.consumer.metrics())
    }

    /// Handles a batch within a time; the ids of the records that are not done.
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

impl<C: Connector> Bench<C> {
    /// Asks the connector's function for something, with plenty of time.
    pub async fn ask(&self, request: Value) -> Answer {
        self.ask_within(request, Duration::from_secs(60)).await
    }

    /// Asks the connector's function for something, within a time.
    pub async fn ask_within(&self, request: Value, time_left: Duration) -> Answer {
        self.ask_through(Scope::Everything, request, time_left)
            .await
    }

    /// Asks the connector's function for something, through one of its aliases.
    pub async fn ask_through(&self, scope: Scope, request: Value, time_left: Duration) -> Answer {
        let consumer = self.consumer.clone();
        consumer.answer(request, scope, time_left).await
    }
}

/// The transcripts of syncs of all [`readers`], each on a bench of its own.
pub async fn transcripts<C: Connector>(
    start: impl AsyncFn() -> Bench<C>,
    api: Api,
) -> Vec<(&'static str, Vec<Value>)> {
    let mut transcripts = Vec::new();
    for (name, states) in readers() {
        let bench = start().await;
        for state in states {
            let user = state.id.clone();
            bench.sesamy.put_user(state);
            bench.synced(&user, "a").await;
        }
        transcripts.push((name, bench.transcript(api)));
    }
    transcripts
}

/// The full name of a secret of [`VENDOR`].
pub fn secret_name(of: &str) -> String {
    format!("test/{VENDOR}/{of}")
}

fn consumer<C: Connector>(
    connector: C,
    secrets: &Store,
    queue: &Memory,
) -> Arc<Consumer<C, Memory>> {
    let http = Arc::new(Http::new().unwrap());
    let secrets = Secrets::new(secrets.clone(), "test");
    Arc::new(Consumer::new(connector, http, secrets, queue.clone()))
}
