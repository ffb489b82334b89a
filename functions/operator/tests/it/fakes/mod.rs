//! AWS and Sesamy in memory, below the real clients. Time is tokio's, so tests control it.

pub mod fifo;
pub mod runs;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sqs::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use jiff::{SignedDuration, Timestamp};
use operator::handler::{Operator, Settings};
use serde_json::{Value, json};
use shared::actions::Scope;
use shared::http::{Http, RawResponse, Request, ResponseFuture, Transport};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use fifo::Fifo;
use runs::FakeExecution;

/// The function's timeout, as in the template.
pub const INVOCATION: Duration = Duration::from_secs(60);

/// The vendor of most tests.
pub const VENDOR: &str = "nordposten";

/// How long an empty receive takes.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);

/// Where the function dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// The number of the call, from 0.
    pub call: usize,
    /// How many entries of the call are still done; 0 for nothing at all.
    pub entries: usize,
}

#[derive(Debug, Default)]
pub struct State {
    /// By URL, which is the connector's name, or ends in `-dead`.
    pub queues: BTreeMap<String, Fifo>,
    /// Below the prefix.
    pub secrets: BTreeSet<String>,
    /// The oldest first.
    pub executions: Vec<FakeExecution>,
    /// Executions that the list does not show yet.
    pub hidden: usize,
    /// Sesamy's list, and whether it states its length.
    pub users: Vec<String>,
    pub states_total: bool,
    /// Statuses that the next pages have, with the seconds to wait.
    pub page_errors: Vec<(u16, Option<u64>)>,
    /// When pages were read.
    pub pages: Vec<Instant>,
    /// Calls that are refused, perhaps of one queue: `SendMessageBatch rule`.
    pub broken: HashSet<&'static str>,
    pub latency: Duration,
    pub crash: Option<Crash>,
    /// Since the last [`World::set_crash`].
    pub calls: usize,
}

/// A clone is the same world.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    died: Arc<Notify>,
    operator: Arc<OnceLock<Operator>>,
}

/// A message of the vendor's user, told apart from others by its event.
pub fn body(vendor: &str, user: &str, event: &str) -> String {
    format!(
        r#"{{"version":"1","eventId":"{event}","vendorId":"{vendor}","userId":"{user}","receivedAt":"2026-01-15T09:30:01Z"}}"#
    )
}

/// The wall clock as far ahead as the virtual time is.
fn now() -> Timestamp {
    let ahead = Instant::now().into_std() - std::time::Instant::now();
    Timestamp::now() + SignedDuration::try_from(ahead).unwrap()
}

impl World {
    /// The vendor has secrets for all connectors. `limit` is Sesamy's.
    pub fn new(connectors: &[&str], limit: u32) -> Self {
        let mut state = State {
            latency: Duration::from_millis(10),
            ..State::default()
        };
        for name in connectors.iter().chain(&["sesamy"]) {
            state.secrets.insert(format!("{VENDOR}/{name}"));
        }
        for name in connectors {
            state.queues.insert((*name).to_owned(), Fifo::default());
            state.queues.insert(format!("{name}-dead"), Fifo::default());
        }
        let world = Self {
            state: Arc::new(Mutex::new(state)),
            died: Arc::default(),
            operator: Arc::default(),
        };
        let connector = SharedHttpConnector::new(world.clone());
        let aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-north-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .build();
        let http = Http::new().unwrap().with_transport(world.clone());
        let of = |name: &&str| format!("{name}={name},{name}-dead");
        let settings = Settings {
            connectors: connectors.iter().map(of).collect::<Vec<_>>().join(";"),
            state_machine_arn: "arn:aws:states:eu-north-1:1:stateMachine:resync".to_owned(),
            secret_prefix: "p".to_owned(),
            requests_per_minute: NonZeroU32::new(limit).unwrap(),
        };
        let operator = Operator::new(&aws, Arc::new(http), settings, now).unwrap();
        assert!(world.operator.set(operator).is_ok());
        world
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn queue<T>(&self, name: &str, act: impl FnOnce(&mut Fifo) -> T) -> T {
        act(self.lock().queues.get_mut(name).unwrap())
    }

    /// Invokes the function. `None` if it dies, and the error if it fails.
    pub async fn invoke(&self, event: Value, time: Duration) -> Option<Result<Value, String>> {
        self.invoke_by(Scope::Everything, event, time).await
    }

    pub async fn invoke_by(
        &self,
        scope: Scope,
        event: Value,
        time: Duration,
    ) -> Option<Result<Value, String>> {
        let operator = self.operator.get().unwrap();
        tokio::select! {
            biased;
            () = self.died.notified() => None,
            answer = operator.handle(event, scope, time) => Some(answer.map_err(|error| error.to_string())),
        }
    }

    /// Asks as a person does.
    pub async fn ask(&self, event: Value) -> Value {
        self.invoke(event, INVOCATION).await.unwrap().unwrap()
    }

    /// Counts calls from now on.
    pub fn set_crash(&self, crash: Option<Crash>) {
        let mut state = self.lock();
        state.crash = crash;
        state.calls = 0;
    }

    /// Never returns from the call in which the function dies.
    async fn call(&self, action: &str, input: Value) -> Result<Value, &'static str> {
        let latency = self.lock().latency;
        sleep(latency).await;
        let answer = {
            let mut state = self.lock();
            let call = state.calls;
            state.calls += 1;
            match state.crash.take_if(|crash| crash.call == call) {
                Some(Crash { entries, .. }) => {
                    if entries > 0 {
                        drop(state.act(action, &input, entries));
                    }
                    None
                }
                None => Some(state.act(action, &input, usize::MAX)),
            }
        };
        if let ("StartExecution", Some(Ok(_))) = (action, &answer) {
            self.execute(&input);
        }
        let Some(answer) = answer else {
            self.died.notify_one();
            return std::future::pending().await;
        };
        if answer == Ok(json!({"Messages": []})) {
            sleep(RECEIVE_WAIT).await;
        }
        answer
    }
}

impl State {
    /// Does a call, with a part of its entries.
    fn act(&mut self, action: &str, input: &Value, entries: usize) -> Result<Value, &'static str> {
        let queue = input["QueueUrl"].as_str().unwrap_or_default();
        let broken = [action, &format!("{action} {queue}")];
        if broken.iter().any(|name| self.broken.contains(name)) {
            return Err("AccessDenied");
        }
        if let Some(queue) = self.queues.get_mut(queue) {
            return Ok(queue.act(action, input, entries));
        }
        let secret = input["SecretId"].as_str().unwrap_or_default();
        match action {
            "ListSecrets" => {
                let names = self.secrets.iter();
                let names = names.map(|name| json!({"Name": format!("p/{name}")}));
                Ok(json!({"SecretList": names.collect::<Vec<_>>()}))
            }
            _ if !secret.is_empty() && !self.secrets.contains(&secret[2..]) => {
                Err("ResourceNotFoundException")
            }
            "DescribeSecret" => Ok(json!({})),
            "GetSecretValue" => {
                let credentials = json!({"clientId": "id", "clientSecret": "secret"});
                Ok(json!({"SecretString": credentials.to_string()}))
            }
            "/oauth/token" => Ok(json!({"access_token": "token", "expires_in": 86_400})),
            "/management/users" => Ok(self.users_from(input["offset"].as_u64().unwrap())),
            _ => self.act_on_executions(action, input),
        }
    }

    fn users_from(&mut self, offset: u64) -> Value {
        self.pages.push(Instant::now());
        let users = self.users.iter().skip(offset as usize).take(100);
        let users: Vec<_> = users.map(|id| json!({ "id": id })).collect();
        match self.states_total {
            true => json!({"data": users, "pagination": {"total": self.users.len()}}),
            false => json!(users),
        }
    }
}

impl HttpConnector for World {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap();
        let action = target.rsplit('.').next().unwrap().to_owned();
        let input = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let world = self.clone();
        HttpConnectorFuture::new(async move {
            let (status, answer) = match World::call(&world, &action, input).await {
                Ok(answer) => (200, answer),
                Err(code) => (400, json!({ "__type": code })),
            };
            let body = SdkBody::from(answer.to_string());
            Ok(HttpResponse::new(status.try_into().unwrap(), body))
        })
    }
}

/// Sesamy.
impl Transport for World {
    fn send(&self, request: Request) -> ResponseFuture {
        let (world, url) = (self.clone(), request.url().clone());
        Box::pin(async move {
            let mut query = url.query_pairs();
            let offset = query.find(|(key, _)| key == "offset");
            let offset: u64 = offset.map_or(0, |(_, offset)| offset.parse().unwrap());
            let answer = World::call(&world, url.path(), json!({ "offset": offset })).await;
            let mut response = RawResponse::new(answer.unwrap().to_string().into_bytes());
            let mut state = world.lock();
            if url.path().ends_with("/users") && !state.page_errors.is_empty() {
                let (status, wait) = state.page_errors.remove(0);
                *response.status_mut() = status.try_into().unwrap();
                if let Some(wait) = wait {
                    let wait = wait.to_string().parse().unwrap();
                    response.headers_mut().insert("retry-after", wait);
                }
            }
            Ok(response)
        })
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("World")
    }
}
