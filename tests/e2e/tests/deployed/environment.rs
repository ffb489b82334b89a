//! The deployed stack and the fakes around it, which all tests share.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use fakes::{
    Api, Fakes, Fault, RecordedRequest, User, ViolationKind, hubspot::HubSpotAccount,
    mailchimp::AudienceHandle, mailmojo::MailmojoAccount, make::MakeAccount, rule::RuleAccount,
    sesamy::Vendor,
};
use harness::{
    Connector, DeadLetterMessage, Deployer, Deployment, Error, Project, Result, SharedSetup, Stack,
    WebhookReply, eventually, samples, secrets, start_fakes,
};
use serde_json::Value;
use shared::identity::{UserId, VendorId};
use shared::message::UserKey;
use tokio::sync::Mutex;

/// Ample time for the queue's delay, a poll and a sync, which take seconds.
pub const SOON: Duration = Duration::from_secs(90);

/// The publishers that the tests use. The webhook's secret lists all of them.
const PUBLISHERS: [&str; 37] = [
    "asked",
    "redriven",
    "arrives",
    "all-five",
    "twice",
    "burst",
    "unauthorized",
    "invalid",
    "too-large",
    "unknown-event",
    "recovers",
    "rejected",
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
    "started-twice",
    "continued",
    "refusing",
    "stopped",
    "two-batches",
    "expiring",
    "moving",
    "forgotten",
    "clicked",
    "watched-run",
    "explained",
];

/// Locked by tests that start a browser or a program, each of which takes a processor for
/// seconds.
pub static PROCESSES: Mutex<()> = Mutex::const_new(());

pub struct TestEnvironment {
    pub fakes: Fakes,
    pub stack: Stack<'static>,
    deployer: Deployer,
}

pub fn run_test(test: impl AsyncFnOnce(&'static TestEnvironment) -> Result<()>) {
    static SETUP: SharedSetup<TestEnvironment> = SharedSetup::new();
    SETUP.run_test(TestEnvironment::set_up, test);
}

impl TestEnvironment {
    async fn set_up() -> Result<Self> {
        let deployer = Deployer::start(|_| {}).await?;
        let seed = samples::seed(&Project::here()?)?;
        let fakes = start_fakes(Fakes::builder().seed(seed)).await?;
        // AWS gives every invocation a trace id, the local AWS only with this option.
        let deployment = Deployment::new("e2e").option("Tracing=on");
        let stack = deployer.deploy(&deployment).await?;
        let env = Self {
            fakes,
            stack,
            deployer,
        };
        env.store_secrets(&env.stack).await?;
        Ok(env)
    }

    /// Deploys another stack of the same template, for a test to break.
    pub async fn another_stack(&self, name: &str) -> Result<Stack<'static>> {
        let stack = self.stack_without_secrets(&Deployment::new(name)).await?;
        self.store_secrets(&stack).await?;
        Ok(stack)
    }

    pub async fn stack_without_secrets(&self, deployment: &Deployment) -> Result<Stack<'static>> {
        self.deployer.deploy(deployment).await
    }

    /// Deploys a stack again, with another log level, which replaces all functions.
    pub async fn upgrade(&self, name: &str) -> Result<()> {
        let deployment = Deployment::new(name).log_level("trace");
        self.deployer.deploy(&deployment).await.map(drop)
    }

    /// Stores the secrets of the sample publisher and of all [`PUBLISHERS`].
    pub async fn store_secrets(&self, stack: &Stack<'_>) -> Result<()> {
        let urls = self.fakes.urls();
        let mut contents: BTreeMap<_, _> = samples::secrets(urls).into_iter().collect();
        let mut tokens = vec![(samples::VENDOR, vec![samples::TOKEN.to_owned()])];
        for id in PUBLISHERS {
            tokens.push((id, vec![token(id)]));
            let sesamy = secrets::sesamy(urls, &client(id), "secret");
            contents.insert(format!("{id}/sesamy"), sesamy);
            contents.insert(format!("{id}/rule"), secrets::rule(urls, &key(id)));
        }
        contents.insert("webhook".to_owned(), secrets::webhook(tokens));
        stack.put_secrets(contents).await
    }

    /// One of the [`PUBLISHERS`], with accounts at Sesamy and Rule.
    pub fn publisher(&'static self, id: &'static str) -> Publisher {
        assert!(PUBLISHERS.contains(&id), "{id} is not listed");
        Publisher {
            id,
            sesamy: self.fakes.sesamy().add_vendor(id, &client(id), "secret"),
            rule: self.fakes.rule().add_account(id, &key(id)),
            env: self,
        }
    }

    /// The matching messages in Rule's dead-letter queue.
    pub async fn dead_letters(
        &self,
        matches: impl Fn(&DeadLetterMessage) -> bool,
    ) -> Result<Vec<DeadLetterMessage>> {
        let mut messages = self.stack.peek_dead_letters(Connector::Rule).await?;
        messages.retain(matches);
        Ok(messages)
    }

    pub async fn wait_for_dead_letter(
        &self,
        matches: impl Fn(&DeadLetterMessage) -> bool,
    ) -> Result<DeadLetterMessage> {
        // A redrive with a filter hides the messages that it skips for a minute.
        eventually("the dead-letter message", 3 * SOON, async || {
            Ok(self.dead_letters(&matches).await?.pop())
        })
        .await
    }
}

/// The policy of `docs/operate.md` that names a function or alias, for a stack.
pub fn documented_policy(of: &str, stack: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate.md");
    let guide = std::fs::read_to_string(path).unwrap();
    let policies = guide.split("```json\n").skip(1).filter_map(|block| {
        let (policy, _) = block.split_once("```")?;
        let is_policy = policy.contains("lambda:InvokeFunction");
        (is_policy && policy.contains(of)).then_some(policy)
    });
    let [policy] = policies.collect::<Vec<_>>()[..] else {
        panic!("the guide must have exactly one policy of {of}");
    };
    serde_json::from_str(&policy.replace("STACK", stack)).unwrap()
}

/// The time of every event, so that equal webhooks have the same event id.
static MOMENT: LazyLock<String> = LazyLock::new(samples::now_text);

fn token(publisher: &str) -> String {
    format!("token-of-webhooks-of-{publisher}")
}

fn client(publisher: &str) -> String {
    format!("client-of-{publisher}")
}

fn key(publisher: &str) -> String {
    format!("key-of-{publisher}")
}

pub struct Publisher {
    pub id: &'static str,
    pub sesamy: Vendor,
    pub rule: RuleAccount,
    env: &'static TestEnvironment,
}

impl Publisher {
    /// Also gives the publisher accounts at all other CRMs.
    pub async fn other_crms(&self) -> Result<(MailmojoAccount, MakeAccount)> {
        self.other_crms_of(&self.env.stack).await
    }

    pub async fn other_crms_of(&self, stack: &Stack<'_>) -> Result<(MailmojoAccount, MakeAccount)> {
        let fakes = &self.env.fakes;
        let (id, key) = (self.id, key(self.id));
        let mailmojo = fakes.mailmojo().add_account(id, &key);
        mailmojo.add_list(42, "Users");
        let make = fakes.make().add_account(id, id, &key);
        make.add_list(77, "Users");
        let urls = fakes.urls();
        let contents = [
            (format!("{id}/mailmojo"), secrets::mailmojo(urls, &key, 42)),
            (format!("{id}/make"), secrets::make(urls, id, &key, 77)),
        ];
        stack.put_secrets(contents).await?;
        self.newer_crms_of(stack).await?;
        Ok((mailmojo, make))
    }

    /// Also gives the publisher accounts at Mailchimp and HubSpot.
    pub async fn newer_crms(&self) -> Result<(AudienceHandle, HubSpotAccount)> {
        self.newer_crms_of(&self.env.stack).await
    }

    async fn newer_crms_of(&self, stack: &Stack<'_>) -> Result<(AudienceHandle, HubSpotAccount)> {
        let fakes = &self.env.fakes;
        let (id, key) = (self.id, key(self.id));
        let mailchimp = fakes.mailchimp().add_account(id, &key);
        let audience = mailchimp.add_audience("list", "Users");
        let hubspot = fakes.hubspot().add_account(id, &key);
        let urls = fakes.urls();
        let contents = [
            (
                format!("{id}/mailchimp"),
                secrets::mailchimp(urls, &key, "list"),
            ),
            (format!("{id}/hubspot"), secrets::hubspot(urls, &key)),
        ];
        stack.put_secrets(contents).await?;
        Ok((audience, hubspot))
    }

    pub fn put_user(&self, id: &str, email: &str) {
        self.sesamy.put_user(User::new(id).email(email));
    }

    /// A webhook's body.
    pub fn webhook(&self, event_type: &str, user_id: &str) -> Value {
        harness::webhook(event_type, self.id, user_id, &MOMENT)
    }

    /// Posts as Sesamy does: again after a 503, which a busy machine may cause.
    pub async fn post(&self, body: &Value) -> Result<WebhookReply> {
        eventually("an answer of the webhook", SOON, async || {
            let reply = self.post_to(&self.env.stack, body).await?;
            Ok((reply.status != 503).then_some(reply))
        })
        .await
    }

    pub async fn post_to(&self, stack: &Stack<'_>, body: &Value) -> Result<WebhookReply> {
        stack.post_webhook(&token(self.id), body).await
    }

    /// Posts again after a 5xx, as Sesamy does.
    pub async fn post_until_accepted(&self, stack: &Stack<'_>, body: &Value) -> Result<()> {
        eventually("the webhook to be accepted", SOON, async || {
            let reply = self.post_to(stack, body).await?;
            assert!(reply.status == 202 || reply.status >= 500, "{reply:?}");
            Ok((reply.status == 202).then_some(()))
        })
        .await
    }

    /// Posts a webhook that must be queued, and returns the event's id.
    pub async fn announce(&self, event_type: &str, user_id: &str) -> Result<String> {
        let reply = self.post(&self.webhook(event_type, user_id)).await?;
        assert_eq!(reply.status, 202, "{reply:?}");
        assert_eq!(text(&reply.body, "status"), "queued", "{reply:?}");
        Ok(text(&reply.body, "eventId"))
    }

    /// Announces an event `userVendor.1#…` and waits for its tag in Rule.
    pub async fn announce_and_wait(&self, event: &str, user_id: &str, email: &str) -> Result<()> {
        self.announce(&format!("userVendor.1#{event}"), user_id)
            .await?;
        let tag = format!("sesamy_event_uservendor-{event}");
        self.tag_arrives(email, &tag).await
    }

    /// Makes the next upsert at Rule fail.
    pub fn fail_next_upsert(&self, status: u16) {
        let fault = Fault::status(status).on(Api::Rule).method("POST");
        let fault = fault.path("/v2/subscribers").account(self.id);
        self.env.fakes.fault(fault.once());
    }

    /// The publisher's requests to an API, oldest first.
    pub fn requests(&self, api: Api) -> Vec<RecordedRequest> {
        let mut requests = self.env.fakes.requests_to(api);
        requests.retain(|request| request.account.as_deref() == Some(self.id));
        requests
    }

    /// How often a contact's state was written to Rule, which is once per sync. The upsert
    /// of an event has only the event's tag and does not count.
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

    pub async fn assert_no_dead_letters(&self) -> Result<()> {
        let of_publisher = |message: &DeadLetterMessage| message.field("vendorId") == self.id;
        let dead_letters = self.env.dead_letters(of_publisher).await?;
        assert!(dead_letters.is_empty(), "{dead_letters:?}");
        Ok(())
    }

    /// Waits until a contact in Rule has a tag.
    pub async fn tag_arrives(&self, email: &str, tag: &str) -> Result<()> {
        self.tag_arrives_within(SOON, email, tag).await
    }

    pub async fn tag_arrives_within(&self, limit: Duration, email: &str, tag: &str) -> Result<()> {
        let what = format!("the tag {tag} of {email} at {}", self.id);
        let arrived = eventually(&what, limit, async || {
            let subscriber = self.rule.subscriber(email);
            Ok(subscriber.filter(|subscriber| subscriber.tags.iter().any(|other| other == tag)))
        });
        match arrived.await {
            Ok(_) => Ok(()),
            Err(error) => {
                let mut logs = self.env.stack.logs(Connector::Rule.function()).await?;
                let relevant = [self.id, "\"WARN\"", "\"ERROR\""];
                logs.retain(|line| relevant.iter().any(|word| line.contains(word)));
                Err(Error::new(error.to_string()).output(logs))
            }
        }
    }

    /// Waits until a log line of Rule's function about this publisher contains a text.
    pub async fn wait_for_log(&self, text: &str) -> Result<()> {
        let what = format!("{text} in the log lines of {}", self.id);
        let logged = eventually(&what, SOON, async || {
            let logs = self.env.stack.logs(Connector::Rule.function()).await?;
            let mut lines = logs.iter().filter(|line| line.contains(self.id));
            Ok(lines.any(|line| line.contains(text)).then_some(()))
        });
        logged.await
    }

    /// The kinds of harm that requests would have done at this publisher's CRMs.
    pub fn violation_kinds(&self) -> Vec<ViolationKind> {
        let violations = self.env.fakes.violations().into_iter();
        violations
            .filter(|violation| violation.account.as_deref() == Some(self.id))
            .map(|violation| violation.kind)
            .collect()
    }
}

/// The message group of a user, which is also the name of the user's wake-ups.
pub fn group(vendor: &str, user: &str) -> String {
    user_key(vendor, user).message_group()
}

pub fn user_key(vendor: &str, user: &str) -> UserKey {
    UserKey {
        vendor_id: VendorId::try_from(vendor).unwrap(),
        user_id: UserId::try_from(user).unwrap(),
    }
}

/// The string at a key; empty if it is missing.
pub fn text(value: &Value, key: &str) -> String {
    let text = value.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
