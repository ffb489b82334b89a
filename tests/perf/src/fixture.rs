use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use fakes::{Api, Fakes, Fault};
use serde_json::{Value, json};

use crate::fake_aws::FakeAws;
use crate::user::{PaymentState, user};
use crate::{ConnectorKind, Cost, Error, Function, Instance, Result};

const SECRET_PREFIX: &str = "measured";

const VENDOR: &str = "vendor";

/// A webhook with a valid token, as API Gateway passes it on.
const WEBHOOK: &str = include_str!("../../../events/webhook/valid.json");

/// The fakes of AWS, Sesamy and the CRMs. One vendor uses all CRMs.
pub struct Fixture {
    aws: FakeAws,
    fakes: Fakes,
}

/// How often each API was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiCalls {
    pub sesamy_tokens: usize,
    pub sesamy_reads: usize,
    pub crm: usize,
}

impl ApiCalls {
    /// Counts the calls since the last time, and resets the count.
    pub fn take(fakes: &Fakes) -> Self {
        let requests = fakes.requests();
        fakes.clear_requests();
        let count = |counts: fn(Api) -> bool| {
            let counted = requests.iter().filter(|request| counts(request.api));
            counted.count()
        };
        Self {
            sesamy_tokens: count(|api| api == Api::SesamyToken),
            sesamy_reads: count(|api| api == Api::Sesamy),
            crm: count(|api| !matches!(api, Api::SesamyToken | Api::Sesamy)),
        }
    }
}

impl Fixture {
    pub fn start() -> Result<Self> {
        let aws = FakeAws::start().map_err(Error::io("the fake of AWS"))?;
        let fakes = Fakes::builder().requests_kept(1_000).start_now();
        let fakes = fakes.map_err(Error::io("the fakes"))?;
        let sesamy = fakes.sesamy().add_vendor(VENDOR, "client", "secret");
        sesamy.set_rate_limit(None);
        fakes.rule().add_account("account", "key");
        let mailmojo = fakes.mailmojo().add_account("account", "token");
        mailmojo.add_list(42, "Users");
        let make = fakes.make().add_account("account", "user", "key");
        make.add_list(77, "Users");
        let mailchimp = fakes.mailchimp().add_account("account", "key");
        mailchimp.add_audience("list", "Users");
        fakes.hubspot().add_account("account", "token");

        let urls = fakes.urls();
        let secrets = [
            (
                "webhook".to_owned(),
                json!({ "vendors": { "nordposten": { "tokens": ["sample-token-of-webhooks"] } } }),
            ),
            (
                format!("{VENDOR}/sesamy"),
                json!({
                    "clientId": "client", "clientSecret": "secret",
                    "apiUrl": urls.sesamy_api, "tokenUrl": urls.sesamy_token,
                }),
            ),
            (
                format!("{VENDOR}/rule"),
                json!({ "apiKey": "key", "apiUrl": urls.rule }),
            ),
            (
                format!("{VENDOR}/mailmojo"),
                json!({ "apiToken": "token", "listId": "42", "apiUrl": urls.mailmojo }),
            ),
            (
                format!("{VENDOR}/make"),
                json!({ "userId": "user", "apiKey": "key", "listId": "77", "apiUrl": urls.make }),
            ),
            (
                format!("{VENDOR}/mailchimp"),
                json!({
                    "apiKey": "key", "listId": "list", "newStatus": "subscribed",
                    "apiUrl": urls.mailchimp,
                }),
            ),
            (
                format!("{VENDOR}/hubspot"),
                json!({ "accessToken": "token", "apiUrl": urls.hubspot }),
            ),
        ];
        for (name, secret) in &secrets {
            aws.put_secret(&format!("{SECRET_PREFIX}/{name}"), secret);
        }
        Ok(Self { aws, fakes })
    }

    /// Starts the release binary of a function.
    pub fn start_instance(&self, function: Function) -> Result<(Instance, Cost)> {
        self.start_binary(function, &function.binary())
    }

    pub fn start_binary(&self, function: Function, binary: &Path) -> Result<(Instance, Cost)> {
        let queue = |name: &str| format!("{}/123456789012/{name}.fifo", self.aws.url());
        let mut environment = vec![
            ("AWS_LAMBDA_FUNCTION_NAME", function.name().to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "log-group".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "log-stream".to_owned()),
            ("AWS_REGION", "eu-north-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "measured".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "measured".to_owned()),
            ("AWS_SESSION_TOKEN", "measured".to_owned()),
            ("AWS_ENDPOINT_URL", self.aws.url()),
            ("SECRET_PREFIX", SECRET_PREFIX.to_owned()),
            ("LOG_LEVEL", "info".to_owned()),
        ];
        match function {
            Function::HelloWorld | Function::NodeJs | Function::Python => {}
            Function::Webhook => {
                let urls = ConnectorKind::ALL.map(|connector| queue(connector.as_str()));
                environment.push(("QUEUE_URLS", urls.join(",")));
            }
            Function::Consumer(connector) => {
                environment.push(("QUEUE_URL", queue(connector.as_str())));
                environment.push(("DEAD_LETTER_QUEUE_URL", queue("dead")));
                let arn = |resource: &str| format!("arn:aws:{resource}");
                environment.push(("QUEUE_ARN", arn("sqs:eu-north-1:1:measured.fifo")));
                environment.push(("USER_TABLE", "users".to_owned()));
                environment.push(("SCHEDULE_GROUP", "wake-ups".to_owned()));
                environment.push(("SCHEDULE_ROLE_ARN", arn("iam::1:role/wake-ups")));
            }
            Function::Operator => {
                let connectors = ConnectorKind::ALL.map(|connector| {
                    let name = connector.as_str();
                    format!("{name}={},{}", queue(name), queue("dead"))
                });
                environment.push(("CONNECTORS", connectors.join(";")));
                let arn = "arn:aws:states:eu-north-1:1:stateMachine:measured".to_owned();
                environment.push(("RESYNC_STATE_MACHINE_ARN", arn));
                environment.push(("SESAMY_REQUESTS_PER_MINUTE", "100".to_owned()));
            }
            Function::Widgets => {
                let connectors = ConnectorKind::ALL.map(|connector| {
                    let name = connector.as_str();
                    format!("{name}={name}:ask")
                });
                environment.push(("PURPOSE", "show".to_owned()));
                environment.push(("OPERATOR_FUNCTION", "operator:ask".to_owned()));
                environment.push(("ACTIONS_FUNCTION", "actions".to_owned()));
                environment.push(("CONNECTOR_FUNCTIONS", connectors.join(";")));
            }
        }
        Instance::start(
            function.name(),
            binary,
            function.script().as_deref(),
            &environment,
        )
    }

    pub fn put_users(&self, ids: &[String], contracts: usize, payment: PaymentState) {
        if let Some(vendor) = self.fakes.sesamy().vendor(VENDOR) {
            for id in ids {
                vendor.put_user(user(id, contracts, payment));
            }
        }
    }

    /// An event that makes the function do its usual work. For a connector it is a batch
    /// with one message per user.
    pub fn event(function: Function, number: usize, users: &[String]) -> Bytes {
        let event = match function {
            Function::HelloWorld | Function::NodeJs | Function::Python => json!({}).to_string(),
            Function::Webhook => WEBHOOK.to_owned(),
            Function::Operator => json!({ "action": "status" }).to_string(),
            Function::Widgets => {
                json!({ "widgetContext": { "params": { "widget": "runs" } } }).to_string()
            }
            Function::Consumer(_) => {
                let users = users.iter().enumerate();
                let records = users.map(|(n, user)| sqs_record(&format!("{number}-{n}"), user));
                json!({ "Records": records.collect::<Vec<_>>() }).to_string()
            }
        };
        event.into()
    }

    /// Fails unless the response says that the work is done and the fakes recorded no
    /// violation.
    pub fn check(&self, function: Function, instance: &Instance, response: &Bytes) -> Result<()> {
        let response: Value = serde_json::from_slice(response).unwrap_or_default();
        let is_done = match function {
            Function::HelloWorld | Function::NodeJs | Function::Python => {
                response.get("message").is_some()
            }
            Function::Webhook => response.get("statusCode") == Some(&202.into()),
            Function::Consumer(_) => response.get("batchItemFailures") == Some(&json!([])),
            Function::Operator => response.get("error").is_none(),
            Function::Widgets => {
                let page = response.as_str();
                page.is_some_and(|page| page.contains("No resync runs"))
            }
        };
        if !is_done {
            return Err(instance.error(format!("answered {response}")));
        }
        match self.fakes.violations().first() {
            None => Ok(()),
            Some(violation) => Err(instance.error(format!("caused a violation: {violation:?}"))),
        }
    }

    /// Invokes the function with [`Self::event`] and checks the response.
    pub fn invoke(
        &self,
        function: Function,
        instance: &mut Instance,
        number: usize,
        users: &[String],
    ) -> Result<Cost> {
        let (response, cost) = instance.invoke(Self::event(function, number, users))?;
        self.check(function, instance, &response)?;
        Ok(cost)
    }

    /// Delays every response of Sesamy and the CRMs.
    pub fn set_latency(&self, latency: Duration) {
        self.fakes.set_latency(latency);
    }

    /// See [`ApiCalls::take`].
    pub fn take_calls(&self) -> ApiCalls {
        ApiCalls::take(&self.fakes)
    }

    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.fakes.clear_faults();
        for fault in faults {
            self.fakes.fault(fault);
        }
    }

    /// Deletes all users and contacts, but keeps the accounts.
    pub fn reset(&self) {
        self.fakes.reset();
    }
}

fn sqs_record(id: &str, user: &str) -> Value {
    let message = json!({
        "version": "1",
        "eventId": format!("event-{id}"),
        "vendorId": VENDOR,
        "userId": user,
        "receivedAt": "2026-01-15T09:30:01Z",
        "event": { "eventType": "contract.1#update", "occurredAt": "2026-01-15T09:30:00Z" },
    });
    json!({
        "messageId": id,
        "receiptHandle": format!("receipt-{id}"),
        "body": message.to_string(),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1768469401250",
            "MessageGroupId": user,
            "MessageDeduplicationId": format!("event-{id}"),
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-north-1:123456789012:measured.fifo",
        "awsRegion": "eu-north-1",
    })
}
