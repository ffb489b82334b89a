//! A connector that does what it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use bench::{Bench, Store};
use serde_json::{Value, json};
use shared::check::Finding;
use shared::consumer::{Account, Changes, Connector, Job, Trail, Whom};
use shared::http::{Api, ApiDescription, ApiError, Authorization, Call, Fault, Method, Url};
use shared::secrets::{FromSecret, Keys, SecretFault};
use shared::sesamy::Reads;
use stand_ins::sesamy::User;

/// The reader every test begins with.
pub const USER: &str = "email|84cc";

/// A bench with a scripted connector whose vendor has one reader, [`USER`].
pub async fn start() -> (Bench<Scripted>, Scripted) {
    let connector = Scripted::default();
    let bench = Bench::new(connector.clone()).await;
    bench
        .sesamy
        .put_user(User::new(USER).email("anna@example.se"));
    bench.put_connector_secret(&json!({ "key": "first" }));
    connector.0.lock().unwrap().secrets = Some(bench.secrets.clone());
    (bench, connector)
}

/// What the scripted connector does with a sync.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes something, delivers every event.
    Do,
    /// Writes nothing but what the CRM refuses.
    Refused(u32),
    Fail(ApiError),
    /// Fails, and the connector's secret is another from now on.
    FailAndRotate(ApiError),
    DeliverThenFail(usize, ApiError),
    Panic,
    Hang,
    /// Calls the CRM at this address.
    Call(Url),
}

#[derive(Debug)]
pub struct Key {
    text: String,
    reads_bills: bool,
}

impl FromSecret for Key {
    fn from_secret(json: &Value) -> Result<Self, SecretFault> {
        Ok(Self {
            text: Keys::of(json)?.text("key")?.to_owned(),
            reads_bills: json.get("bills") == Some(&Value::Bool(true)),
        })
    }
}

/// A connector that does what it was told, per user and in order; by default [`Step::Do`].
#[derive(Clone, Default)]
pub struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    steps: HashMap<String, VecDeque<Step>>,
    /// User, number of events, credentials.
    syncs: Vec<(String, usize, String)>,
    secrets: Option<Store>,
}

impl Scripted {
    /// What to do with the next syncs of a user.
    pub fn script(&self, user: &str, steps: impl IntoIterator<Item = Step>) {
        let mut script = self.0.lock().unwrap();
        script
            .steps
            .insert(user.into(), steps.into_iter().collect());
    }

    /// User and number of events of each sync.
    pub fn syncs(&self) -> Vec<(String, usize)> {
        let script = self.0.lock().unwrap();
        script
            .syncs
            .iter()
            .map(|(user, events, _)| (user.clone(), *events))
            .collect()
    }

    /// The credentials each sync was run with.
    pub fn credentials_used(&self) -> Vec<String> {
        let script = self.0.lock().unwrap();
        script.syncs.iter().map(|(_, _, key)| key.clone()).collect()
    }
}

impl Connector for Scripted {
    const NAME: &'static str = "crm";

    type Credentials = Key;

    fn reads(key: &Key) -> Reads {
        let bills = key.reads_bills;
        Reads { bills }
    }

    async fn sync(&self, job: Job<'_, Self>) -> Result<Changes, ApiError> {
        let user = job.subscriber.user_id.to_string();
        let (step, secrets) = {
            let mut script = self.0.lock().unwrap();
            let sync = (
                user.clone(),
                job.events.all().len(),
                job.credentials.text.clone(),
            );
            script.syncs.push(sync);
            let steps = script.steps.get_mut(&user).and_then(VecDeque::pop_front);
            (steps.unwrap_or(Step::Do), script.secrets.clone())
        };
        match step {
            Step::Do => {
                while !job.events.pending().is_empty() {
                    job.events.mark_delivered();
                }
                Ok(Changes {
                    writes: 1,
                    ..Changes::default()
                })
            }
            Step::Refused(refused_writes) => Ok(Changes {
                refused_writes,
                ..Changes::default()
            }),
            Step::Fail(error) => Err(error),
            Step::FailAndRotate(error) => {
                secrets
                    .unwrap()
                    .put("test/vendor/crm", r#"{"key":"rotated"}"#);
                Err(error)
            }
            Step::DeliverThenFail(count, error) => {
                (0..count).for_each(|_| job.events.mark_delivered());
                Err(error)
            }
            Step::Panic => panic!("scripted"),
            Step::Hang => std::future::pending().await,
            Step::Call(base) => {
                let description = ApiDescription {
                    name: Self::NAME,
                    wall_clock: None,
                };
                let credentials = Authorization::InBody;
                let api = Api::new(job.http, job.vendor, description, &base, credentials);
                api.write(Call::new(Method::POST, "/contacts", &[])).await?;
                Ok(Changes::default())
            }
        }
    }

    async fn check(&self, _: Account<'_, Self>) -> Vec<Finding> {
        vec![Finding::works("CRM")]
    }

    /// Finds a tag and a field; takes the tag off, then does what it was told.
    async fn forget(
        &self,
        _: Account<'_, Self>,
        whom: Whom<'_>,
        trail: &Trail,
    ) -> Result<(), ApiError> {
        let steps = trail.contact(None);
        steps.found(["sesamy_x".to_owned()], ["Sesamy_X"]);
        steps.removed("sesamy_x");
        let step = {
            let mut script = self.0.lock().unwrap();
            script
                .steps
                .get_mut(whom.user.as_str())
                .and_then(VecDeque::pop_front)
        };
        match step {
            None | Some(Step::Do | Step::Refused(_) | Step::Call(_)) => steps.cleared_all(),
            Some(Step::Panic) => panic!("scripted"),
            Some(Step::Hang) => std::future::pending().await,
            Some(
                Step::Fail(error) | Step::FailAndRotate(error) | Step::DeliverThenFail(_, error),
            ) => {
                steps.failed(&error);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// A failed call of the scripted CRM.
pub fn error(fault: Fault) -> ApiError {
    ApiError {
        api: "crm",
        endpoint: "POST /contacts",
        fault,
    }
}
