//! Connections of a protocol that is not HTTP: they are taken, limited, timed and drained as those of HTTP are.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use crate::accept::accept_connections;
use crate::connection::{Connection, Order};
use crate::exchange::{Exchange, Open};
use crate::front::Refusal;
use crate::network::Network;
use crate::preface::Preface;
use crate::serve::Port;
use crate::socket::Socket;

/// A protocol that reads and writes its connections itself.
pub trait Protocol: Send + Sync + 'static {
    /// Serves one connection. Dropping the future ends the connection, and cancels what was asked for on it.
    fn serve(&self, socket: Socket, session: Session) -> impl Future<Output = ()> + Send;
}

/// Serves the connections of a listener until the network closes and the last of them is done. They count against the limit
/// of connections; metrics tell the port by its name.
pub async fn serve_protocol<P: Protocol>(
    listener: TcpListener,
    network: Arc<Network>,
    port: &'static str,
    protocol: P,
) {
    let protocol = Arc::new(protocol);
    accept_connections(listener, network, Port::named(port), move |stream, connection, _| {
        serve_connection(stream, connection, Arc::clone(&protocol))
    })
    .await;
}

async fn serve_connection<P: Protocol>(stream: TcpStream, connection: Arc<Connection>, protocol: Arc<P>) {
    // Without it small replies wait for the peer's acknowledgement of the one before.
    if let Err(e) = stream.set_nodelay(true) {
        debug!("connection lost before it was served: {e}");
        return;
    }
    let socket = Socket::new(stream, Preface::default(), Arc::clone(&connection), true);
    let session = Session { connection: Arc::clone(&connection) };
    let mut served = pin!(protocol.serve(socket, session));
    poll_fn(|cx| {
        if served.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        connection.poll_order(cx, Order::Finish).map(|_| ())
    })
    .await;
}

/// What a protocol is told of a connection, and tells of it.
pub struct Session {
    connection: Arc<Connection>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("port", &self.connection.port).finish_non_exhaustive()
    }
}

impl Session {
    /// Why requests of this connection are refused, if they are: there are too many connections, or the server stops. The
    /// client is told so once, and the connection is closed.
    pub fn refusal(&self) -> Option<Refusal> {
        self.connection.refused
    }

    /// Whether another request may be read behind the last answer. While the server stops it may not.
    pub fn takes_more(&self) -> bool {
        self.refusal().is_none()
            && !self.connection.network.is_draining()
            && self.connection.order() == Order::None
    }

    /// Waits for the next request, which `read` reads. `None` as soon as no more requests are taken.
    pub async fn next<T>(&self, read: impl Future<Output = T>) -> Option<T> {
        let mut read = pin!(read);
        poll_fn(|cx| {
            if let Poll::Ready(request) = read.as_mut().poll(cx) {
                return Poll::Ready(Some(request));
            }
            self.connection.poll_order(cx, Order::None).map(|_| None)
        })
        .await
    }

    /// A request was read whole. The server waits for its answer when it stops.
    pub fn begin(&self) -> OpenRequest {
        let open = Exchange::begin(Arc::clone(&self.connection), false);
        open.0.came_whole();
        OpenRequest(open)
    }
}

/// A request that is not answered to the end; it is when this is dropped.
#[derive(Debug)]
pub struct OpenRequest(Open);

impl OpenRequest {
    /// What counts the bytes that are held for the request.
    pub fn exchange(&self) -> &Arc<Exchange> {
        &self.0.0
    }
}
