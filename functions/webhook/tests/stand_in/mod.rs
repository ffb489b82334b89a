//! A local Lambda and AWS in a few lines: an HTTP server of the standard
//! library, a Runtime API on it that runs the function's binary, and AWS calls
//! answered by a closure.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The longest that a test waits for the function.
const PATIENCE: Duration = Duration::from_secs(20);

/// An HTTP request as it came in.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

/// What is answered: status, headers, body.
type Reply = (u16, Vec<(String, String)>, String);

/// Serves HTTP/1.1 on a free port of the loopback address, a thread per connection.
fn serve(answer: impl Fn(Received) -> Reply + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || converse(&stream, &*answer));
        }
    });
    address
}

/// Answers one connection's requests until the other side leaves.
fn converse(mut stream: &TcpStream, answer: &dyn Fn(Received) -> Reply) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or("0", String::as_str);
        let mut body = vec![0; length.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        let (status, headers, body) = answer(Received {
            path,
            headers,
            body,
        });
        let headers: String = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status} \r\n{headers}content-length: {length}\r\n\r\n{body}"
        )
        .ok()?;
    }
}

/// AWS: Secrets Manager and SQS, which share one address locally.
#[derive(Clone, Default)]
pub struct Aws(Arc<Mutex<AwsState>>);

#[derive(Default)]
struct AwsState {
    secret: Option<String>,
    /// Answers to the next calls to SQS, instead of taking the message.
    mishaps: Vec<Mishap>,
    sent: Vec<Value>,
}

/// What goes wrong with a call.
#[derive(Clone, Copy)]
pub enum Mishap {
    /// An answer with this status.
    Status(u16),
    /// No answer for so long.
    Silence(Duration),
}

impl Aws {
    pub fn hold_secret(&self, secret: &str) {
        self.0.lock().unwrap().secret = Some(secret.to_owned());
    }

    /// What becomes of the next calls to SQS.
    pub fn mishaps(&self, mishaps: Vec<Mishap>) {
        self.0.lock().unwrap().mishaps = mishaps;
    }

    /// The messages taken by SQS, as they were sent, by queue.
    pub fn sent(&self) -> Vec<Value> {
        let mut sent = self.0.lock().unwrap().sent.clone();
        sent.sort_by_key(|message| message["QueueUrl"].to_string());
        sent
    }

    fn serve(&self) -> SocketAddr {
        let state = Arc::clone(&self.0);
        serve(move |request| {
            let json = vec![(
                "content-type".to_owned(),
                "application/x-amz-json-1.0".to_owned(),
            )];
            let target = request.headers["x-amz-target"].clone();
            let body: Value = serde_json::from_str(&request.body).unwrap();
            let mut state = state.lock().unwrap();
            let (status, answer) = match target.as_str() {
                "secretsmanager.GetSecretValue" => {
                    assert_eq!(body["SecretId"], "test/webhook");
                    match &state.secret {
                        Some(secret) => (200, json!({ "Name": "x", "SecretString": secret })),
                        None => (400, json!({ "__type": "ResourceNotFoundException" })),
                    }
                }
                "AmazonSQS.SendMessage" => match state.mishaps.pop() {
                    Some(Mishap::Status(status)) => (status, json!({ "__type": "Mishap" })),
                    Some(Mishap::Silence(time)) => {
                        drop(state);
                        thread::sleep(time);
                        return (500, json, "{}".to_owned());
                    }
                    None => {
                        state.sent.push(body);
                        (200, json!({ "MessageId": "1", "MD5OfMessageBody": "" }))
                    }
                },
                other => panic!("an unexpected call: {other}"),
            };
            (status, json, answer.to_string())
        })
    }
}

/// A running function.
pub struct Function {
    child: Child,
    events: Sender<Value>,
    answers: Receiver<(String, Value)>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Function {
    /// Starts the binary with AWS at hand. `variables` are added to its
    /// environment, or taken out where they have no value.
    pub fn start(aws: &Aws, variables: &[(&str, Option<&str>)]) -> Self {
        let (events, pending) = channel::<Value>();
        let (told, answers) = channel();
        let pending = Mutex::new(pending);
        let runtime_api = serve(move |request| {
            if request.path.ends_with("/invocation/next") {
                // Ends with the test, which then ends the function.
                let event = pending.lock().unwrap().recv().unwrap_or_default();
                let headers = [
                    ("lambda-runtime-aws-request-id", "request-1"),
                    ("lambda-runtime-deadline-ms", "4102444800000"),
                    (
                        "lambda-runtime-invoked-function-arn",
                        "arn:aws:lambda:eu-north-1:000000000000:function:webhook",
                    ),
                    (
                        "lambda-runtime-trace-id",
                        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
                    ),
                ];
                let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
                return (200, headers.to_vec(), event.to_string());
            }
            let kind = request.path.rsplit('/').next().unwrap().to_owned();
            let answer = serde_json::from_str(&request.body).unwrap();
            let _ = told.send((kind, answer));
            (202, Vec::new(), String::new())
        });
        let runtime_api = runtime_api.to_string();
        let endpoint = format!("http://{}", aws.serve());
        let mut command = Command::new(env!("CARGO_BIN_EXE_webhook"));
        command.env_clear().stdout(Stdio::piped());
        let environment = [
            ("AWS_LAMBDA_RUNTIME_API", runtime_api.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "stack-webhook"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", "eu-north-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL", &endpoint),
            ("SECRET_PREFIX", "test"),
            (
                "QUEUE_URLS",
                "http://sqs/1/make.fifo,http://sqs/1/rule.fifo",
            ),
        ];
        command.envs(environment);
        for (name, value) in variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                written.lock().unwrap().push(line);
            }
        });
        Self {
            child,
            events,
            answers,
            lines,
        }
    }

    /// Invokes the function with API Gateway's event of a request. Gives what
    /// it posted: to `response` or `error`.
    pub fn invoke(&self, event: Value) -> (String, Value) {
        self.events.send(event).unwrap();
        self.answers.recv_timeout(PATIENCE).expect("an answer")
    }

    /// Invokes the function and gives its answer: status, headers, body.
    pub fn answer(&self, event: Value) -> (u64, Value, Value) {
        let (kind, answer) = self.invoke(event);
        assert_eq!(kind, "response", "{answer}");
        let body = answer["body"].as_str().unwrap();
        (
            answer["statusCode"].as_u64().unwrap(),
            answer["multiValueHeaders"].clone(),
            serde_json::from_str(body).unwrap(),
        )
    }

    /// The lines on stdout since the last call, once there are so many.
    pub fn lines(&self, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let mut lines = self.lines.lock().unwrap();
            if lines.len() >= count {
                let told = lines.drain(..);
                return told
                    .map(|line| serde_json::from_str(&line).expect(&line))
                    .collect();
            }
            drop(lines);
            assert!(began.elapsed() < PATIENCE, "{count} lines of output");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// How the function ended, for one that does so by itself.
    pub fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
