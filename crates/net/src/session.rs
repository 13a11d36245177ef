//! Serves connections of protocols other than HTTP, with the same limits, timeouts and draining.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::accept::{Arrived, accept_connections};
use crate::connection::{Connection, Order};
use crate::exchange::{Exchange, Open};
use crate::front::Refusal;
use crate::listener::Listener;
use crate::network::Network;
use crate::preface::Preface;
use crate::serve::Port;
use crate::socket::Socket;

/// A protocol that reads from and writes to its connections itself.
pub trait Protocol: Send + Sync + 'static {
    /// Serves one connection. Dropping the future closes the connection and cancels its requests.
    fn serve(&self, socket: Socket, session: Session) -> impl Future<Output = ()> + Send;
}

/// Serves the connections of a listener until the network closes and the last connection has ended. They count against the
/// limit of connections. `port` is the name of the port in metrics.
pub async fn serve_protocol<P: Protocol>(
    listener: impl Into<Listener>,
    network: Arc<Network>,
    port: &'static str,
    protocol: P,
) {
    let protocol = Arc::new(protocol);
    accept_connections(listener.into(), network, Port::named(port), move |stream, connection, _| {
        serve_connection(stream, connection, Arc::clone(&protocol))
    })
    .await;
}

async fn serve_connection<P: Protocol>(arrived: Arrived, connection: Arc<Connection>, protocol: Arc<P>) {
    let Some(stream) = arrived.begin(&connection).await else { return };
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

/// The interface between a protocol and the network for one connection.
pub struct Session {
    connection: Arc<Connection>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("port", &self.connection.port).finish_non_exhaustive()
    }
}

impl Session {
    /// Why the requests of this connection are refused, if they are: there are too many connections, or the server is
    /// stopping. The protocol sends one response that says so, and closes the connection.
    pub fn refusal(&self) -> Option<Refusal> {
        self.connection.refused
    }

    /// Whether another request may be read after the last response. False while the server is stopping.
    pub fn takes_more(&self) -> bool {
        self.refusal().is_none()
            && !self.connection.network.is_draining()
            && self.connection.order() == Order::None
    }

    /// Waits for `read` to read the next request. Returns `None` as soon as no more requests are accepted.
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

    /// Notes that a request was read completely. A shutdown waits for its response.
    pub fn begin(&self) -> OpenRequest {
        let open = Exchange::begin(Arc::clone(&self.connection), false, None);
        open.0.came_whole();
        OpenRequest(open)
    }
}

/// A request whose response is not complete. Dropping this marks it as complete.
#[derive(Debug)]
pub struct OpenRequest(Open);

impl OpenRequest {
    /// The exchange that counts the bytes held for the request.
    pub fn exchange(&self) -> &Arc<Exchange> {
        &self.0.0
    }
}
