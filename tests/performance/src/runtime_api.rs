//! The least of the Lambda Runtime API that a function needs.
//!
//! Source: AWS's description of the API, version 2018-06-01 (documented).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::{Mutex, mpsc};

use crate::serve::Server;

/// How long an invocation may take, in the function's eyes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The Runtime API of one function instance.
pub struct RuntimeApi {
    server: Server,
    events: mpsc::UnboundedSender<Bytes>,
    seen: Receiver<Seen>,
}

/// What the function did, and when.
#[derive(Debug)]
pub(crate) enum Seen {
    /// It asked for an event.
    Poll(Instant),
    /// It was given one.
    Handed(Instant),
    /// It answered one.
    Answer(Instant, Bytes),
    /// It reported that it cannot start, or cannot handle an event.
    Failed(String),
}

struct Desk {
    events: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    seen: Sender<Seen>,
}

impl RuntimeApi {
    /// Starts it on a free port, on a thread of its own.
    ///
    /// # Errors
    /// When no port can be bound or no thread started.
    pub fn start() -> io::Result<Self> {
        let (events, to_hand_out) = mpsc::unbounded_channel();
        let (seen, all_seen) = channel();
        let desk = Desk {
            events: Mutex::new(to_hand_out),
            seen,
        };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answer))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(failed))
            .with_state(Arc::new(desk));
        Ok(Self {
            server: Server::start("runtime-api", router)?,
            events,
            seen: all_seen,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.server.port()).into()
    }

    /// Puts an event up, for the function's next poll.
    pub(crate) fn put(&self, event: Bytes) {
        // The server lives as long as this does.
        let _ = self.events.send(event);
    }

    /// What the function did next.
    pub(crate) fn seen(&self, within: Duration) -> std::result::Result<Seen, RecvTimeoutError> {
        self.seen.recv_timeout(within)
    }
}

impl Desk {
    fn saw(&self, what: Seen) {
        // Nobody listens any more once the measurement has ended.
        let _ = self.seen.send(what);
    }
}

async fn next(State(desk): State<Arc<Desk>>) -> Response {
    desk.saw(Seen::Poll(Instant::now()));
    let Some(event) = desk.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::UNIX_EPOCH
        .elapsed()
        .map(|since| (since + TIMEOUT).as_millis().to_string())
        .unwrap_or_default();
    desk.saw(Seen::Handed(Instant::now()));
    let headers = [
        (
            "lambda-runtime-aws-request-id",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
        ),
        ("lambda-runtime-deadline-ms", deadline),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-north-1:123456789012:function:measured".to_owned(),
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0".to_owned(),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, event).into_response()
}

async fn answer(State(desk): State<Arc<Desk>>, body: Bytes) -> StatusCode {
    desk.saw(Seen::Answer(Instant::now(), body));
    StatusCode::ACCEPTED
}

async fn failed(State(desk): State<Arc<Desk>>, body: Bytes) -> StatusCode {
    desk.saw(Seen::Failed(String::from_utf8_lossy(&body).into_owned()));
    StatusCode::ACCEPTED
}
