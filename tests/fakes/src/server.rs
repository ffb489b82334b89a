//! The HTTP server.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::{ConnectInfo, Request, State, connect_info::Connected},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    serve::{IncomingStream, Listener},
};
use http_body::Frame;
use jiff::Timestamp;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::Sleep,
};

use crate::{
    api::Api,
    control,
    faults::{Delivery, InjectedFault},
    request::ApiRequest,
    request_log::{self, RecordedRequest},
    response::ApiResponse,
    state::{SharedState, error_body},
};

/// In bytes. The largest calls, with a thousand subscribers, are far smaller.
pub(crate) const MAX_BODY: usize = 64 * 1024 * 1024;

pub(crate) async fn serve(listener: TcpListener, state: SharedState) -> io::Result<()> {
    let app = Router::new()
        .nest("/control", control::router())
        .fallback(handle)
        .with_state(state)
        .into_make_service_with_connect_info::<ResetFlag>();
    axum::serve(Acceptor(listener), app).await
}

struct Acceptor(TcpListener);

impl Listener for Acceptor {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Without this, small responses wait for the client's acknowledgement. A socket
        // that refuses the option still works.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            stream,
            reset: ResetFlag::default(),
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Tells a connection to reset instead of answering.
#[derive(Clone, Default)]
struct ResetFlag(Arc<AtomicBool>);

impl ResetFlag {
    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, Acceptor>> for ResetFlag {
    fn connect_info(stream: IncomingStream<'_, Acceptor>) -> Self {
        stream.io().reset.clone()
    }
}

/// Once the flag is set, the connection refuses writes. The HTTP layer then drops it, and
/// dropping it sends a TCP reset.
struct Connection {
    stream: TcpStream,
    reset: ResetFlag,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.reset.is_set() {
            // If the option fails, the client still sees the connection close without a
            // response.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.reset.is_set() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.is_set() {
            // A graceful shutdown would hide the reset.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

async fn handle(
    State(state): State<SharedState>,
    ConnectInfo(reset): ConnectInfo<ResetFlag>,
    request: Request,
) -> Response {
    let now = Timestamp::now();
    let (head, body) = request.into_parts();
    let Some((api, path)) = Api::from_path(head.uri.path()) else {
        let text = "no fake lives under this path";
        return ApiResponse::text(StatusCode::NOT_FOUND, "text/plain", text).into_response();
    };
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return ApiResponse::new(status, error_body(api, status)).into_response();
    };
    let base = format!("{}{}", state.urls.base, api.base_path());
    let request = ApiRequest {
        method: &head.method,
        path,
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: &body,
        now,
        base: &base,
    };
    let (delivery, delay) = perform(&state, api, &request);
    // The effect comes before the delay: like at a real server, a request has its effect
    // even if the client stops waiting.
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match delivery {
        Delivery::Send(response) => response.into_response(),
        Delivery::Reset => {
            reset.set();
            StatusCode::NO_CONTENT.into_response()
        }
        Delivery::Truncate(response) => half_response(response, HalfBody::SendThenClose),
        Delivery::Silence(response) => half_response(response, HalfBody::SendThenStall),
    }
}

/// Performs the request under the lock and records it.
fn perform(state: &SharedState, api: Api, request: &ApiRequest<'_>) -> (Delivery, Duration) {
    let mut fakes = state.lock();
    let account = fakes.account(api, request);
    let fault = fakes
        .faults
        .choose(api, request.method, request.path, account.as_deref());
    let fault_name = fault.as_ref().map(InjectedFault::name);
    let latency = fakes.latency;
    let mut answer = || fakes.answer(api, account.clone(), request);
    let (delivery, delay) = match fault {
        None => (Delivery::Send(answer()), latency),
        Some(fault) => {
            let response = fault.performs().then(answer);
            let delay = latency.saturating_add(fault.delay);
            let error_body = |status| error_body(api, status);
            (fault.apply(request.now, response, error_body), delay)
        }
    };
    let status = match &delivery {
        Delivery::Send(response) | Delivery::Truncate(response) | Delivery::Silence(response) => {
            Some(response.status.as_u16())
        }
        Delivery::Reset => None,
    };
    fakes.requests.push(RecordedRequest {
        number: 0,
        at: request.now,
        api,
        method: request.method.as_str().to_owned(),
        path: request.path.to_owned(),
        query: request_log::query(request.query),
        headers: request_log::headers(request.headers),
        account,
        body: request_log::body(&request.media_type(), request.body),
        status,
        fault: fault_name,
    });
    (delivery, delay)
}

/// Announces the full length of the body and sends half of it.
fn half_response(response: ApiResponse, body: fn(Bytes) -> HalfBody) -> Response {
    let bytes = response.bytes();
    let half = Bytes::copy_from_slice(bytes.get(..bytes.len() / 2).unwrap_or_default());
    // An empty body cannot be truncated, so at least one byte is announced.
    let announced = bytes.len().max(1);
    let mut response = response.into_response_with(Body::new(body(half)));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, announced.into());
    response
}

enum HalfBody {
    SendThenClose(Bytes),
    SendThenStall(Bytes),
    Stalled,
    /// Waits until the half has been sent before the connection closes.
    Closing(Pin<Box<Sleep>>),
}

impl HttpBody for HalfBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::SendThenClose(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                let wait = tokio::time::sleep(Duration::from_millis(10));
                *self = Self::Closing(Box::pin(wait));
                Poll::Ready(Some(Ok(frame)))
            }
            Self::SendThenStall(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                *self = Self::Stalled;
                Poll::Ready(Some(Ok(frame)))
            }
            // The client drops this when it stops waiting.
            Self::Stalled => Poll::Pending,
            Self::Closing(wait) => wait
                .as_mut()
                .poll(context)
                .map(|()| Some(Err(io::ErrorKind::BrokenPipe.into()))),
        }
    }
}
