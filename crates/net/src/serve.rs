//! Serves one HTTP connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hippocamp_access_log::{AccessLog, AccessRecord};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tracing::debug;

use crate::accept::Arrived;
use crate::answer::{Answer, UntilSent, note_grpc_status};
use crate::body::RequestBody;
use crate::connection::{Ages, Connection, Order};
use crate::exchange::{Exchange, Open};
use crate::front::Front;
use crate::http2_stream::Http2Stream;
use crate::keepalive::Pings;
use crate::preface::Preface;
use crate::socket::Socket;
use crate::stream::{Chosen, Stream};
use crate::write_coalescing::WriteCoalescing;

/// The HTTP/2 flow-control window in bytes, large enough that a tensor of usual size does not wait for a window update.
const STREAM_WINDOW: u32 = 16 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// The largest accepted HTTP/2 frame in bytes, so that clients can send large tensors in fewer frames.
const FRAME_SIZE: u32 = 1 << 20;

/// How many bytes of the body of a refused request are read and dropped, and for how long, so that the client reads the
/// response.
const MAX_DRAINED_BODY: usize = 1 << 20;
const BODY_DRAIN_TIME: Duration = Duration::from_secs(1);

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// The settings of a port.
#[derive(Clone, Debug)]
pub struct Port {
    /// The name of the port in metrics.
    pub name: &'static str,
    /// Whether HTTP/1.1 is accepted in addition to HTTP/2.
    pub http1: bool,
    pub http2: Http2,
    /// Whether its connections count against the limit of connections.
    pub counted: bool,
}

/// The settings of HTTP/2 connections.
#[derive(Clone, Debug, Default)]
pub struct Http2 {
    pub pings: Pings,
    /// The age at which a connection is closed. Open requests may continue for the grace period.
    pub max_connection_age: Option<Duration>,
    pub max_connection_age_grace: Option<Duration>,
    /// The size of a request's headers up to which the protocol is asked, by HTTP/2's way of counting. Larger ones are answered by
    /// status 431. `None` is the library's own limit, 16 KiB.
    pub max_header_list_size: Option<u32>,
}

impl Port {
    /// A port of a protocol that is not HTTP. Its connections count against the limit.
    pub(crate) fn named(name: &'static str) -> Port {
        Port { name, http1: false, http2: Http2::default(), counted: true }
    }

    pub(crate) fn ages(&self) -> Ages {
        Ages { age: self.http2.max_connection_age, grace: self.http2.max_connection_age_grace }
    }
}

/// Serves a connection until it ends or is ordered to.
pub(crate) async fn serve_connection<F: Front>(
    arrived: Arrived,
    connection: Arc<Connection>,
    port: Arc<Port>,
    front: Arc<F>,
) {
    let Some(mut stream) = arrived.begin(&connection).await else { return };
    let ended = match begun(&mut stream, &connection).await {
        Some(Ok((ahead, is_http2))) => {
            let is_http2 = is_http2 || !port.http1;
            let is_unix = stream.is_unix();
            let socket = Socket::new(stream, ahead, Arc::clone(&connection), !is_http2);
            if is_http2 {
                http2(socket, (is_unix, port.http2.max_header_list_size), &connection, front).await
            } else {
                http1(socket, &connection, front).await
            }
        }
        Some(Err(e)) => {
            debug!("connection lost before it was served: {e}");
            return;
        }
        None => return,
    };
    if let Err(e) = ended {
        debug!("connection ended: {e}");
    }
}

/// Detects the protocol of a connection, which ALPN may have said already; `None` if the connection is ordered to end first.
async fn begun(stream: &mut Stream, connection: &Connection) -> Option<std::io::Result<(Preface, bool)>> {
    if let Some(chosen) = stream.chosen() {
        return Some(Ok((Preface::default(), chosen == Chosen::Http2)));
    }
    let mut look = pin!(Preface::look(stream, connection));
    poll_fn(|cx| match look.as_mut().poll(cx) {
        Poll::Ready(looked) => Poll::Ready(Some(looked)),
        Poll::Pending => connection.poll_order(cx, Order::None).map(|_| None),
    })
    .await
}

async fn http1<F: Front>(socket: Socket, connection: &Arc<Connection>, front: Arc<F>) -> hyper::Result<()> {
    let respond = service_fn(|request| answer(connection, &*front, begin(connection, request)));
    let served = pin!(http1::Builder::new().serve_connection(TokioIo::new(socket), respond));
    until_told(served, connection, http1::Connection::graceful_shutdown).await
}

async fn http2<F: Front>(
    socket: Socket,
    (is_unix, max_header_list_size): (bool, Option<u32>),
    connection: &Arc<Connection>,
    front: Arc<F>,
) -> hyper::Result<()> {
    connection.speaks_http2();
    // Each request has a reference to this, rather than to what all connections share.
    let front = Arc::new(front);
    if connection.network.is_draining() && connection.refused.is_none() {
        connection.tell(Order::Finish);
    }
    let of_streams = Arc::clone(connection);
    let respond = service_fn(move |request| {
        let (connection, front) = (Arc::clone(&of_streams), Arc::clone(&front));
        let begun = begin(&connection, request);
        // The library moves the future several times before it is first polled.
        Box::pin(async move { answer(&connection, &**front, begun).await })
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_SIZE)
        .max_concurrent_streams(connection.network.limits.streams);
    if let Some(size) = max_header_list_size {
        builder.max_header_list_size(size);
    }
    let socket = Http2Stream::new(WriteCoalescing::new(socket), Arc::clone(connection), is_unix);
    let socket = TokioIo::new(socket);
    let served = pin!(builder.serve_connection(socket, respond));
    until_told(served, connection, http2::Connection::graceful_shutdown).await
}

/// Runs the connection until it ends by itself or is ordered to.
async fn until_told<C: Future<Output = hyper::Result<()>>>(
    mut served: Pin<&mut C>,
    connection: &Connection,
    finish: fn(Pin<&mut C>),
) -> hyper::Result<()> {
    let mut known = Order::None;
    poll_fn(|cx: &mut Context<'_>| {
        loop {
            if let Poll::Ready(ended) = served.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            match connection.poll_order(cx, known) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Order::End) => return Poll::Ready(Ok(())),
                Poll::Ready(order) => {
                    known = order;
                    finish(served.as_mut());
                }
            }
        }
    })
    .await
}

/// A request whose head was read.
struct Begun {
    request: Request<RequestBody>,
    open: Open,
    is_http1: bool,
}

/// Registers a request. This has to be called as soon as the head was read, before the response future is first polled,
/// because the peer's close may be read in between.
fn begin(connection: &Arc<Connection>, request: Request<Incoming>) -> Begun {
    let is_http1 = request.version() < Version::HTTP_2;
    let patient = is_http1 && is_last(request.version(), request.headers());
    let access = connection.access.as_ref().map(|access| log(access, &request));
    let open = Exchange::begin(Arc::clone(connection), patient, access);
    let mut request = request.map(|incoming| RequestBody::new(incoming, Arc::clone(&open.0)));
    if let Some(access) = &open.0.access {
        request.extensions_mut().insert(Arc::clone(access));
    }
    Begun { request, open, is_http1 }
}

/// Begins the line of a request in the access log.
#[cold]
fn log((log, client): &(Arc<AccessLog>, Arc<str>), request: &Request<Incoming>) -> Arc<AccessRecord> {
    let protocol = match request.version() {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    };
    AccessRecord::begin(log, client, protocol, request.method().as_str(), request.uri().path())
}

async fn answer<F: Front>(
    connection: &Connection,
    front: &F,
    begun: Begun,
) -> Result<Response<Answer<F::Body>>, Infallible> {
    let Begun { request, open, is_http1 } = begun;
    let why = connection.refused;
    let refused = why.and_then(|why| Some((front.refuse(&request, why)?, why)));
    let mut response = match refused {
        Some((response, _)) => {
            drain_body(request.into_body()).await;
            response
        }
        None => front.respond(request).await,
    };
    if is_http1 && closes(connection, &open) {
        response.headers_mut().insert(CONNECTION, CLOSE);
    }
    if let Some(access) = &open.0.access {
        access.answered(response.status().as_u16());
        note_grpc_status(access, response.headers());
    }
    let kept = response.extensions_mut().remove::<UntilSent>();
    Ok(response.map(|body| Answer::new(body, open, kept)))
}

/// Whether the connection is closed after the response: because it is refused, the server is draining, or the body of the
/// request was not read to its end.
fn closes(connection: &Connection, open: &Open) -> bool {
    connection.refused.is_some() || !open.0.is_whole() || connection.network.is_draining()
}

/// Whether the client announced that this is its last request on the connection.
fn is_last(version: Version, headers: &HeaderMap) -> bool {
    let says = |word: &[u8]| {
        headers.get_all(CONNECTION).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(word))
    };
    says(b"close") || version == Version::HTTP_10 && !says(b"keep-alive")
}

async fn drain_body(mut body: RequestBody) {
    let mut left = MAX_DRAINED_BODY;
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    drop(tokio::time::timeout(BODY_DRAIN_TIME, read).await);
}
