//! A fake Lambda that runs the function's binary, and a fake AWS, both on a
//! small HTTP server.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const MAX_WAIT: Duration = Duration::from_secs(20);

struct HttpRequest {
    path: String,
    headers: HashMap<String, String>,
    body: String,
}

/// Status, headers, body.
type Response = (u16, Vec<(String, String)>, String);

/// Serves HTTP/1.1 on a free port of the loopback address, one thread per connection.
fn serve(answer: impl Fn(HttpRequest) -> Response + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || serve_connection(&stream, &*answer));
        }
    });
    address
}

fn serve_connection(
    mut stream: &TcpStream,
    answer: &dyn Fn(HttpRequest) -> Response,
) -> Option<()> {
    let mut input = BufReader::new(stream);
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            input.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or("0", String::as_str);
        let mut body = vec![0; length.parse().ok()?];
        input.read_exact(&mut body).ok()?;
        let body = String::from_utf8(body).ok()?;
        let (status, headers, body) = answer(HttpRequest {
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

/// Secrets Manager and SQS at one address.
#[derive(Clone, Default)]
pub struct FakeAws(Arc<Mutex<AwsState>>);

#[derive(Default)]
struct AwsState {
    secret: Option<String>,
    next_failures: Vec<SqsFailure>,
    sent: Vec<Value>,
}

#[derive(Clone, Copy)]
pub enum SqsFailure {
    Status(u16),
    NoAnswer(Duration),
}

impl FakeAws {
    pub fn set_secret(&self, secret: &str) {
        self.0.lock().unwrap().secret = Some(secret.to_owned());
    }

    /// Fails the next calls to SQS, one per failure, the last failure first.
    pub fn fail_next(&self, failures: Vec<SqsFailure>) {
        self.0.lock().unwrap().next_failures = failures;
    }

    /// The requests that SQS accepted, sorted by queue.
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
                "AmazonSQS.SendMessage" => match state.next_failures.pop() {
                    Some(SqsFailure::Status(status)) => (status, json!({ "__type": "Failure" })),
                    Some(SqsFailure::NoAnswer(time)) => {
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

pub struct Function {
    child: Child,
    events: Sender<Value>,
    answers: Receiver<(String, Value)>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Function {
    /// `variables` are added to the environment, or removed if they have no value.
    pub fn start(aws: &FakeAws, variables: &[(&str, Option<&str>)]) -> Self {
        let (events, pending) = channel::<Value>();
        let (posted, answers) = channel();
        let pending = Mutex::new(pending);
        let runtime_api = serve(move |request| {
            if request.path.ends_with("/invocation/next") {
                // The channel closes at the end of the test.
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
            let _ = posted.send((kind, answer));
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

    /// Returns the path (`response` or `error`) and the body that the function posts.
    pub fn invoke(&self, event: Value) -> (String, Value) {
        self.events.send(event).unwrap();
        self.answers.recv_timeout(MAX_WAIT).expect("an answer")
    }

    /// Returns status, headers and body.
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

    /// Waits for `count` lines on stdout and returns all since the last call.
    pub fn lines(&self, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let mut lines = self.lines.lock().unwrap();
            if lines.len() >= count {
                return lines
                    .drain(..)
                    .map(|line| serde_json::from_str(&line).expect(&line))
                    .collect();
            }
            drop(lines);
            assert!(began.elapsed() < MAX_WAIT, "{count} lines of output");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the function exits.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
