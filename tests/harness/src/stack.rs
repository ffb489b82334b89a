//! A deployed stack, as its users and operators see it.

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use fakes::Urls;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    Connector, Deployment, Error, Function, LocalAws, Result,
    aws::{Aws, REGION, Service, list, text},
    process::Process,
    secrets,
};

/// SQS's limit of messages per call.
const MAX_MESSAGES: usize = 10;

/// How many log lines the local AWS returns per call. It has no pagination.
const MAX_LINES: usize = 10_000;

/// The stack's outputs by name.
#[derive(Clone, Debug)]
pub(crate) struct Outputs(BTreeMap<String, String>);

impl Outputs {
    /// Parses what `sam list stack-outputs --output json` prints.
    pub fn parse(json: &str) -> Result<Self> {
        let outputs = serde_json::from_str::<Value>(json).ok();
        let outputs = outputs.as_ref().and_then(Value::as_array).map(|outputs| {
            let pairs = outputs.iter().filter_map(|output| {
                let key = text(output, "/OutputKey")?;
                let value = text(output, "/OutputValue")?;
                Some((key.to_owned(), value.to_owned()))
            });
            Self(pairs.collect())
        });
        outputs.ok_or_else(|| Error::new(format!("not a list of outputs: {json}")))
    }

    fn get(&self, name: &str) -> Result<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.ok_or_else(|| Error::new(format!("the stack has no output {name}")))
    }
}

/// An answer from the deployed API.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookReply {
    pub status: u16,
    pub retry_after: Option<String>,
    /// Null if it is not JSON.
    pub body: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    pub visible: u64,
    pub in_flight: u64,
    pub delayed: u64,
}

impl QueueDepth {
    pub const fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// A message to put into a connector's queue, which deduplicates it by its body.
#[derive(Clone, Debug)]
pub struct FifoMessage {
    pub group: String,
    pub body: String,
}

/// A message received from a dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetterMessage {
    /// A string if the body is not JSON.
    pub body: Value,
    pub attributes: BTreeMap<String, String>,
}

impl DeadLetterMessage {
    fn parse(message: &Value) -> Self {
        let body = text(message, "/Body").unwrap_or_default();
        let attributes = message.get("MessageAttributes").and_then(Value::as_object);
        let attributes = attributes.into_iter().flatten();
        let attributes = attributes.filter_map(|(name, value)| {
            let value = text(value, "/StringValue")?;
            Some((name.clone(), value.to_owned()))
        });
        Self {
            body: serde_json::from_str(body).unwrap_or_else(|_| body.into()),
            attributes: attributes.collect(),
        }
    }

    /// A string in the body; empty if it is missing.
    pub fn field(&self, key: &str) -> &str {
        let value = self.body.get(key).and_then(Value::as_str);
        value.unwrap_or_default()
    }

    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// One sync, as a connector's function logged it.
#[derive(Clone, Debug)]
pub struct LoggedSync {
    pub vendor: String,
    pub user: String,
    /// The ids of its messages.
    pub messages: Vec<String>,
    pub outcome: String,
    pub reason: String,
    /// The largest receive count of its messages.
    pub receives: u64,
}

impl LoggedSync {
    fn parse(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| {
            let text = line.get(key).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        Some(Self {
            vendor: text("vendor_id"),
            user: text("user_id"),
            messages: text("event_ids").split(',').map(str::to_owned).collect(),
            outcome: text("outcome"),
            reason: text("reason"),
            receives: line.get("receives").and_then(Value::as_u64).unwrap_or(1),
        })
    }
}

pub struct Stack<'a> {
    local: &'a LocalAws,
    name: String,
    outputs: Outputs,
}

impl<'a> Stack<'a> {
    pub(crate) fn new(local: &'a LocalAws, deployment: &Deployment, outputs: Outputs) -> Self {
        Self {
            local,
            name: deployment.name.clone(),
            outputs,
        }
    }

    pub const fn local(&self) -> &'a LocalAws {
        self.local
    }

    async fn sqs(&self, operation: &str, input: &Value) -> Result<Value> {
        let aws = self.local.aws();
        aws.call(Service::Sqs, operation, input).await
    }

    /// The output `WebhookUrl`, which has the host name that AWS would use.
    pub fn webhook_url(&self) -> Result<&str> {
        self.outputs.get("WebhookUrl")
    }

    /// The address of the same API on this machine.
    pub fn local_webhook_url(&self) -> Result<String> {
        let (host, path) = self.webhook_address()?;
        let endpoint = self.local.aws().endpoint();
        let (scheme, _) = endpoint.split_once(':').unwrap_or(("https", ""));
        Ok(format!("{scheme}://{host}{path}"))
    }

    /// The API's host name in the local AWS, and the webhook's path.
    fn webhook_address(&self) -> Result<(String, String)> {
        let url = self.webhook_url()?;
        let parts = || {
            let (host, path) = url.strip_prefix("https://")?.split_once('/')?;
            let (id, _) = host.split_once(".execute-api.")?;
            let port = self.local.port();
            Some((
                format!("{id}.execute-api.localhost:{port}"),
                format!("/{path}"),
            ))
        };
        parts().ok_or_else(|| Error::new(format!("WebhookUrl is not the address of an API: {url}")))
    }

    /// Posts a body to the webhook.
    pub async fn post(
        &self,
        authorization: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> Result<WebhookReply> {
        let (host, path) = self.webhook_address()?;
        // Not every machine resolves names under localhost, so only the header has the
        // host name.
        let url = format!("{}{path}", self.local.aws().endpoint());
        let mut request = self.local.aws().http().post(url);
        request = request
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let failed = |error: reqwest::Error| {
            Error::new(format!("the deployed API did not answer: {error:?}"))
                .output(self.local.last_lines())
        };
        let answer = request.body(body).send().await.map_err(failed)?;
        let retry_after = answer.headers().get(header::RETRY_AFTER);
        Ok(WebhookReply {
            status: answer.status().as_u16(),
            retry_after: retry_after
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            body: serde_json::from_str(&answer.text().await.map_err(failed)?).unwrap_or_default(),
        })
    }

    /// Posts a webhook as Sesamy does.
    pub async fn post_webhook(&self, token: &str, body: &Value) -> Result<WebhookReply> {
        let authorization = format!("Bearer {token}");
        self.post(Some(&authorization), body.to_string()).await
    }

    /// The full name of one of the stack's secrets.
    pub fn secret_name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.name)
    }

    /// Writes one of the stack's secrets, `webhook` or `{vendorId}/{api}`.
    pub async fn put_secret(&self, rest: &str, content: &Value) -> Result<()> {
        let name = self.secret_name(rest);
        self.local.put_secret(&name, content).await
    }

    pub async fn put_secrets(
        &self,
        secrets: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<()> {
        let puts = stream::iter(secrets)
            .map(async |(name, content)| self.put_secret(&name, &content).await);
        puts.buffer_unordered(8).try_collect().await
    }

    /// The content of one of the stack's secrets.
    pub async fn secret(&self, rest: &str) -> Result<String> {
        let input = json!({"SecretId": self.secret_name(rest)});
        let aws = self.local.aws();
        let output = aws.call(Service::Secrets, "GetSecretValue", &input).await?;
        let content = text(&output, "/SecretString").unwrap_or_default();
        Ok(content.to_owned())
    }

    pub async fn delete_secret(&self, rest: &str) -> Result<()> {
        self.local.delete_secret(&self.secret_name(rest)).await
    }

    /// Runs `onboard` or `offboard` for a publisher, with answers to its questions.
    /// Returns what it printed.
    pub async fn run_for(
        &self,
        program: &str,
        vendor: &str,
        urls: &Urls,
        answers: &[&str],
    ) -> Result<String> {
        let args = [program, "--vendor", vendor];
        let api_urls = secrets::api_urls(urls).to_string();
        self.run_program(&args, &[("API_URLS", &api_urls)], answers)
            .await
    }

    /// Runs `verify` and returns what it printed.
    pub async fn verify(&self) -> Result<String> {
        self.run_program(&["verify"], &[], &[]).await
    }

    async fn run_program(
        &self,
        args: &[&str],
        variables: &[(&str, &str)],
        answers: &[&str],
    ) -> Result<String> {
        let args = [args, &["--stack", &self.name, "--region", REGION]].concat();
        let printed = self.local.run_program(&args, variables, answers).await?;
        Ok(printed.join("\n"))
    }

    pub fn queue_url(&self, connector: Connector) -> Result<&str> {
        self.outputs.get(&format!("{connector}QueueUrl"))
    }

    pub fn dead_letter_queue_url(&self, connector: Connector) -> Result<&str> {
        self.outputs.get(&format!("{connector}DeadLetterQueueUrl"))
    }

    pub async fn queue_depth(&self, connector: Connector) -> Result<QueueDepth> {
        self.depth(self.queue_url(connector)?).await
    }

    pub async fn dead_letter_depth(&self, connector: Connector) -> Result<QueueDepth> {
        self.depth(self.dead_letter_queue_url(connector)?).await
    }

    async fn depth(&self, queue: &str) -> Result<QueueDepth> {
        let input = json!({"QueueUrl": queue, "AttributeNames": ["All"]});
        let output = self.sqs("GetQueueAttributes", &input).await?;
        let count = |name: &str| {
            let value = text(&output, &format!("/Attributes/{name}"));
            value.and_then(|value| value.parse().ok())
        };
        let depth = || {
            Some(QueueDepth {
                visible: count("ApproximateNumberOfMessages")?,
                in_flight: count("ApproximateNumberOfMessagesNotVisible")?,
                delayed: count("ApproximateNumberOfMessagesDelayed")?,
            })
        };
        depth().ok_or_else(|| Error::new(format!("{queue} has no depth in {output}")))
    }

    /// Returns up to ten dead-letter messages and leaves them in the queue.
    pub async fn peek_dead_letters(&self, connector: Connector) -> Result<Vec<DeadLetterMessage>> {
        let input = json!({
            "QueueUrl": self.dead_letter_queue_url(connector)?,
            "MaxNumberOfMessages": MAX_MESSAGES,
            "VisibilityTimeout": 0,
            "MessageAttributeNames": ["All"],
        });
        let output = self.sqs("ReceiveMessage", &input).await?;
        let messages = list(&output, "/Messages").iter();
        Ok(messages.map(DeadLetterMessage::parse).collect())
    }

    /// Returns all dead-letter messages and deletes them.
    pub async fn take_dead_letters(&self, connector: Connector) -> Result<Vec<DeadLetterMessage>> {
        let queue = self.dead_letter_queue_url(connector)?;
        let receive = json!({
            "QueueUrl": queue,
            "MaxNumberOfMessages": MAX_MESSAGES,
            "MessageAttributeNames": ["All"],
        });
        let mut taken = Vec::new();
        loop {
            let output = self.sqs("ReceiveMessage", &receive).await?;
            let messages = list(&output, "/Messages");
            if messages.is_empty() {
                return Ok(taken);
            }
            for message in messages {
                taken.push(DeadLetterMessage::parse(message));
                let handle = message.get("ReceiptHandle");
                let delete = json!({"QueueUrl": queue, "ReceiptHandle": handle});
                self.sqs("DeleteMessage", &delete).await?;
            }
        }
    }

    /// Sends messages, valid or not, to a connector's queue.
    pub async fn enqueue(&self, connector: Connector, messages: &[FifoMessage]) -> Result<()> {
        let without_ids = messages.iter().map(|message| (message, None));
        self.send(connector, &without_ids.collect::<Vec<_>>()).await
    }

    /// Sends a message with a deduplication id of its own.
    pub async fn enqueue_as(
        &self,
        connector: Connector,
        message: &FifoMessage,
        deduplication_id: &str,
    ) -> Result<()> {
        self.send(connector, &[(message, Some(deduplication_id))])
            .await
    }

    async fn send(
        &self,
        connector: Connector,
        messages: &[(&FifoMessage, Option<&str>)],
    ) -> Result<()> {
        let queue = self.queue_url(connector)?;
        for chunk in messages.chunks(MAX_MESSAGES) {
            let entries = chunk.iter().enumerate().map(|(index, (message, id))| {
                let mut entry = json!({
                    "Id": index.to_string(),
                    "MessageBody": message.body,
                    "MessageGroupId": message.group,
                });
                if let (Some(id), Some(entry)) = (id, entry.as_object_mut()) {
                    entry.insert("MessageDeduplicationId".to_owned(), (*id).into());
                }
                entry
            });
            let input = json!({"QueueUrl": queue, "Entries": entries.collect::<Vec<_>>()});
            let output = self.sqs("SendMessageBatch", &input).await?;
            if !list(&output, "/Failed").is_empty() {
                return Err(Error::new(format!("messages were refused: {output}")));
            }
        }
        Ok(())
    }

    pub async fn set_queue_attribute(
        &self,
        connector: Connector,
        name: &str,
        value: &str,
    ) -> Result<()> {
        let input = json!({"QueueUrl": self.queue_url(connector)?, "Attributes": {name: value}});
        self.sqs("SetQueueAttributes", &input).await.map(drop)
    }

    /// Deletes a connector's queue, which makes the webhook fail.
    pub async fn delete_queue(&self, connector: Connector) -> Result<()> {
        let input = json!({"QueueUrl": self.queue_url(connector)?});
        self.sqs("DeleteQueue", &input).await.map(drop)
    }

    /// Enables or disables a connector's event source.
    pub async fn set_receiving(&self, connector: Connector, receiving: bool) -> Result<()> {
        let function = self.function_name(connector.function()).await?;
        let aws = self.local.aws();
        let path = format!("/event-source-mappings?FunctionName={function}");
        let mappings = aws.lambda(Method::GET, &path, &Value::Null).await?;
        let id = text(&mappings, "/EventSourceMappings/0/UUID");
        let id = id.ok_or_else(|| Error::new(format!("{function} has no event source")))?;
        let path = format!("/event-source-mappings/{id}");
        let enabled = json!({"Enabled": receiving});
        aws.lambda(Method::PUT, &path, &enabled).await.map(drop)
    }

    /// Invokes a function. An error that the function returns counts as an answer.
    pub async fn invoke(&self, function: Function, event: &Value) -> Result<Value> {
        let name = self.function_name(function).await?;
        let answer = self.local.aws().invoke(&name, event).await?;
        answer.ok_or_else(|| Error::new(format!("invoking {function} is not allowed")))
    }

    /// The variable of a function's environment.
    pub async fn variable(&self, function: Function, name: &str) -> Result<String> {
        let details = self.function_details(function).await?;
        let value = text(&details, &format!("/Environment/Variables/{name}"));
        let value = value.ok_or_else(|| Error::new(format!("{function} has no variable {name}")));
        value.map(str::to_owned)
    }

    /// The output `UserTableName`.
    pub fn user_table(&self) -> Result<&str> {
        self.outputs.get("UserTableName")
    }

    /// The text of an item of the table of what is remembered of users.
    pub async fn remembered(&self, key: &str) -> Result<Option<String>> {
        let input = json!({
            "TableName": self.user_table()?,
            "Key": {"key": {"S": key}},
            "ConsistentRead": true,
        });
        let aws = self.local.aws();
        let output = aws.call(Service::DynamoDb, "GetItem", &input).await?;
        Ok(text(&output, "/Item/text/S").map(str::to_owned))
    }

    /// The name of a connector's group of schedules.
    pub async fn schedule_group(&self, connector: Connector) -> Result<String> {
        self.variable(connector.function(), "SCHEDULE_GROUP").await
    }

    /// The wake-up of a user, by the user's message group. Its name begins with a part
    /// of that.
    pub async fn schedule(
        &self,
        connector: Connector,
        message_group: &str,
    ) -> Result<Option<Value>> {
        let group = self.schedule_group(connector).await?;
        let aws = self.local.aws();
        let path = format!("/schedules?ScheduleGroup={group}&MaxResults=100");
        let listed = aws.try_scheduler(Method::GET, &path, &Value::Null).await?;
        let names = list(&listed, "/Schedules")
            .iter()
            .filter_map(|one| text(one, "/Name"));
        let mut of_user = names.filter(|name| {
            let (user, _) = name.split_once('-').unwrap_or((name, ""));
            message_group.starts_with(user)
        });
        let Some(name) = of_user.next() else {
            return Ok(None);
        };
        let path = format!("/schedules/{name}?groupName={group}");
        match aws.try_scheduler(Method::GET, &path, &Value::Null).await {
            Ok(schedule) => Ok(Some(schedule)),
            Err(error) if error.code == "ResourceNotFoundException" => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn dashboard(&self) -> Result<Value> {
        let input = json!({"DashboardName": format!("{}-{REGION}", self.name)});
        let aws = self.local.aws();
        let output = aws.call(Service::Metrics, "GetDashboard", &input).await?;
        let body = text(&output, "/DashboardBody").unwrap_or_default();
        serde_json::from_str(body)
            .map_err(|error| Error::new(format!("the dashboard is not JSON: {error}: {body}")))
    }

    /// Everything a function logged, oldest first.
    pub async fn logs(&self, function: Function) -> Result<Vec<String>> {
        self.filtered_logs(function, "").await
    }

    /// All syncs that a connector's function logged, oldest first.
    pub async fn syncs(&self, connector: Connector) -> Result<Vec<LoggedSync>> {
        let lines = self
            .filtered_logs(connector.function(), "\"A sync ended\"")
            .await?;
        let syncs = lines.iter().filter_map(|line| LoggedSync::parse(line));
        Ok(syncs.collect())
    }

    async fn filtered_logs(&self, function: Function, pattern: &str) -> Result<Vec<String>> {
        let group = format!("/aws/lambda/{}-{}", self.name, function.name());
        let aws = self.local.aws();
        let mut lines = Vec::new();
        let mut start = 0;
        loop {
            let input = json!({
                "logGroupName": group,
                "filterPattern": pattern,
                "startTime": start,
                "limit": MAX_LINES,
            });
            let output = aws.call(Service::Logs, "FilterLogEvents", &input).await?;
            let events = list(&output, "/events");
            let time = |event: &Value| event.get("timestamp").and_then(Value::as_u64);
            let last = events.last().and_then(time).unwrap_or_default();
            let complete = events.len() < MAX_LINES || last <= start;
            // The last millisecond may have more lines, so the next call reads it again.
            let events = events
                .iter()
                .filter(|event| complete || time(event) < Some(last));
            let messages = events.filter_map(|event| text(event, "/message"));
            lines.extend(messages.map(|line| line.trim_end().to_owned()));
            if complete {
                return Ok(lines);
            }
            start = last;
        }
    }

    /// Kills the processes of a function as a crash would, and returns their number.
    pub async fn kill_function(&self, function: Function) -> Result<usize> {
        let processes = self.processes(function).await?;
        Process::kill_all(&processes)?;
        Ok(processes.len())
    }

    /// A client with a function's role. The function must have been invoked before.
    pub async fn with_role_of(&self, function: Function) -> Result<Aws> {
        let processes = self.processes(function).await?;
        let process = processes.first();
        let process = process.ok_or_else(|| Error::new(format!("{function} has no process")))?;
        let credentials = || {
            Some(Credentials::from_keys(
                process.variable("AWS_ACCESS_KEY_ID")?,
                process.variable("AWS_SECRET_ACCESS_KEY")?,
                Some(process.variable("AWS_SESSION_TOKEN")?.to_owned()),
            ))
        };
        let credentials =
            credentials().ok_or_else(|| Error::new(format!("{function} has no credentials")))?;
        Ok(self.local.aws().with_credentials(credentials))
    }

    pub(crate) async fn processes(&self, function: Function) -> Result<Vec<Process>> {
        let name = self.function_name(function).await?;
        Process::of_function(self.local.folder(), &name)
    }

    /// A function's physical name.
    pub async fn function_name(&self, function: Function) -> Result<String> {
        let details = self.function_details(function).await?;
        let name = text(&details, "/FunctionName");
        Ok(name.unwrap_or_default().to_owned())
    }

    pub(crate) async fn function_details(&self, function: Function) -> Result<Value> {
        let aws = self.local.aws();
        let output = aws
            .lambda(Method::GET, "/functions?MaxItems=1000", &Value::Null)
            .await?;
        let functions = list(&output, "/Functions");
        // CloudFormation adds the stack's name before the logical id and random characters after it.
        let prefix = format!("{}-{function}-", self.name);
        let details = functions.iter().find(|details| {
            let name = text(details, "/FunctionName");
            name.is_some_and(|name| name.starts_with(&prefix))
        });
        details
            .cloned()
            .ok_or_else(|| Error::new(format!("no function {function} in stack {}", self.name)))
    }
}
