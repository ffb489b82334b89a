//! A deployed stack, as its users and operators see it.

use std::{collections::BTreeMap, fmt, path::Path, process::Command};

use aws_credential_types::Credentials;
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::{
    Deployment, Error, LocalAws, Result,
    aws::{Aws, REGION, Service, list, text},
};

/// A connector of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connector {
    /// Rule.
    Rule,
    /// Mailmojo.
    Mailmojo,
    /// Make.as.
    Make,
}

impl Connector {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rule, Self::Mailmojo, Self::Make];

    /// The function that consumes its queue.
    pub const fn function(self) -> Function {
        Function::Connector(self)
    }
}

impl fmt::Display for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rule => "Rule",
            Self::Mailmojo => "Mailmojo",
            Self::Make => "Make",
        })
    }
}

/// A function of the template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `WebhookFunction`.
    Webhook,
    /// A connector's function, such as `RuleFunction`.
    Connector(Connector),
    /// `OperatorFunction`.
    Operator,
}

impl fmt::Display for Function {
    /// The logical id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook => f.write_str("WebhookFunction"),
            Self::Operator => f.write_str("OperatorFunction"),
            Self::Connector(connector) => write!(f, "{connector}Function"),
        }
    }
}

/// The stack's outputs by name.
#[derive(Clone, Debug)]
pub(crate) struct Outputs(BTreeMap<String, String>);

impl Outputs {
    /// Reads what `sam list stack-outputs --output json` prints.
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
        outputs.ok_or_else(|| Error::new(format!("no list of outputs: {json}")))
    }

    fn get(&self, name: &str) -> Result<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.ok_or_else(|| Error::new(format!("the stack has no output {name}")))
    }
}

/// An answer of the deployed API.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Retry-After`, if there is one.
    pub retry_after: Option<String>,
    /// The body, null where it is not JSON.
    pub body: Value,
}

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be received.
    pub visible: u64,
    /// Received and neither deleted nor put back yet.
    pub in_flight: u64,
    /// Held back by the queue's delay.
    pub delayed: u64,
}

impl Depth {
    /// All messages.
    pub const fn total(self) -> u64 {
        self.visible + self.in_flight + self.delayed
    }
}

/// A message in a dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The message's body.
    pub body: Value,
    /// Its own attributes by name, which say why it is there.
    pub attributes: BTreeMap<String, String>,
}

/// A deployed stack.
pub struct Stack<'a> {
    local: &'a LocalAws,
    deployment: Deployment,
    outputs: Outputs,
}

impl<'a> Stack<'a> {
    pub(crate) const fn new(local: &'a LocalAws, deployment: Deployment, outputs: Outputs) -> Self {
        Self {
            local,
            deployment,
            outputs,
        }
    }

    /// The local AWS it is deployed in.
    pub const fn local(&self) -> &'a LocalAws {
        self.local
    }

    /// Output `WebhookUrl`, as the real AWS would give it.
    ///
    /// # Errors
    /// When the stack has no such output.
    pub fn webhook_url(&self) -> Result<&str> {
        self.outputs.get("WebhookUrl")
    }

    /// The address at which this machine reaches the same API.
    ///
    /// # Errors
    /// When `WebhookUrl` is not the address of an API.
    pub fn local_webhook_url(&self) -> Result<String> {
        let (host, path) = self.api()?;
        Ok(format!("https://{host}{path}"))
    }

    /// The API's host in the local AWS, and the path.
    fn api(&self) -> Result<(String, String)> {
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
        parts().ok_or_else(|| Error::new(format!("WebhookUrl is no address of an API: {url}")))
    }

    /// Posts a body to the webhook, with an `Authorization` header or without.
    ///
    /// # Errors
    /// When the deployed API does not answer.
    pub async fn post(
        &self,
        authorization: Option<&str>,
        body: impl Into<reqwest::Body>,
    ) -> Result<Reply> {
        let (host, path) = self.api()?;
        // Not every machine resolves names under localhost, so the name goes
        // into the header alone.
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
        Ok(Reply {
            status: answer.status().as_u16(),
            retry_after: retry_after
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            body: serde_json::from_str(&answer.text().await.map_err(failed)?).unwrap_or_default(),
        })
    }

    /// The name of one of the stack's secrets.
    pub fn secret_name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.deployment.secret_prefix)
    }

    /// Writes one of the stack's secrets, `webhook` or `{vendorId}/{api}`.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn put_secret(&self, rest: &str, content: &Value) -> Result<()> {
        self.local
            .put_secret(&self.secret_name(rest), content)
            .await
    }

    /// Deletes one of the stack's secrets.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn delete_secret(&self, rest: &str) -> Result<()> {
        self.local.delete_secret(&self.secret_name(rest)).await
    }

    /// The address of a connector's queue.
    ///
    /// # Errors
    /// When the stack has no such output.
    pub fn queue_url(&self, connector: Connector) -> Result<&str> {
        self.outputs.get(&format!("{connector}QueueUrl"))
    }

    /// The address of a connector's dead-letter queue.
    ///
    /// # Errors
    /// When the stack has no such output.
    pub fn dead_letter_queue_url(&self, connector: Connector) -> Result<&str> {
        self.outputs.get(&format!("{connector}DeadLetterQueueUrl"))
    }

    /// How many messages wait for a connector.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn queue_depth(&self, connector: Connector) -> Result<Depth> {
        self.depth(self.queue_url(connector)?).await
    }

    /// How many messages of a connector are dead letters.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn dead_letter_depth(&self, connector: Connector) -> Result<Depth> {
        self.depth(self.dead_letter_queue_url(connector)?).await
    }

    async fn depth(&self, queue: &str) -> Result<Depth> {
        let input = json!({"QueueUrl": queue, "AttributeNames": ["All"]});
        let output = self
            .local
            .aws()
            .call(Service::Sqs, "GetQueueAttributes", &input)
            .await?;
        let count = |name: &str| {
            let value = text(&output, &format!("/Attributes/{name}"));
            value.and_then(|value| value.parse().ok())
        };
        let depth = || {
            Some(Depth {
                visible: count("ApproximateNumberOfMessages")?,
                in_flight: count("ApproximateNumberOfMessagesNotVisible")?,
                delayed: count("ApproximateNumberOfMessagesDelayed")?,
            })
        };
        depth().ok_or_else(|| Error::new(format!("no depth of {queue}: {output}")))
    }

    /// A connector's dead letters, at most ten. They stay where they are.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn dead_letters(&self, connector: Connector) -> Result<Vec<DeadLetter>> {
        let input = json!({
            "QueueUrl": self.dead_letter_queue_url(connector)?,
            "MaxNumberOfMessages": 10,
            "VisibilityTimeout": 0,
            "MessageAttributeNames": ["All"],
        });
        let output = self
            .local
            .aws()
            .call(Service::Sqs, "ReceiveMessage", &input)
            .await?;
        let messages = list(&output, "/Messages");
        Ok(messages.iter().map(dead_letter).collect())
    }

    /// Puts a message of any form into a connector's queue, as no webhook would.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn enqueue(&self, connector: Connector, group: &str, body: &str) -> Result<()> {
        let input = json!({
            "QueueUrl": self.queue_url(connector)?,
            "MessageBody": body,
            "MessageGroupId": group,
            "MessageDeduplicationId": format!("{group}-{}", body.len()),
        });
        self.local
            .aws()
            .call(Service::Sqs, "SendMessage", &input)
            .await?;
        Ok(())
    }

    /// Changes an attribute of a connector's queue, such as a timeout that no
    /// test can wait for.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn set_queue_attribute(
        &self,
        connector: Connector,
        name: &str,
        value: &str,
    ) -> Result<()> {
        let input = json!({"QueueUrl": self.queue_url(connector)?, "Attributes": {name: value}});
        self.local
            .aws()
            .call(Service::Sqs, "SetQueueAttributes", &input)
            .await?;
        Ok(())
    }

    /// Deletes a connector's queue, which makes the webhook fail.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn delete_queue(&self, connector: Connector) -> Result<()> {
        let input = json!({"QueueUrl": self.queue_url(connector)?});
        self.local
            .aws()
            .call(Service::Sqs, "DeleteQueue", &input)
            .await?;
        Ok(())
    }

    /// Stops a connector from receiving messages, or lets it go on.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn set_receiving(&self, connector: Connector, receiving: bool) -> Result<()> {
        let function = self.function_name(connector.function()).await?;
        let aws = self.local.aws();
        let path = format!("/event-source-mappings?FunctionName={function}");
        let mappings = aws.lambda(Method::GET, &path, &Value::Null).await?;
        let id = text(&mappings, "/EventSourceMappings/0/UUID");
        let id = id.ok_or_else(|| Error::new(format!("{function} has no event source")))?;
        let path = format!("/event-source-mappings/{id}");
        aws.lambda(Method::PUT, &path, &json!({"Enabled": receiving}))
            .await?;
        Ok(())
    }

    /// Invokes a function and gives what it answers.
    ///
    /// # Errors
    /// When the local AWS refuses. An error of the function is an answer.
    pub async fn invoke(&self, function: Function, event: &Value) -> Result<Value> {
        let name = self.function_name(function).await?;
        let answer = self.local.aws().invoke(&name, event).await?;
        answer.ok_or_else(|| Error::new(format!("nobody may invoke {function}")))
    }

    /// The stack's dashboard.
    ///
    /// # Errors
    /// When there is none, or it is not JSON.
    pub async fn dashboard(&self) -> Result<Value> {
        let input = json!({"DashboardName": format!("{}-{REGION}", self.deployment.name)});
        let aws = self.local.aws();
        let output = aws.call(Service::Metrics, "GetDashboard", &input).await?;
        let body = text(&output, "/DashboardBody").unwrap_or_default();
        serde_json::from_str(body)
            .map_err(|error| Error::new(format!("the dashboard is not JSON: {error}: {body}")))
    }

    /// Everything a function logged, oldest first.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn logs(&self, function: Function) -> Result<Vec<String>> {
        let details = self.function(function).await?;
        let group = text(&details, "/LoggingConfig/LogGroup");
        let group = group.ok_or_else(|| Error::new(format!("{function} names no log group")))?;
        let mut lines = Vec::new();
        let mut next = Value::Null;
        loop {
            let mut input = json!({"logGroupName": group});
            if let Some(input) = input.as_object_mut().filter(|_| !next.is_null()) {
                input.insert("nextToken".to_owned(), next);
            }
            let output = self
                .local
                .aws()
                .call(Service::Logs, "FilterLogEvents", &input)
                .await?;
            let messages = list(&output, "/events").iter();
            let messages = messages.filter_map(|event| text(event, "/message"));
            lines.extend(messages.map(|line| line.trim_end().to_owned()));
            next = output.get("nextToken").cloned().unwrap_or_default();
            if next.is_null() {
                return Ok(lines);
            }
        }
    }

    /// Kills the processes of a function as a crash would, and gives how many there were.
    ///
    /// # Errors
    /// When they cannot be listed or killed.
    pub async fn kill_function(&self, function: Function) -> Result<usize> {
        let name = self.function_name(function).await?;
        let processes = processes(self.local.folder(), &name)?;
        let pids: Vec<_> = processes.into_iter().map(|(pid, _)| pid).collect();
        if pids.is_empty() {
            return Ok(0);
        }
        // A shell's own `kill`, since not every machine has a program of that name.
        output(
            Command::new("sh")
                .args(["-c", "kill -KILL \"$@\"", "sh"])
                .args(&pids),
        )?;
        Ok(pids.len())
    }

    /// A client that may do what a function may, which must have been called before.
    ///
    /// # Errors
    /// When the function has no process, or its credentials cannot be seen.
    pub async fn acting_as(&self, function: Function) -> Result<Aws> {
        let name = self.function_name(function).await?;
        let processes = processes(self.local.folder(), &name)?;
        let process = processes.first();
        let (_, command) =
            process.ok_or_else(|| Error::new(format!("{function} has no process")))?;
        let variable = |name: &str| {
            let mut words = command.split(' ');
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let credentials = || {
            Some(Credentials::from_keys(
                variable("AWS_ACCESS_KEY_ID")?,
                variable("AWS_SECRET_ACCESS_KEY")?,
                Some(variable("AWS_SESSION_TOKEN")?.to_owned()),
            ))
        };
        let credentials = credentials()
            .ok_or_else(|| Error::new(format!("{function} has no credentials of its own")))?;
        Ok(self.local.aws().with_credentials(credentials))
    }

    /// The keys that the processes of a function call AWS with.
    pub(crate) async fn access_keys(&self, function: Function) -> Result<Vec<String>> {
        let name = self.function_name(function).await?;
        let processes = processes(self.local.folder(), &name)?;
        let keys = processes.iter().filter_map(|(_, command)| {
            let mut words = command.split(' ');
            words.find_map(|word| word.strip_prefix("AWS_ACCESS_KEY_ID="))
        });
        Ok(keys.map(str::to_owned).collect())
    }

    /// A function's physical name.
    ///
    /// # Errors
    /// When the stack has no such function.
    pub async fn function_name(&self, function: Function) -> Result<String> {
        let details = self.function(function).await?;
        Ok(text(&details, "/FunctionName")
            .unwrap_or_default()
            .to_owned())
    }

    pub(crate) async fn function(&self, function: Function) -> Result<Value> {
        let output = self
            .local
            .aws()
            .lambda(Method::GET, "/functions", &Value::Null)
            .await?;
        let functions = list(&output, "/Functions");
        // CloudFormation puts the stack's name before the logical id and something random behind.
        let prefix = format!("{}-{function}-", self.deployment.name);
        let found = functions.iter().find(|details| {
            let name = text(details, "/FunctionName");
            name.is_some_and(|name| name.starts_with(&prefix))
        });
        found.cloned().ok_or_else(|| {
            Error::new(format!(
                "no function {function} in stack {}",
                self.deployment.name
            ))
        })
    }
}

fn dead_letter(message: &Value) -> DeadLetter {
    let body = text(message, "/Body").unwrap_or_default();
    let attributes = message.get("MessageAttributes").and_then(Value::as_object);
    let attributes = attributes
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let value = text(value, "/StringValue")?;
            Some((name.clone(), value.to_owned()))
        });
    DeadLetter {
        // A letter may be one because it is not JSON.
        body: serde_json::from_str(body).unwrap_or_else(|_| body.into()),
        attributes: attributes.collect(),
    }
}

/// The processes of a function of the local AWS that keeps its files in this
/// folder: their ids, and their commands followed by their environments.
fn processes(folder: &Path, function: &str) -> Result<Vec<(String, String)>> {
    // `e` shows the environment behind the command, `ww` cuts nothing off.
    let listed = output(Command::new("ps").args(["axeww", "-o", "pid=,command="]))?;
    let folder = format!("{}/", folder.display());
    let variable = format!("AWS_LAMBDA_FUNCTION_NAME={function}");
    Ok(listed
        .lines()
        .filter_map(|line| {
            let (pid, command) = line.trim_start().split_once(' ')?;
            let named = command.split(' ').any(|word| word == variable);
            let ours = named && command.contains(&folder);
            ours.then(|| (pid.to_owned(), command.to_owned()))
        })
        .collect())
}

fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| Error::new(format!("{program} could not be run: {error}")))?;
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::new(format!("{program} failed: {printed}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
