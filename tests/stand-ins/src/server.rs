//! The server: one port, from the request's bytes to the answer's.

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
    answer::Answer,
    api::Api,
    call::Call,
    control,
    faults::{Finish, Strike},
    requests::{self, RecordedRequest},
    world::{Shared, error_body},
};

/// The longest body that is read. A thousand subscribers fit many times over.
pub(crate) const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Shared) -> io::Result<()> {
    let app = Router::new()
        .nest("/control", control::router())
        .fallback(handle)
        .with_state(shared)
        .into_make_service_with_connect_info::<Cut>();
    axum::serve(Door(listener), app).await
}

/// Accepts connections that can be cut.
struct Door(TcpListener);

impl Listener for Door {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Without it small answers wait for the client's acknowledgement. A
        // socket that refuses the option works all the same.
        let _ = stream.set_nodelay(true);
        let line = Line {
            stream,
            cut: Cut::default(),
        };
        (line, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// Tells a connection to reset instead of answering.
#[derive(Clone, Default)]
struct Cut(Arc<AtomicBool>);

impl Cut {
    fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_cut(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Connected<IncomingStream<'_, Door>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().cut.clone()
    }
}

/// A connection. Once cut it refuses to write, which makes the HTTP layer give
/// it up, and sends a TCP reset when it is dropped.
struct Line {
    stream: TcpStream,
    cut: Cut,
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.cut.is_cut() {
            // Where the option fails the client still sees the connection end
            // without an answer.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.cut.is_cut() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.is_cut() {
            // A graceful end would come before the reset and hide it.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

async fn handle(
    State(shared): State<Shared>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
) -> Response {
    let now = Timestamp::now();
    let (head, body) = request.into_parts();
    let Some((api, path)) = Api::of_path(head.uri.path()) else {
        let text = "no stand-in lives under this path";
        return Answer::text(StatusCode::NOT_FOUND, "text/plain", text).into_response();
    };
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return Answer::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            error_body(api, StatusCode::PAYLOAD_TOO_LARGE),
        )
        .into_response();
    };
    let base = format!("{}{}", shared.urls.base, api.base_path());
    let call = Call {
        method: &head.method,
        path,
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body: &body,
        now,
        base: &base,
    };
    let (finish, delay) = carry_out(&shared, api, &call);
    // The effect comes before the delay: a client that gives up waiting has
    // still changed something, as with a real server.
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match finish {
        Finish::Send(answer) => answer.into_response(),
        Finish::Reset => {
            cut.cut();
            StatusCode::NO_CONTENT.into_response()
        }
        Finish::Truncate(answer) => half(answer, HalfBody::Start),
        Finish::Silence(answer) => half(answer, HalfBody::StartOfSilence),
    }
}

/// Performs the request under the lock, records it, and says how to end it.
fn carry_out(shared: &Shared, api: Api, call: &Call<'_>) -> (Finish, Duration) {
    let mut world = shared.lock();
    let account = world.account(api, call);
    let strike = world
        .faults
        .strike(api, call.method, call.path, account.as_deref());
    let fault = strike.as_ref().map(Strike::name);
    let latency = world.latency;
    let (finish, delay) = match strike {
        None => {
            let answer = world.answer(api, account.clone(), call);
            (Finish::Send(answer), latency)
        }
        Some(strike) => {
            let answer = strike
                .performs()
                .then(|| world.answer(api, account.clone(), call));
            let delay = latency.saturating_add(strike.delay);
            let finish = strike.finish(call.now, answer, |status| error_body(api, status));
            (finish, delay)
        }
    };
    let status = match &finish {
        Finish::Send(answer) | Finish::Truncate(answer) | Finish::Silence(answer) => {
            Some(answer.status.as_u16())
        }
        Finish::Reset => None,
    };
    world.requests.push(RecordedRequest {
        number: 0,
        at: call.now,
        api,
        method: call.method.as_str().to_owned(),
        path: call.path.to_owned(),
        query: requests::query(call.query),
        headers: requests::headers(call.headers),
        account,
        body: requests::body(&call.media_type(), call.body),
        status,
        fault,
    });
    (finish, delay)
}

/// The answer with its whole length announced and half of it sent.
fn half(answer: Answer, begin: fn(Bytes) -> HalfBody) -> Response {
    let bytes = answer.bytes();
    let kept = Bytes::copy_from_slice(bytes.get(..bytes.len() / 2).unwrap_or_default());
    // An empty body cannot be cut short, so at least one byte is announced.
    let announced = bytes.len().max(1);
    let mut response = answer.into_response_with(Body::new(begin(kept)));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, announced.into());
    response
}

/// A body that breaks off, or after which nothing comes.
enum HalfBody {
    Start(Bytes),
    StartOfSilence(Bytes),
    Silent,
    /// The part sent needs a moment to leave before the connection is given up.
    Sent(Pin<Box<Sleep>>),
}

impl HttpBody for HalfBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Start(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                let pause = tokio::time::sleep(Duration::from_millis(10));
                *self = Self::Sent(Box::pin(pause));
                Poll::Ready(Some(Ok(frame)))
            }
            Self::StartOfSilence(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                *self = Self::Silent;
                Poll::Ready(Some(Ok(frame)))
            }
            // Until the client gives up, which drops this.
            Self::Silent => Poll::Pending,
            Self::Sent(pause) => pause
                .as_mut()
                .poll(context)
                .map(|()| Some(Err(io::ErrorKind::BrokenPipe.into()))),
        }
    }
}
