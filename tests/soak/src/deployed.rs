//! A deployed stack with the queues, logs and processes of every connector.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use futures_util::stream::{self, StreamExt as _};
use local_aws::{Depth, Error, Result, Stack, aws::Service};
use reqwest::Method;
use serde_json::{Value, json};

use crate::Crm;

/// How many messages one call to SQS sends or receives at most.
const BATCH: usize = 10;

/// How many lines the local AWS gives at once; it knows no further pages.
const LINES: usize = 10_000;

/// A deployed stack.
pub struct Deployed {
    /// As the harness shows it.
    pub stack: Stack<'static>,
    name: String,
    queues: BTreeMap<Crm, Queues>,
    functions: Vec<String>,
}

struct Queues {
    queue: String,
    dead_letters: String,
}

/// A message in a dead-letter queue.
#[derive(Clone, Debug)]
pub struct Letter {
    /// The message's body.
    pub body: Value,
    /// Its attributes by name.
    pub attributes: BTreeMap<String, String>,
}

impl Letter {
    /// The text of a field of the body.
    pub fn field(&self, key: &str) -> &str {
        self.body.get(key).and_then(Value::as_str).unwrap_or("")
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// What a function logged of one sync.
#[derive(Clone, Debug)]
pub struct SyncLine {
    /// The publisher.
    pub vendor: String,
    /// The reader.
    pub user: String,
    /// The outcome.
    pub outcome: String,
    /// Why.
    pub reason: String,
    /// The most often received of its messages was received so often.
    pub receives: u64,
}

impl Deployed {
    /// Looks up what the harness does not name.
    pub(crate) async fn look_up(stack: Stack<'static>, name: &str) -> Result<Self> {
        let aws = stack.local().aws();
        let listed = aws.call(Service::Sqs, "ListQueues", &json!({})).await?;
        let urls = texts(&listed, "QueueUrls", |url| url.as_str());
        let url = |id: String| {
            let found = urls.iter().find(|url| url.contains(&id));
            found
                .cloned()
                .ok_or_else(|| Error::new(format!("no queue {id}")))
        };
        let mut queues = BTreeMap::new();
        for crm in Crm::ALL {
            let of_crm = Queues {
                queue: url(format!("/{name}-{crm}Queue-"))?,
                dead_letters: url(format!("/{name}-{crm}DeadLetterQueue-"))?,
            };
            queues.insert(crm, of_crm);
        }
        let listed = aws.lambda(Method::GET, "/functions", &Value::Null).await?;
        let functions = texts(&listed, "Functions", |f| f.get("FunctionName")?.as_str());
        let prefix = format!("{name}-");
        let functions = functions.into_iter().filter(|f| f.starts_with(&prefix));
        Ok(Self {
            functions: functions.collect(),
            name: name.to_owned(),
            queues,
            stack,
        })
    }

    fn queues(&self, crm: Crm) -> Result<&Queues> {
        let found = self.queues.get(&crm);
        found.ok_or_else(|| Error::new(format!("no queues of {crm}")))
    }

    async fn sqs(&self, operation: &str, input: &Value) -> Result<Value> {
        let aws = self.stack.local().aws();
        aws.call(Service::Sqs, operation, input).await
    }

    /// How many messages wait for a CRM.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn depth(&self, crm: Crm) -> Result<Depth> {
        let queue = &self.queues(crm)?.queue;
        let input = json!({"QueueUrl": queue, "AttributeNames": ["All"]});
        let output = self.sqs("GetQueueAttributes", &input).await?;
        let count = |name: &str| {
            let value = output.get("Attributes").and_then(|all| all.get(name));
            let count = value.and_then(Value::as_str).and_then(|n| n.parse().ok());
            count.ok_or_else(|| Error::new(format!("no {name} of {queue}")))
        };
        Ok(Depth {
            visible: count("ApproximateNumberOfMessages")?,
            in_flight: count("ApproximateNumberOfMessagesNotVisible")?,
            delayed: count("ApproximateNumberOfMessagesDelayed")?,
        })
    }

    /// Sets an attribute of a CRM's queue.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn set_queue_attribute(&self, crm: Crm, name: &str, value: &str) -> Result<()> {
        let queue = &self.queues(crm)?.queue;
        let input = json!({"QueueUrl": queue, "Attributes": {name: value}});
        self.sqs("SetQueueAttributes", &input).await.map(drop)
    }

    /// Puts messages, each with its group, into a CRM's queue, as the webhook would.
    ///
    /// # Errors
    /// When the local AWS refuses any.
    pub async fn enqueue(&self, crm: Crm, messages: &[(String, String)]) -> Result<()> {
        let queue = &self.queues(crm)?.queue;
        for chunk in messages.chunks(BATCH) {
            let entries = chunk.iter().enumerate().map(|(n, (group, body))| {
                json!({
                    "Id": n.to_string(),
                    "MessageBody": body,
                    "MessageGroupId": group,
                    "MessageDeduplicationId": group,
                })
            });
            let input = json!({"QueueUrl": queue, "Entries": entries.collect::<Vec<_>>()});
            let output = self.sqs("SendMessageBatch", &input).await?;
            let failed = output.get("Failed").and_then(Value::as_array);
            if failed.is_some_and(|failed| !failed.is_empty()) {
                return Err(Error::new(format!("messages were refused: {output}")));
            }
        }
        Ok(())
    }

    /// Takes every dead letter of a CRM out of its queue.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn take_dead_letters(&self, crm: Crm) -> Result<Vec<Letter>> {
        let queue = &self.queues(crm)?.dead_letters;
        let receive = json!({
            "QueueUrl": queue,
            "MaxNumberOfMessages": BATCH,
            "MessageAttributeNames": ["All"],
        });
        let mut letters = Vec::new();
        loop {
            let output = self.sqs("ReceiveMessage", &receive).await?;
            let messages = output.get("Messages").and_then(Value::as_array);
            let messages = messages.map_or(&[][..], Vec::as_slice);
            if messages.is_empty() {
                return Ok(letters);
            }
            for message in messages {
                letters.push(letter(message));
                let handle = message.get("ReceiptHandle").cloned().unwrap_or_default();
                let delete = json!({"QueueUrl": queue, "ReceiptHandle": handle});
                self.sqs("DeleteMessage", &delete).await?;
            }
        }
    }

    /// What a CRM's function logged of its syncs, oldest first.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn syncs(&self, crm: Crm) -> Result<Vec<SyncLine>> {
        let lines = self.lines(crm.name(), "\"A sync ended\"").await?;
        Ok(lines.iter().filter_map(|line| sync_line(line)).collect())
    }

    /// The lines a function wrote that match a pattern of CloudWatch's, oldest
    /// first; all of them where the pattern is empty. The function's name is
    /// the last part of its log group's: `rule`, `webhook` and so on.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn lines(&self, function: &str, pattern: &str) -> Result<Vec<String>> {
        let group = format!("/aws/lambda/{}-{function}", self.name);
        let aws = self.stack.local().aws();
        let mut lines = Vec::new();
        let mut start = 0;
        loop {
            let input = json!({
                "logGroupName": group,
                "filterPattern": pattern,
                "startTime": start,
                "limit": LINES,
            });
            let output = aws.call(Service::Logs, "FilterLogEvents", &input).await?;
            let events = output.get("events").and_then(Value::as_array);
            let events = events.map_or(&[][..], Vec::as_slice);
            let time = |event: &Value| event.get("timestamp").and_then(Value::as_u64);
            let last = events.last().and_then(time).unwrap_or_default();
            let whole = events.len() < LINES || last <= start;
            // Of the last millisecond there may be more, so it is read again.
            let events = events
                .iter()
                .filter(|event| whole || time(event) < Some(last));
            let message = |event: &Value| Some(event.get("message")?.as_str()?.to_owned());
            lines.extend(events.filter_map(message));
            if whole {
                return Ok(lines);
            }
            start = last;
        }
    }

    /// Kills the processes of a function as a crash would: `Rule`, `Webhook`
    /// and so on. Gives how many there were.
    ///
    /// # Errors
    /// When they cannot be listed or killed.
    pub fn kill(&self, function: &str) -> Result<usize> {
        let prefix = format!("{}-{function}Function-", self.name);
        let folder = self.stack.local().authority().parent();
        let folder = folder.map(|folder| format!("{}/", folder.display()));
        let pids: BTreeSet<String> = match (
            self.functions.iter().find(|name| name.starts_with(&prefix)),
            folder,
        ) {
            (Some(name), Some(folder)) => processes(&folder, name)?,
            _ => return Err(Error::new(format!("no function {function}"))),
        };
        if !pids.is_empty() {
            // One may have ended by itself meanwhile, which is as good.
            let _ = Command::new("sh")
                .args(["-c", "kill -KILL \"$@\" 2>/dev/null", "sh"])
                .args(&pids)
                .status();
        }
        Ok(pids.len())
    }

    /// Writes several of the stack's secrets.
    ///
    /// # Errors
    /// When the local AWS refuses any.
    pub async fn put_secrets(&self, secrets: &[(String, Value)]) -> Result<()> {
        let puts = stream::iter(secrets)
            .map(|(name, content)| self.stack.put_secret(name, content))
            .buffer_unordered(8);
        let results: Vec<Result<()>> = puts.collect().await;
        results.into_iter().collect()
    }
}

fn texts(value: &Value, key: &str, read: fn(&Value) -> Option<&str>) -> Vec<String> {
    let list = value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    list.filter_map(read).map(str::to_owned).collect()
}

fn letter(message: &Value) -> Letter {
    let body = message.get("Body").and_then(Value::as_str).unwrap_or("");
    let attributes = message.get("MessageAttributes").and_then(Value::as_object);
    let attributes = attributes
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let value = value.get("StringValue")?.as_str()?;
            Some((name.clone(), value.to_owned()))
        });
    Letter {
        body: serde_json::from_str(body).unwrap_or_else(|_| body.into()),
        attributes: attributes.collect(),
    }
}

fn sync_line(line: &str) -> Option<SyncLine> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| {
        let text = line.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    Some(SyncLine {
        vendor: text("vendor_id"),
        user: text("user_id"),
        outcome: text("outcome"),
        reason: text("reason"),
        receives: line.get("receives").and_then(Value::as_u64).unwrap_or(1),
    })
}

/// The processes of a function of the local AWS that keeps its files in this folder.
fn processes(folder: &str, function: &str) -> Result<BTreeSet<String>> {
    // `e` shows the environment behind the command, `ww` cuts nothing off.
    let listed = Command::new("ps")
        .args(["axeww", "-o", "pid=,command="])
        .output();
    let listed = listed.map_err(|error| Error::new(format!("ps could not be run: {error}")))?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    let variable = format!("AWS_LAMBDA_FUNCTION_NAME={function}");
    let lines = listed.lines().filter_map(|line| {
        let (pid, command) = line.trim_start().split_once(' ')?;
        let named = command.split(' ').any(|word| word == variable);
        (named && command.contains(folder)).then(|| pid.to_owned())
    });
    Ok(lines.collect())
}
