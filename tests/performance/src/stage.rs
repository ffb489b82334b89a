//! Everything around the functions.

use std::path::Path;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use stand_ins::{Api, Fault, StandIns};

use crate::reader::{Payment, reader};
use crate::{Aws, Connector, Error, Function, Instance, Result};

/// First part of the secrets' names.
const PREFIX: &str = "measured";

/// The vendor of the readers.
const VENDOR: &str = "vendor";

/// A webhook as API Gateway hands it over, with a valid token.
const WEBHOOK: &str = include_str!("../../../events/webhook/valid.json");

/// AWS, Sesamy and the CRMs, with a vendor who uses all of them.
pub struct Stage {
    aws: Aws,
    stand_ins: StandIns,
}

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Tokens of Sesamy.
    pub tokens: usize,
    /// Reads of Sesamy's Management API.
    pub reads: usize,
    /// Calls of the CRM.
    pub crm: usize,
}

impl Stage {
    /// Sets it.
    ///
    /// # Errors
    /// When a server cannot be started.
    pub fn set() -> Result<Self> {
        let aws = Aws::start().map_err(Error::io("the stand-in of AWS"))?;
        let stand_ins = StandIns::builder().requests_kept(1_000).start_now();
        let stand_ins = stand_ins.map_err(Error::io("the stand-ins"))?;
        let sesamy = stand_ins.sesamy().add_vendor(VENDOR, "client", "secret");
        sesamy.set_rate_limit(None);
        stand_ins.rule().add_account("account", "key");
        let mailmojo = stand_ins.mailmojo().add_account("account", "token");
        mailmojo.add_list(42, "Readers");
        let make = stand_ins.make().add_account("account", "user", "key");
        make.add_list(77, "Readers");

        let urls = stand_ins.urls();
        let vendors =
            json!({ "vendors": { "nordposten": { "tokens": ["sample-token-of-webhooks"] } } });
        aws.put_secret(&format!("{PREFIX}/webhook"), &vendors);
        let of_vendor = [
            (
                "sesamy",
                json!({
                    "clientId": "client", "clientSecret": "secret",
                    "apiUrl": urls.sesamy_api, "tokenUrl": urls.sesamy_token,
                }),
            ),
            ("rule", json!({ "apiKey": "key", "apiUrl": urls.rule })),
            (
                "mailmojo",
                json!({ "apiToken": "token", "listId": "42", "apiUrl": urls.mailmojo }),
            ),
            (
                "make",
                json!({ "userId": "user", "apiKey": "key", "listId": "77", "apiUrl": urls.make }),
            ),
        ];
        for (name, secret) in &of_vendor {
            aws.put_secret(&format!("{PREFIX}/{VENDOR}/{name}"), secret);
        }
        Ok(Self { aws, stand_ins })
    }

    /// Starts an instance of a function; see [`Instance::start`].
    ///
    /// # Errors
    /// Those of [`Instance::start`].
    pub fn start(&self, function: Function) -> Result<(Instance, crate::Cost)> {
        self.start_binary(function, &function.binary())
    }

    /// The same of another binary of the function.
    ///
    /// # Errors
    /// Those of [`Instance::start`].
    pub fn start_binary(
        &self,
        function: Function,
        binary: &Path,
    ) -> Result<(Instance, crate::Cost)> {
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
            ("SECRET_PREFIX", PREFIX.to_owned()),
            ("LOG_LEVEL", "info".to_owned()),
        ];
        match function {
            Function::HelloWorld => {}
            Function::Webhook => {
                let urls = Connector::ALL.map(|connector| queue(connector.name()));
                environment.push(("QUEUE_URLS", urls.join(",")));
            }
            Function::Consumer(connector) => {
                environment.push(("QUEUE_URL", queue(connector.name())));
                environment.push(("DEAD_LETTER_QUEUE_URL", queue("dead")));
            }
            Function::Operator => {
                let connectors = Connector::ALL.map(|connector| {
                    let name = connector.name();
                    format!("{name}={},{}", queue(name), queue("dead"))
                });
                environment.push(("CONNECTORS", connectors.join(";")));
                environment.push(("RESYNC_TABLE", "measured".to_owned()));
                environment.push(("OPERATOR_QUEUE_URL", queue("operator")));
                environment.push(("SESAMY_REQUESTS_PER_MINUTE", "100".to_owned()));
            }
        }
        Instance::start(function.name(), binary, &environment)
    }

    /// Puts a reader with so many contracts into Sesamy.
    pub fn put_reader(&self, id: &str, contracts: usize, payment: Payment) {
        let vendor = self.stand_ins.sesamy().vendor(VENDOR);
        if let Some(vendor) = vendor {
            vendor.put_user(reader(id, contracts, payment));
        }
    }

    /// An event that a function does its ordinary work for. A connector's is a
    /// batch of one event for each of the readers.
    pub fn event(function: Function, number: usize, readers: &[&str]) -> Bytes {
        let event = match function {
            Function::HelloWorld => json!({}).to_string(),
            Function::Webhook => WEBHOOK.to_owned(),
            Function::Operator => json!({ "action": "status" }).to_string(),
            Function::Consumer(_) => {
                let records = readers.iter().enumerate();
                let records: Vec<_> = records
                    .map(|(n, reader)| record(&format!("{number}-{n}"), reader))
                    .collect();
                json!({ "Records": records }).to_string()
            }
        };
        event.into()
    }

    /// Whether a function has answered that all is done, and done no harm.
    ///
    /// # Errors
    /// When not.
    pub fn check(&self, function: Function, instance: &Instance, answer: &Bytes) -> Result<()> {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        let done = match function {
            Function::HelloWorld => answer.get("message").is_some(),
            Function::Webhook => answer.get("statusCode") == Some(&202.into()),
            Function::Consumer(_) => answer.get("batchItemFailures") == Some(&json!([])),
            Function::Operator => answer.get("error").is_none(),
        };
        if !done {
            return Err(instance.error(format!("answered {answer}")));
        }
        match self.stand_ins.violations().first() {
            None => Ok(()),
            Some(violation) => Err(instance.error(format!("did harm: {violation:?}"))),
        }
    }

    /// Sesamy and the CRMs answer so much later from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.stand_ins.set_latency(latency);
    }

    /// What was called of Sesamy and the CRMs since this was last asked.
    pub fn calls(&self) -> Calls {
        let requests = self.stand_ins.requests();
        self.stand_ins.clear_requests();
        let count = |wanted: fn(Api) -> bool| requests.iter().filter(|it| wanted(it.api)).count();
        Calls {
            tokens: count(|api| api == Api::SesamyToken),
            reads: count(|api| api == Api::Sesamy),
            crm: count(|api| !matches!(api, Api::SesamyToken | Api::Sesamy)),
        }
    }

    /// From now on these faults strike, and no others.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.stand_ins.clear_faults();
        for fault in faults {
            self.stand_ins.fault(fault);
        }
    }

    /// Forgets all readers and all contacts, not the accounts.
    pub fn reset(&self) {
        self.stand_ins.reset();
    }
}

/// A record of the queue as Lambda hands it over, of a change of a contract.
fn record(id: &str, reader: &str) -> Value {
    let message = json!({
        "version": "1",
        "eventId": format!("event-{id}"),
        "vendorId": VENDOR,
        "userId": reader,
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
            "MessageGroupId": reader,
            "MessageDeduplicationId": format!("event-{id}"),
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-north-1:123456789012:measured.fifo",
        "awsRegion": "eu-north-1",
    })
}
