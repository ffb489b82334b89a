//! A connector that follows a script.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::{Bench, MemorySecrets};
use fakes::sesamy::User;
use serde_json::{Value, json};
use shared::check::CheckItem;
use shared::connector::{
    Account, Changes, Connector, ContactReference, Delivery, ForgetJob, Job, LookupKey,
};
use shared::http::{ApiCall, ApiError, ApiErrorKind, Authorization, Method, Url};
use shared::secrets::{FromSecret, Keys, SecretFault};
use shared::sesamy::Reads;

pub const USER: &str = "email|84cc";

/// The vendor has one user, [`USER`].
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

#[derive(Debug, Clone)]
pub enum Step {
    /// Writes and delivers every event.
    Do,
    /// Makes this many writes, all of which the CRM refuses.
    Refused(u32),
    Fail(ApiError),
    /// Fails, and replaces the connector's secret.
    FailAndRotate(ApiError),
    DeliverThenFail(usize, ApiError),
    Panic,
    Hang,
    DoAfter(Duration),
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
            text: Keys::new(json)?.text("key")?.to_owned(),
            reads_bills: json.get("bills") == Some(&Value::Bool(true)),
        })
    }
}

/// Follows each user's steps, then repeats [`Step::Do`].
#[derive(Clone, Default)]
pub struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    steps: HashMap<String, VecDeque<Step>>,
    /// User, number of events, credentials.
    syncs: Vec<(String, usize, String)>,
    secrets: Option<MemorySecrets>,
    /// For each sync, the reference of the contact at the earlier address.
    earlier: Vec<Option<String>>,
    /// References of contacts that our data was removed from.
    taken_off: Vec<String>,
    /// Numbers of events that were delivered without a sync.
    delivered: Vec<usize>,
    /// The CRM has a contact of every new address already.
    is_taken: bool,
    /// The CRM does not find a contact that events are delivered to.
    is_lost: bool,
}

impl Scripted {
    pub fn script(&self, user: &str, steps: impl IntoIterator<Item = Step>) {
        let mut script = self.0.lock().unwrap();
        script
            .steps
            .insert(user.into(), steps.into_iter().collect());
    }

    /// User and number of events.
    pub fn syncs(&self) -> Vec<(String, usize)> {
        let script = self.0.lock().unwrap();
        script
            .syncs
            .iter()
            .map(|(user, events, _)| (user.clone(), *events))
            .collect()
    }

    /// For each sync, the reference of the contact at the earlier address.
    pub fn earlier(&self) -> Vec<Option<String>> {
        self.0.lock().unwrap().earlier.clone()
    }

    pub fn taken_off(&self) -> Vec<String> {
        self.0.lock().unwrap().taken_off.clone()
    }

    /// Numbers of events that were delivered without a sync.
    pub fn delivered(&self) -> Vec<usize> {
        self.0.lock().unwrap().delivered.clone()
    }

    pub fn take_all_addresses(&self) {
        self.0.lock().unwrap().is_taken = true;
    }

    pub fn lose_contacts(&self) {
        self.0.lock().unwrap().is_lost = true;
    }

    /// One entry per sync.
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
        let user = job.desired.user_id.to_string();
        let (step, secrets) = {
            let mut script = self.0.lock().unwrap();
            let sync = (
                user.clone(),
                job.events.pending().len(),
                job.account.credentials.text.clone(),
            );
            script.syncs.push(sync);
            let earlier = job
                .earlier
                .map(|earlier| earlier.reference.as_str().to_owned());
            script.earlier.push(earlier);
            let steps = script.steps.get_mut(&user).and_then(VecDeque::pop_front);
            (steps.unwrap_or(Step::Do), script.secrets.clone())
        };
        let is_taken = self.0.lock().unwrap().is_taken;
        let earlier = job.earlier.filter(|_| is_taken);
        if let Step::DoAfter(wait) = step {
            tokio::time::sleep(wait).await;
        }
        match step {
            Step::Do | Step::DoAfter(_) => {
                while !job.events.pending().is_empty() {
                    job.events.mark_delivered();
                }
                Ok(Changes {
                    writes: 1,
                    reference: Some(ContactReference::new(format!(
                        "contact of {}",
                        job.desired.email.lookup()
                    ))),
                    left_behind: earlier.map(|earlier| earlier.reference.clone()),
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
                let api = job.account.api(&base, Authorization::InBody);
                api.write(ApiCall::new(Method::POST, "/contacts", &[]))
                    .await?;
                Ok(Changes::default())
            }
        }
    }

    fn delivers(_: &Key) -> bool {
        true
    }

    async fn deliver(&self, delivery: Delivery<'_, Self>) -> Result<bool, ApiError> {
        let mut script = self.0.lock().unwrap();
        if script.is_lost {
            return Ok(false);
        }
        script.delivered.push(delivery.events.pending().len());
        while !delivery.events.pending().is_empty() {
            delivery.events.mark_delivered();
        }
        Ok(true)
    }

    async fn check(&self, _: Account<'_, Self>) -> Vec<CheckItem> {
        vec![CheckItem::works("CRM")]
    }

    /// Finds a tag and a field, removes the tag, then follows the script.
    async fn forget(&self, job: ForgetJob<'_, Self>) -> Result<(), ApiError> {
        if let LookupKey::Reference(reference) = job.by {
            let mut script = self.0.lock().unwrap();
            script.taken_off.push(reference.as_str().to_owned());
        }
        let steps = job.progress.contact(None);
        steps.found(&["sesamy_x".to_owned()], ["Sesamy_X"]);
        steps.removed("sesamy_x");
        let step = {
            let mut script = self.0.lock().unwrap();
            script
                .steps
                .get_mut(job.user.as_str())
                .and_then(VecDeque::pop_front)
        };
        match step {
            None | Some(Step::Do | Step::Refused(_) | Step::Call(_)) => steps.cleared_fields(),
            Some(Step::DoAfter(wait)) => {
                tokio::time::sleep(wait).await;
                steps.cleared_fields();
            }
            Some(Step::Panic) => panic!("scripted"),
            Some(Step::Hang) => std::future::pending().await,
            Some(
                Step::Fail(error) | Step::FailAndRotate(error) | Step::DeliverThenFail(_, error),
            ) => return Err(error),
        }
        Ok(())
    }
}

pub fn error(kind: ApiErrorKind) -> ApiError {
    ApiError {
        api: "crm",
        endpoint: "POST /contacts",
        kind,
    }
}

pub fn status(status: u16) -> ApiError {
    error(ApiErrorKind::Status {
        status,
        code: None,
        wait: None,
    })
}
