//! A fake of the Lambda Runtime API, as AWS documents it (version 2018-06-01).

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

use crate::server::Server;

/// The function's configured timeout.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The Runtime API of one function instance.
pub(crate) struct RuntimeApi {
    server: Server,
    events: mpsc::UnboundedSender<Bytes>,
    activities: Receiver<Activity>,
}

/// A function's call of the API, and its time.
#[derive(Debug)]
pub(crate) enum Activity {
    /// The function asked for the next event.
    Polled(Instant),
    ReceivedEvent(Instant),
    Responded(Instant, Bytes),
    /// The function reported an error, during its start or for an event.
    Failed(String),
}

struct ApiState {
    events: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    activities: Sender<Activity>,
}

impl RuntimeApi {
    pub(crate) fn start() -> io::Result<Self> {
        let (events, event_receiver) = mpsc::unbounded_channel();
        let (activity_sender, activities) = channel();
        let state = ApiState {
            events: Mutex::new(event_receiver),
            activities: activity_sender,
        };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(respond),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(fail))
            .route("/2018-06-01/runtime/init/error", post(fail))
            .with_state(Arc::new(state));
        Ok(Self {
            server: Server::start("runtime-api", router)?,
            events,
            activities,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.server.port()).into()
    }

    /// Queues an event for the function's next poll.
    pub(crate) fn put(&self, event: Bytes) {
        // Cannot fail: the server has the receiver and lives as long as `self`.
        let _ = self.events.send(event);
    }

    pub(crate) fn next_activity(&self, timeout: Duration) -> Result<Activity, RecvTimeoutError> {
        self.activities.recv_timeout(timeout)
    }
}

impl ApiState {
    fn report(&self, activity: Activity) {
        // Fails only after the measurement has ended, when nothing reads activities.
        let _ = self.activities.send(activity);
    }
}

async fn next(State(state): State<Arc<ApiState>>) -> Response {
    state.report(Activity::Polled(Instant::now()));
    let Some(event) = state.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::UNIX_EPOCH
        .elapsed()
        .map(|since| (since + TIMEOUT).as_millis().to_string())
        .unwrap_or_default();
    state.report(Activity::ReceivedEvent(Instant::now()));
    let headers = [
        (
            "lambda-runtime-aws-request-id",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        ),
        ("lambda-runtime-deadline-ms", &deadline),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-north-1:123456789012:function:measured",
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
        ),
        ("content-type", "application/json"),
    ];
    (headers, event).into_response()
}

async fn respond(State(state): State<Arc<ApiState>>, body: Bytes) -> StatusCode {
    state.report(Activity::Responded(Instant::now(), body));
    StatusCode::ACCEPTED
}

async fn fail(State(state): State<Arc<ApiState>>, body: Bytes) -> StatusCode {
    state.report(Activity::Failed(
        String::from_utf8_lossy(&body).into_owned(),
    ));
    StatusCode::ACCEPTED
}
