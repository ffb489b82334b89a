//! A local AWS on a port of the loopback address.

use std::{
    ffi::{OsStr, OsString},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    Error, Project, Result, Stack,
    aws::{ACCESS_KEY, Aws, REGION, Service},
    child::{Child, Program},
    stack::Outputs,
    tls::Certificate,
};

/// Starting takes about a second.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Another program may take the free port first, so the start is retried.
const MAX_START_ATTEMPTS: u32 = 3;

#[derive(Clone, Debug)]
pub struct Deployment {
    /// The stack's name and the prefix of its secrets.
    pub(crate) name: String,
    log_level: &'static str,
    options: Vec<String>,
}

impl Deployment {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            log_level: "debug",
            options: Vec::new(),
        }
    }

    #[must_use]
    pub fn log_level(mut self, level: &'static str) -> Self {
        self.log_level = level;
        self
    }

    /// Adds a parameter, as `Name=value`.
    #[must_use]
    pub fn option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Turns on everything that is off by default, except `WebhookRateLimit`: the local
    /// AWS cannot associate a firewall.
    pub fn with_every_option(name: &str) -> Self {
        let options = [
            "AccessLogs=on-and-set-account-role",
            "AlarmEmail=somebody@example.com",
            "WebhookConcurrency=5",
            "ReconcileSchedule=\"cron(0 3 ? * SUN *)\"",
            "SecretsKeyArn=arn:aws:kms:eu-north-1:000000000000:key/of-ones-own",
            "Tracing=on",
        ];
        Self {
            options: options.map(str::to_owned).to_vec(),
            ..Self::new(name)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsMode {
    /// Like AWS: uses TLS and enforces signatures, roles and queue policies.
    Strict,
    /// Plain HTTP without access control, for functions that are run by hand and have
    /// neither its certificate nor a role.
    Open { port: u16 },
}

/// The local AWS itself, as a Python module.
const SERVER: &str = include_str!("../local_aws.py");

/// A running local AWS. Dropping it stops it and the functions deployed into it.
pub struct LocalAws {
    project: Project,
    aws: Aws,
    authority: PathBuf,
    port: u16,
    folder: PathBuf,
    /// Set once a deployment has created the bucket that all deployments upload to.
    bucket: OnceCell<()>,
    server: Mutex<Child>,
}

impl LocalAws {
    pub async fn start(project: &Project, mode: AwsMode) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::try_start(project, mode).await {
                Err(_) if mode == AwsMode::Strict && attempt < MAX_START_ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn try_start(project: &Project, mode: AwsMode) -> Result<Self> {
        let python = project.local_aws_python()?;
        let folder = project.new_folder()?;
        let certificate = Certificate::create(&folder)?;
        let (scheme, port) = match mode {
            AwsMode::Strict => ("https", free_port()?),
            AwsMode::Open { port } => ("http", port),
        };
        let endpoint = format!("{scheme}://127.0.0.1:{port}");
        write(&folder.join("local_aws.py"), SERVER)?;
        let aws = Aws::new(endpoint.clone(), &certificate.authority)?;
        let mut program = Program::new("the local AWS", python)
            // Hypercorn directly: MiniStack's own command also binds port 443 with TLS.
            .args(["-m", "hypercorn", "local_aws:app"])
            .args(["--keep-alive", "75"])
            .args(["--bind", &format!("127.0.0.1:{port}")])
            .env(client_environment(
                &endpoint,
                &certificate.authority,
                &folder,
            ))
            .env([
                ("MINISTACK_REGION", REGION),
                ("GATEWAY_PORT", &port.to_string()),
                // Without these it binds fixed ports and finds other programs' containers.
                ("IOT_MTLS_ENABLED", "0"),
                ("SFTP_ENABLED", "0"),
                ("DOCKER_HOST", "unix:///nonexistent"),
            ])
            .current_dir(&folder)
            .own_folder(&folder);
        if mode == AwsMode::Strict {
            program = program
                .args([OsStr::new("--certfile"), certificate.certificate.as_ref()])
                .args([OsStr::new("--keyfile"), certificate.key.as_ref()])
                .env([("AUTH", "true"), ("USE_SSL", "1")])
                .env([
                    ("MINISTACK_SSL_CERT", &certificate.certificate),
                    ("MINISTACK_SSL_KEY", &certificate.key),
                    // The functions inherit this, so they trust the local AWS.
                    ("SSL_CERT_FILE", &certificate.authority),
                ]);
        }
        let mut server = program.start()?;
        wait_until_ready(&aws, &mut server).await?;
        // Keeps the project's `samconfig.toml` from setting parameters of deployments here.
        write(&folder.join("samconfig.toml"), "version = 0.1\n")?;
        Ok(Self {
            project: project.clone(),
            aws,
            authority: certificate.authority,
            port,
            folder,
            bucket: OnceCell::new(),
            server: Mutex::new(server),
        })
    }

    pub const fn aws(&self) -> &Aws {
        &self.aws
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its files, which is in the environment of every process it starts.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The last lines it printed, which include every invocation of a function.
    pub fn last_lines(&self) -> Vec<String> {
        let server = self.server.lock();
        server.unwrap_or_else(PoisonError::into_inner).last_lines()
    }

    /// Creates or replaces a secret.
    pub async fn put_secret(&self, name: &str, content: &Value) -> Result<()> {
        let content = content.to_string();
        // AWS's own clients generate a token for each change.
        let token = format!("{:032}", unique());
        let create = json!({"Name": name, "SecretString": content, "ClientRequestToken": token});
        let created = self
            .aws
            .try_call(Service::Secrets, "CreateSecret", &create)
            .await;
        match created {
            Ok(_) => Ok(()),
            Err(error) if error.code == "ResourceExistsException" => {
                let put =
                    json!({"SecretId": name, "SecretString": content, "ClientRequestToken": token});
                let put = self.aws.call(Service::Secrets, "PutSecretValue", &put);
                put.await.map(drop)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a secret without its recovery window.
    pub async fn delete_secret(&self, name: &str) -> Result<()> {
        let input = json!({"SecretId": name, "ForceDeleteWithoutRecovery": true});
        let deleted = self.aws.call(Service::Secrets, "DeleteSecret", &input);
        deleted.await.map(drop)
    }

    /// Records every allowed AWS call from now on.
    pub async fn record_calls(&self) -> Result<()> {
        let url = format!("{}/_ministack/config", self.aws.endpoint());
        let setting = json!({"cloudtrail._recording_enabled": true}).to_string();
        let set = self.aws.http().post(url).body(setting).send().await;
        set.and_then(reqwest::Response::error_for_status)
            .map_err(|error| Error::new(format!("recording calls failed: {error}")))?;
        Ok(())
    }

    /// Creates a FIFO queue outside any stack.
    pub async fn create_fifo_queue(&self, name: &str) -> Result<()> {
        let input = json!({"QueueName": name, "Attributes": {"FifoQueue": "true"}});
        let created = self.aws.call(Service::Sqs, "CreateQueue", &input);
        created.await.map(drop)
    }

    /// Creates a table like the stack's `UserTable` outside any stack.
    pub async fn create_user_table(&self, name: &str) -> Result<()> {
        let input = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "key", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "key", "KeyType": "HASH"}],
        });
        let created = self.aws.call(Service::DynamoDb, "CreateTable", &input);
        created.await.map(drop)
    }

    /// Creates a group of schedules outside any stack.
    pub async fn create_schedule_group(&self, name: &str) -> Result<()> {
        let path = format!("/schedule-groups/{name}");
        let input = json!({});
        let created = self.aws.scheduler(Method::POST, &path, &input);
        created.await.map(drop)
    }

    /// Creates a state machine for resyncs outside any stack. Its executions only wait:
    /// the local AWS cannot invoke a function that `sam local invoke` runs.
    pub async fn create_state_machine(&self, name: &str) -> Result<()> {
        let wait = json!({"Type": "Wait", "Seconds": 86_400, "End": true});
        let definition = json!({"StartAt": "Wait", "States": {"Wait": wait}});
        let input = json!({
            "name": name,
            "definition": definition.to_string(),
            "roleArn": "arn:aws:iam::000000000000:role/resync",
        });
        let created = self
            .aws
            .call(Service::StepFunctions, "CreateStateMachine", &input);
        created.await.map(drop)
    }

    /// Deploys the built template with `sam deploy`.
    pub async fn deploy(&self, template: &Path, deployment: &Deployment) -> Result<Stack<'_>> {
        // The first deployment creates the bucket, so all others wait for it.
        let mut deployed = false;
        let first = async || {
            deployed = true;
            self.sam_deploy(template, deployment).await
        };
        self.bucket.get_or_try_init(first).await?;
        if !deployed {
            self.sam_deploy(template, deployment).await?;
        }
        let name = deployment.name.as_str();
        let listed = self
            .sam(["list", "stack-outputs", "--stack-name", name])?
            .args(["--output", "json"])
            .run()
            .await?;
        let outputs = Outputs::parse(&listed.join("\n"))?;
        Ok(Stack::new(self, deployment, outputs))
    }

    async fn sam_deploy(&self, template: &Path, deployment: &Deployment) -> Result<()> {
        self.sam(["deploy", "--stack-name", &deployment.name])?
            .args([OsStr::new("--template-file"), template.as_ref()])
            .args(["--resolve-s3", "--capabilities", "CAPABILITY_IAM"])
            .args(["--no-confirm-changeset", "--no-fail-on-empty-changeset"])
            .args(["--parameter-overrides"])
            .args([
                format!("SecretPrefix={}", deployment.name),
                format!("LogLevel={}", deployment.log_level),
            ])
            .args(&deployment.options)
            .run()
            .await?;
        Ok(())
    }

    /// Runs a program of `.ci/deployed`, which reads the answers to its questions, and
    /// returns what it printed.
    pub(crate) async fn run_program(
        &self,
        args: &[&str],
        variables: &[(&str, &str)],
        answers: &[&str],
    ) -> Result<Vec<String>> {
        // A program has no standard input of its own.
        const ANSWER: &str = r#"printf '%s\n' "$ANSWERS" | exec "$PYTHON" -m deployed."$@""#;
        let python = self.project.root().join(".venv/sam/bin/python");
        Program::new("the program", "sh")
            .args(["-c", ANSWER, "sh"])
            .args(args)
            .current_dir(&self.project.root().join(".ci"))
            .env(client_environment(
                self.aws.endpoint(),
                &self.authority,
                &self.folder,
            ))
            .env([("PYTHON", python)])
            .env([("ANSWERS", answers.join("\n"))])
            .env(variables.iter().copied())
            .run()
            .await
    }

    fn sam<const N: usize>(&self, args: [&str; N]) -> Result<Program> {
        let environment = client_environment(self.aws.endpoint(), &self.authority, &self.folder);
        Ok(self
            .project
            .sam(args)?
            .args([
                OsString::from("--config-file"),
                self.folder.join("samconfig.toml").into(),
            ])
            .env(environment))
    }
}

/// The environment that makes a client use the local AWS and nothing else.
fn client_environment(
    endpoint: &str,
    authority: &Path,
    folder: &Path,
) -> impl Iterator<Item = (OsString, OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let variables: [(&str, OsString); 11] = [
        ("PATH", path),
        ("LANG", "C.UTF-8".into()),
        // Keeps programs from reading or writing files in the user's home.
        ("HOME", folder.into()),
        ("TMPDIR", folder.into()),
        ("__SAM_CLI_APP_DIR", folder.into()),
        ("AWS_ENDPOINT_URL", endpoint.into()),
        ("AWS_CA_BUNDLE", authority.into()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY.into()),
        ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY.into()),
        ("AWS_DEFAULT_REGION", REGION.into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
    ];
    variables
        .into_iter()
        .map(|(name, value)| (name.into(), value))
}

async fn wait_until_ready(aws: &Aws, server: &mut Child) -> Result<()> {
    let url = format!("{}/_ministack/ready", aws.endpoint());
    let start = Instant::now();
    loop {
        if server.ended().is_some() {
            return Err(server.error("ended instead of starting"));
        }
        if let Ok(answer) = aws.http().get(&url).send().await
            && answer.status().is_success()
        {
            return Ok(());
        }
        if start.elapsed() > START_TIMEOUT {
            return Err(server.error(&format!(
                "was not ready after {} s",
                START_TIMEOUT.as_secs()
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Error::new(format!("no free port on 127.0.0.1: {error}")))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)
        .map_err(|error| Error::new(format!("{} could not be written: {error}", path.display())))
}

/// A number that differs between calls and between processes.
fn unique() -> u128 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    (now.as_nanos() << 12) | u128::from(count & 0xfff)
}
