//! What all tests stand on: the deployed stack and stand-ins of everything around it.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use local_aws::{
    Built, Connector, Deployment, Error, LocalAws, Manner, Project, Reply, Result, Stack,
    eventually, samples,
};
use serde_json::{Value, json};
use stand_ins::{
    Api, Harm, RecordedRequest, StandIns, mailmojo::MailmojoAccount, make::MakeAccount,
    rule::RuleAccount, sesamy::Vendor,
};
use tokio::{runtime::Runtime, sync::OnceCell};

/// How long something may take that takes seconds: the queue's delay, a poll, a sync.
pub const SOON: Duration = Duration::from_secs(40);

/// The publishers of the tests. They stand here since the webhook's secret lists all of them.
const PUBLISHERS: [&str; 27] = [
    "asked",
    "redriven",
    "arrives",
    "all-three",
    "twice",
    "burst",
    "unauthorized",
    "invalid",
    "too-large",
    "unknown-event",
    "recovers",
    "rejected",
    "poison",
    "poisoned-neighbour",
    "rotated",
    "not-configured",
    "guest",
    "outage",
    "crash",
    "upgraded",
    "permitted",
    "keyless",
    "bare",
    "traced",
    "watched",
    "noisy",
    "neighbour",
];

/// The stack, its surroundings, and all that is needed to deploy another one.
pub struct Stage {
    pub stand_ins: StandIns,
    pub stack: Stack<'static>,
    local: &'static LocalAws,
    built: Built,
}

/// Runs a test on the stage, which is set up by the first that needs it.
///
/// Nothing takes it down: what it started ends with this program.
pub fn on_stage(test: impl AsyncFnOnce(&'static Stage) -> Result<()>) {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    static STAGE: OnceCell<std::result::Result<Stage, String>> = OnceCell::const_new();
    let result = RUNTIME.block_on(async {
        // Also a failure is kept, so that every other test fails at once.
        let stage = STAGE
            .get_or_init(async || Stage::set().await.map_err(|error| error.to_string()))
            .await;
        match stage {
            Ok(stage) => test(stage).await,
            Err(error) => Err(Error::new(format!("no stage: {error}"))),
        }
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

impl Stage {
    async fn set() -> Result<Self> {
        let project = Project::here()?;
        let built = project.build(|_| {}).await?;
        let local = LocalAws::start(&project, Manner::Strict).await?;
        // A static destructor does not exist, and a stack borrows this.
        let local: &'static LocalAws = Box::leak(Box::new(local));
        let stand_ins = StandIns::builder()
            .seed(samples::seed(&project)?)
            .start()
            .await
            .map_err(|error| Error::new(format!("no stand-ins: {error}")))?;
        let mut deployment = Deployment::new("e2e");
        // AWS names a trace for every invocation, a local one only where asked.
        deployment.options.push("Tracing=on".to_owned());
        let stack = local.deploy(&built, &deployment).await?;
        let stage = Self {
            stand_ins,
            stack,
            local,
            built,
        };
        stage.store_secrets(&stage.stack).await?;
        Ok(stage)
    }

    /// Deploys another stack of the same template, for a test to break.
    pub async fn another_stack(&self, name: &str) -> Result<Stack<'static>> {
        let stack = self.stack_without_secrets(&Deployment::new(name)).await?;
        self.store_secrets(&stack).await?;
        Ok(stack)
    }

    /// Deploys a stack that is there once more, with a setting that changes all
    /// of its functions.
    pub async fn upgrade(&self, name: &str) -> Result<()> {
        let mut deployment = Deployment::new(name);
        deployment.log_level = "trace".to_owned();
        self.local.deploy(&self.built, &deployment).await.map(drop)
    }

    /// Deploys another stack, all of its secrets still to be stored.
    pub async fn stack_without_secrets(&self, deployment: &Deployment) -> Result<Stack<'static>> {
        self.local.deploy(&self.built, deployment).await
    }

    /// Stores the secrets of the sample publisher and of every test's.
    pub async fn store_secrets(&self, stack: &Stack<'_>) -> Result<()> {
        let mut secrets: BTreeMap<String, Value> = samples::secrets(self.stand_ins.urls())
            .into_iter()
            .collect();
        let tokens = secrets
            .get_mut("webhook")
            .and_then(|webhook| webhook.get_mut("vendors"))
            .and_then(Value::as_object_mut)
            .ok_or_else(|| Error::new("the sample secret of the webhook lists no vendors"))?;
        for publisher in PUBLISHERS {
            tokens.insert(publisher.to_owned(), json!({"tokens": [token(publisher)]}));
        }
        for publisher in PUBLISHERS {
            secrets.insert(format!("{publisher}/sesamy"), self.sesamy_secret(publisher));
            secrets.insert(
                format!("{publisher}/rule"),
                self.rule_secret(&key(publisher)),
            );
        }
        for (name, content) in &secrets {
            stack.put_secret(name, content).await?;
        }
        Ok(())
    }

    fn sesamy_secret(&self, publisher: &str) -> Value {
        let urls = self.stand_ins.urls();
        json!({
            "clientId": format!("client-of-{publisher}"),
            "clientSecret": "secret",
            "apiUrl": urls.sesamy_api,
            "tokenUrl": urls.sesamy_token,
        })
    }

    /// The content of a publisher's secret for Rule.
    pub fn rule_secret(&self, key: &str) -> Value {
        json!({"apiKey": key, "apiUrl": self.stand_ins.urls().rule})
    }

    /// One of the [`PUBLISHERS`], with accounts at Sesamy and Rule.
    pub fn publisher(&'static self, id: &'static str) -> Publisher {
        assert!(PUBLISHERS.contains(&id), "{id} is not listed");
        let client = format!("client-of-{id}");
        Publisher {
            id,
            sesamy: self.stand_ins.sesamy().add_vendor(id, &client, "secret"),
            rule: self.stand_ins.rule().add_account(id, &key(id)),
            stage: self,
        }
    }
}

/// When every event occurs: two webhooks that are otherwise equal are one.
static MOMENT: LazyLock<String> = LazyLock::new(samples::just_now);

fn token(publisher: &str) -> String {
    format!("token-of-webhooks-of-{publisher}")
}

fn key(publisher: &str) -> String {
    format!("key-of-{publisher}")
}

/// A publisher.
pub struct Publisher {
    pub id: &'static str,
    pub sesamy: Vendor,
    pub rule: RuleAccount,
    stage: &'static Stage,
}

impl Publisher {
    /// Gives the publisher accounts at Mailmojo and Make.as too.
    pub async fn other_crms(&self) -> Result<(MailmojoAccount, MakeAccount)> {
        self.other_crms_of(&self.stage.stack).await
    }

    /// As [`Publisher::other_crms`], for another stack.
    pub async fn other_crms_of(&self, stack: &Stack<'_>) -> Result<(MailmojoAccount, MakeAccount)> {
        let stand_ins = &self.stage.stand_ins;
        let (id, key) = (self.id, key(self.id));
        let mailmojo = stand_ins.mailmojo().add_account(id, &key);
        mailmojo.add_list(42, "Readers");
        let make = stand_ins.make().add_account(id, id, &key);
        make.add_list(77, "Readers");
        let urls = stand_ins.urls();
        let secrets = [
            (
                "mailmojo",
                json!({"apiToken": key, "listId": "42", "apiUrl": urls.mailmojo}),
            ),
            (
                "make",
                json!({"userId": id, "apiKey": key, "listId": "77", "apiUrl": urls.make}),
            ),
        ];
        for (connector, secret) in secrets {
            let name = format!("{id}/{connector}");
            stack.put_secret(&name, &secret).await?;
        }
        Ok((mailmojo, make))
    }

    /// A webhook's body.
    pub fn webhook(&self, event_type: &str, user_id: &str) -> Value {
        json!({
            "eventType": event_type,
            "vendorId": self.id,
            "userId": user_id,
            "occured_at": *MOMENT,
        })
    }

    /// Posts a body as Sesamy would.
    pub async fn post(&self, body: &Value) -> Result<Reply> {
        self.post_to(&self.stage.stack, body).await
    }

    /// Posts a body to another stack.
    pub async fn post_to(&self, stack: &Stack<'_>, body: &Value) -> Result<Reply> {
        let authorization = format!("Bearer {}", token(self.id));
        stack.post(Some(&authorization), body.to_string()).await
    }

    /// Posts what is to be queued, and gives the event's id.
    pub async fn announce(&self, event_type: &str, user_id: &str) -> Result<String> {
        let reply = self.post(&self.webhook(event_type, user_id)).await?;
        assert_eq!(reply.status, 202, "{reply:?}");
        assert_eq!(text(&reply.body, "status"), "queued", "{reply:?}");
        Ok(text(&reply.body, "eventId"))
    }

    /// The publisher's requests to an API, oldest first.
    pub fn requests(&self, api: Api) -> Vec<RecordedRequest> {
        let mut requests = self.stage.stand_ins.requests_to(api);
        requests.retain(|request| request.account.as_deref() == Some(self.id));
        requests
    }

    /// How often a contact's state was written to Rule, which each sync does
    /// once. An event's own upsert carries no tag but that of the event.
    pub fn upserts(&self) -> usize {
        let has_base_tag = |body: &Value| {
            let tags = body.get("tags").and_then(Value::as_array);
            tags.is_some_and(|tags| tags.iter().any(|tag| tag == "sesamy"))
        };
        let requests = self.requests(Api::Rule);
        let upserts = requests
            .iter()
            .filter(|request| request.method == "POST" && request.path == "/v2/subscribers")
            .filter(|request| request.body.as_ref().is_some_and(has_base_tag));
        upserts.count()
    }

    /// Waits until a contact in Rule has a tag.
    pub async fn tag_arrives(&self, email: &str, tag: &str, limit: Duration) -> Result<()> {
        let what = format!("the tag {tag} of {email} at {}", self.id);
        let arrived = eventually(&what, limit, async || {
            let subscriber = self.rule.subscriber(email);
            Ok(subscriber.filter(|found| found.tags.iter().any(|present| present == tag)))
        });
        match arrived.await {
            Ok(_) => Ok(()),
            Err(error) => {
                let mut logs = self.stage.stack.logs(Connector::Rule.function()).await?;
                let worth_telling = [self.id, "\"WARN\"", "\"ERROR\""];
                logs.retain(|line| worth_telling.iter().any(|word| line.contains(word)));
                Err(Error::new(error.to_string()).output(logs))
            }
        }
    }

    /// Waits until the log of Rule's function says this of the publisher.
    pub async fn log_says(&self, what: &str) -> Result<()> {
        let waited_for = format!("{what} in the log lines of {}", self.id);
        let said = eventually(&waited_for, SOON, async || {
            let logs = self.stage.stack.logs(Connector::Rule.function()).await?;
            let mut lines = logs.iter().filter(|line| line.contains(self.id));
            Ok(lines.any(|line| line.contains(what)).then_some(()))
        });
        said.await
    }

    /// What this publisher's CRM would have suffered.
    pub fn harms(&self) -> Vec<Harm> {
        let violations = self.stage.stand_ins.violations().into_iter();
        violations
            .filter(|violation| violation.account.as_deref() == Some(self.id))
            .map(|violation| violation.harm)
            .collect()
    }
}

/// The text at a key, empty where there is none.
pub fn text(value: &Value, key: &str) -> String {
    let text = value.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
