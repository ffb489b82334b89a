//! A local AWS on free ports of the loopback address.

use std::{
    ffi::{OsStr, OsString},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Built, Error, Project, Result, Stack,
    aws::{ACCESS_KEY, Aws, REGION, Service},
    child::{Child, Program},
    stack::Outputs,
    tls::Certificate,
};

/// How long the local AWS may take to start. It takes about a second.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How often a start is tried: another program may take the port found free.
const START_ATTEMPTS: u32 = 3;

/// How a stack is deployed.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The stack's name.
    pub name: String,
    /// Parameter `SecretPrefix`.
    pub secret_prefix: String,
    /// Parameter `LogLevel`.
    pub log_level: String,
    /// Further parameters, each as `Name=value`.
    pub options: Vec<String>,
}

impl Deployment {
    /// A stack of this name, whose secrets have that name for a prefix, so that
    /// several stacks do not meddle with each other.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            secret_prefix: name.to_owned(),
            log_level: "debug".to_owned(),
            options: Vec::new(),
        }
    }

    /// As [`Deployment::new`], with everything that is off by default.
    ///
    /// But for `WebhookRateLimit`: the local AWS has no association of a firewall.
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

/// How a local AWS behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As the real one: TLS, and signatures, roles and queue policies count.
    Strict,
    /// Plain HTTP on this port, and everybody may do everything: for functions
    /// that are run by hand and know neither its certificate nor any role.
    Open(u16),
}

/// A running local AWS. Dropping it ends it and the functions deployed into it.
pub struct LocalAws {
    project: Project,
    aws: Aws,
    authority: PathBuf,
    port: u16,
    folder: PathBuf,
    /// Whether a deployment has made the bucket that all of them upload to.
    has_bucket: tokio::sync::Mutex<bool>,
    // Dropped last: the fields above are of no use without it.
    server: Mutex<Child>,
}

impl LocalAws {
    /// Starts one.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub async fn start(project: &Project, manner: Manner) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::try_start(project, manner).await {
                Err(_) if manner == Manner::Strict && attempt < START_ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn try_start(project: &Project, manner: Manner) -> Result<Self> {
        let python = project.local_aws_python()?;
        let folder = project.new_folder()?;
        let certificate = Certificate::make(&folder)?;
        let (scheme, port) = match manner {
            Manner::Strict => ("https", free_port()?),
            Manner::Open(port) => ("http", port),
        };
        let endpoint = format!("{scheme}://127.0.0.1:{port}");
        let aws = Aws::new(endpoint.clone(), &certificate.authority)?;
        let mut program = Program::new("the local AWS", python)
            // Its own command also binds port 443 where TLS is on.
            .args(["-m", "hypercorn", "ministack.app:app"])
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
                // Each binds a fixed port, or containers of somebody else's.
                ("IOT_MTLS_ENABLED", "0"),
                ("SFTP_ENABLED", "0"),
                ("DOCKER_HOST", "unix:///nonexistent"),
            ])
            .current_dir(&folder)
            .own_folder(&folder);
        if manner == Manner::Strict {
            program = program
                .args([OsStr::new("--certfile"), certificate.certificate.as_ref()])
                .args([OsStr::new("--keyfile"), certificate.key.as_ref()])
                .env([("AUTH", "true"), ("USE_SSL", "1")])
                .env([
                    ("MINISTACK_SSL_CERT", &certificate.certificate),
                    ("MINISTACK_SSL_KEY", &certificate.key),
                    // The functions, which inherit this, trust the local AWS.
                    ("SSL_CERT_FILE", &certificate.authority),
                ]);
        }
        let mut server = program.start()?;
        wait_until_ready(&aws, &mut server).await?;
        // No default of the project's `samconfig.toml` is to reach a deployment here.
        write(&folder.join("samconfig.toml"), "version = 0.1\n")?;
        Ok(Self {
            project: project.clone(),
            aws,
            authority: certificate.authority,
            port,
            folder,
            has_bucket: tokio::sync::Mutex::new(false),
            server: Mutex::new(server),
        })
    }

    /// The client of its services.
    pub const fn aws(&self) -> &Aws {
        &self.aws
    }

    /// The port it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that clients need to trust.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// The folder it keeps its files in, which names every process it started.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The last lines it printed, which tell of every call of a function.
    pub fn last_lines(&self) -> Vec<String> {
        let server = self.server.lock();
        server.unwrap_or_else(PoisonError::into_inner).last_lines()
    }

    /// Writes a secret, whether or not there is one of that name.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn put_secret(&self, name: &str, content: &Value) -> Result<()> {
        let content = content.to_string();
        // The service's clients make up a token for each change.
        let token = format!("{:032}", unique());
        let create = json!({"Name": name, "SecretString": content, "ClientRequestToken": token});
        match self
            .aws
            .try_call(Service::Secrets, "CreateSecret", &create)
            .await
        {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.kind == "ResourceExistsException" => {
                let put =
                    json!({"SecretId": name, "SecretString": content, "ClientRequestToken": token});
                self.aws
                    .call(Service::Secrets, "PutSecretValue", &put)
                    .await?;
                Ok(())
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Deletes a secret, at once.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn delete_secret(&self, name: &str) -> Result<()> {
        let input = json!({"SecretId": name, "ForceDeleteWithoutRecovery": true});
        self.aws
            .call(Service::Secrets, "DeleteSecret", &input)
            .await?;
        Ok(())
    }

    /// Has every call of AWS that is allowed noted from now on.
    ///
    /// # Errors
    /// When the local AWS does not answer.
    pub async fn note_calls(&self) -> Result<()> {
        let url = format!("{}/_ministack/config", self.aws.endpoint());
        let setting = json!({"cloudtrail._recording_enabled": true}).to_string();
        let set = self.aws.http().post(url).body(setting).send().await;
        set.and_then(reqwest::Response::error_for_status)
            .map_err(|error| Error::new(format!("calls cannot be noted: {error}")))?;
        Ok(())
    }

    /// Makes a FIFO queue outside of any stack.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn create_queue(&self, name: &str) -> Result<()> {
        let input = json!({"QueueName": name, "Attributes": {"FifoQueue": "true"}});
        self.aws.call(Service::Sqs, "CreateQueue", &input).await?;
        Ok(())
    }

    /// Makes what the operator function keeps its resyncs in: a queue and a table
    /// outside of any stack.
    ///
    /// # Errors
    /// When the local AWS refuses.
    pub async fn create_resyncs(&self, queue: &str, table: &str) -> Result<()> {
        let input = json!({"QueueName": queue});
        self.aws.call(Service::Sqs, "CreateQueue", &input).await?;
        let key = "vendorId";
        let input = json!({
            "TableName": table,
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
        });
        self.aws
            .call(Service::Tables, "CreateTable", &input)
            .await?;
        Ok(())
    }

    /// Deploys the built template with `sam deploy`.
    ///
    /// # Errors
    /// When the deployment fails.
    pub async fn deploy(&self, built: &Built, deployment: &Deployment) -> Result<Stack<'_>> {
        let mut has_bucket = self.has_bucket.lock().await;
        if *has_bucket {
            drop(has_bucket);
            self.sam_deploy(built, deployment).await?;
        } else {
            // Two that begin at once would both try to make it.
            self.sam_deploy(built, deployment).await?;
            *has_bucket = true;
            drop(has_bucket);
        }
        let name = deployment.name.as_str();
        let listed = self
            .sam(["list", "stack-outputs", "--stack-name", name])?
            .args(["--output", "json"])
            .run()
            .await?;
        let outputs = Outputs::parse(&listed.join("\n"))?;
        Ok(Stack::new(self, deployment.clone(), outputs))
    }

    async fn sam_deploy(&self, built: &Built, deployment: &Deployment) -> Result<()> {
        let template = built.template.clone().into();
        self.sam(["deploy", "--stack-name", &deployment.name])?
            .args([OsString::from("--template-file"), template])
            .args(["--resolve-s3", "--capabilities", "CAPABILITY_IAM"])
            .args(["--no-confirm-changeset", "--no-fail-on-empty-changeset"])
            .args(["--parameter-overrides"])
            .args([
                format!("SecretPrefix={}", deployment.secret_prefix),
                format!("LogLevel={}", deployment.log_level),
            ])
            .args(&deployment.options)
            .run()
            .await?;
        Ok(())
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

/// What a client needs in its environment to reach the local AWS, and no other.
fn client_environment(
    endpoint: &str,
    authority: &Path,
    folder: &Path,
) -> impl Iterator<Item = (OsString, OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let variables: [(&str, OsString); 11] = [
        ("PATH", path),
        ("LANG", "C.UTF-8".into()),
        // Neither leaves files in the person's home nor reads any.
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
        if start.elapsed() > START_LIMIT {
            return Err(server.error(&format!("was not ready after {} s", START_LIMIT.as_secs())));
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

/// A number that no earlier call gave, in this process or another.
fn unique() -> u128 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    (now.as_nanos() << 12) | u128::from(count & 0xfff)
}
