//! Accepts the connections of a port: up to the limit, and a few beyond it, which get a response that says why they are
//! refused.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::{Duration, Instant};

use hippocamp_tls::Tls;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, warn};

use crate::connection::{Connection, Order};
use crate::front::{Front, Refusal};
use crate::listener::Listener;
use crate::network::{End, Network, Phase};
use crate::serve::{Port, serve_connection};
use crate::stream::{Plain, Stream};

/// The pause after a failed accept, when there are no more sockets.
const PAUSE: Duration = Duration::from_millis(20);

/// The shortest interval between two log messages about failed accepts.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The highest number of connections of a port that does not count against the limit.
const MAX_UNCOUNTED: usize = 64;

/// The number of spare files that are kept open, to be closed when no further file can be opened.
const RESERVE: usize = 8;

/// The idle time in milliseconds after which a connection may be closed in favour of another.
const MIN_IDLE_MILLISECONDS: u64 = 1000;

/// Serves the connections of a listener until the network closes and the last connection has ended.
pub async fn serve<F: Front>(listener: impl Into<Listener>, network: Arc<Network>, port: Port, front: F) {
    let front = Arc::new(front);
    accept_connections(listener.into(), network, port, move |stream, connection, port| {
        serve_connection(stream, connection, port, Arc::clone(&front))
    })
    .await;
}

/// Accepts the connections of a listener and serves each on a task of its own.
pub(crate) async fn accept_connections<S>(
    listener: Listener,
    network: Arc<Network>,
    port: Port,
    serve_one: impl Fn(Arrived, Arc<Connection>, Arc<Port>) -> S + Clone + Send + 'static,
) where
    S: Future<Output = ()> + Send + 'static,
{
    network.add_port(port.name);
    let port = Arc::new(port);
    {
        let mut phase = network.phase();
        let mut closing = pin!(phase.wait_for(|phase| *phase == Phase::Closing));
        let mut acceptor = Acceptor {
            listener,
            network: &network,
            port: &port,
            reserve: Vec::new(),
            failures: FailureLog::default(),
        };
        loop {
            let taken = tokio::select! {
                taken = acceptor.next() => taken,
                _ = &mut closing => break,
            };
            taken.serve(&port, &serve_one);
        }
    }
    network.all_gone(port.name).await;
}

/// An accepted connection, before its handshake.
pub(crate) struct Arrived {
    plain: Plain,
    tls: Option<Arc<Tls>>,
}

impl Arrived {
    /// Begins the connection. Ends with `None` if it is ordered to end first, or if it fails, which is logged.
    pub(crate) async fn begin(self, connection: &Connection) -> Option<Stream> {
        let begun = async {
            self.plain.set_nodelay()?;
            if self.tls.is_some() {
                // The handshake may take as long as a head.
                connection.reads_head();
            }
            Stream::begin(self.plain, self.tls).await
        };
        let mut begun = pin!(begun);
        let begun = poll_fn(|cx| match begun.as_mut().poll(cx) {
            Poll::Ready(begun) => Poll::Ready(Some(begun)),
            Poll::Pending => connection.poll_order(cx, Order::None).map(|_| None),
        });
        match begun.await? {
            Ok(stream) => {
                connection.head_is_read();
                Some(stream)
            }
            Err(e) => {
                debug!(port = connection.port, "connection lost before it was served: {e}");
                None
            }
        }
    }
}

/// An accepted connection and its registration.
struct Taken {
    stream: Arrived,
    place: Place,
    late: Option<OwnedSemaphorePermit>,
}

impl Taken {
    /// Serves the connection on a task of its own: of its I/O thread, or of this runtime.
    fn serve<S>(
        self,
        port: &Arc<Port>,
        serve_one: &(impl Fn(Arrived, Arc<Connection>, Arc<Port>) -> S + Clone + Send + 'static),
    ) where
        S: Future<Output = ()> + Send + 'static,
    {
        let Taken { stream, place, late } = self;
        let (connection, port) = (Arc::clone(&place.connection), Arc::clone(port));
        let Some(assignment) = &connection.assignment else {
            let served = serve_one(stream, connection, port);
            tokio::spawn(async move {
                let _until_it_ends = (place, late);
                served.await;
            });
            return;
        };
        let Arrived { plain, tls } = stream;
        match plain.detach() {
            Ok(plain) => {
                let serve_one = serve_one.clone();
                assignment.serve(plain, move |plain| {
                    let served = serve_one(Arrived { plain, tls }, Arc::clone(&place.connection), port);
                    async move {
                        let _until_it_ends = (place, late);
                        served.await;
                    }
                });
            }
            Err(e) => debug!("connection lost before it was served: {e}"),
        }
    }
}

/// The registration of a connection. Dropping it unregisters the connection, and lowers the count if it counts against the
/// limit.
struct Place {
    connection: Arc<Connection>,
    number: u64,
    counted: bool,
}

impl Place {
    fn new(connection: Connection, counted: bool) -> Place {
        let connection = Arc::new(connection);
        let network = &connection.network;
        network.counts.accepted.fetch_add(1, Relaxed);
        if counted {
            network.counted.fetch_add(1, Relaxed);
        }
        let number = network.registry.insert(Arc::clone(&connection));
        if network.is_closing() {
            connection.tell(Order::Finish);
        }
        Place { connection, number, counted }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let network = &self.connection.network;
        if self.counted {
            network.counted.fetch_sub(1, Relaxed);
        }
        network.registry.remove(self.number);
    }
}

struct Acceptor<'a> {
    listener: Listener,
    network: &'a Arc<Network>,
    port: &'a Port,
    reserve: Vec<File>,
    failures: FailureLog,
}

/// Logs failed accepts at a limited rate, so that a client cannot fill the disk with log messages.
#[derive(Default)]
struct FailureLog {
    last_logged: Option<Instant>,
    since: u64,
}

impl FailureLog {
    fn add(&mut self, error: &io::Error) {
        self.since += 1;
        if self.last_logged.is_none_or(|last_logged| last_logged.elapsed() >= LOG_INTERVAL) {
            warn!(tries = self.since, "no connection can be taken: {error}");
            *self = FailureLog { last_logged: Some(Instant::now()), since: 0 };
        }
    }
}

impl Acceptor<'_> {
    /// Accepts the next connection. Connections that the peer aborted are skipped; after a lack of sockets or memory it
    /// tries again.
    async fn next(&mut self) -> Taken {
        loop {
            self.fill_reserve();
            // Only a few connections beyond the limit are open at a time. Further ones wait in the listener until one ends.
            let late = if self.is_full() { self.late_place().await } else { None };
            match self.listener.accept().await {
                Ok(stream) => return self.taken(stream, None, late),
                Err(e) if is_of_the_peer(&e) => debug!("connection failed before it was taken: {e}"),
                Err(e) if self.reserve.pop().is_some() => {
                    debug!("a reserved file makes place for a connection: {e}");
                    if let Ok(stream) = self.listener.accept().await {
                        return self.taken(stream, Some(Refusal::Files), late);
                    }
                }
                Err(e) => {
                    self.failures.add(&e);
                    self.evict_one();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Waits for a permit for a connection beyond the limit. If there is none, the oldest such connection without a request
    /// is closed.
    async fn late_place(&self) -> Option<OwnedSemaphorePermit> {
        let late = Arc::clone(&self.network.late);
        if let Ok(place) = Arc::clone(&late).try_acquire_owned() {
            return Some(place);
        }
        if let Some(silent) = self.network.registry.oldest_silent(Connection::is_late) {
            silent.tell(Order::End);
        }
        late.acquire_owned().await.ok()
    }

    /// Closes an idle connection, to free its file.
    fn evict_one(&self) {
        let registry = &self.network.registry;
        if let Some(idle) = registry.longest_idle(MIN_IDLE_MILLISECONDS) {
            self.network.counts.end(End::Evicted);
            idle.tell(Order::Finish);
        } else if let Some(silent) = registry.oldest_silent(Connection::is_late) {
            silent.tell(Order::End);
        }
    }

    /// Limits the connections of a port that does not count: closes its oldest silent one if there are too many.
    fn keep_few(&self) {
        let (registry, port) = (&self.network.registry, self.port.name);
        if !self.port.counted
            && registry.len(port) >= MAX_UNCOUNTED
            && let Some(silent) = registry.oldest_silent(|connection| connection.port == port)
        {
            self.network.counts.end(End::Evicted);
            silent.tell(Order::End);
        }
    }

    /// Opens spare files, up to [`RESERVE`].
    fn fill_reserve(&mut self) {
        while self.reserve.len() < RESERVE
            && let Ok(file) = File::open("/dev/null")
        {
            self.reserve.push(file);
        }
    }

    fn is_full(&self) -> bool {
        let full = self.port.counted && self.network.counted.load(Relaxed) >= self.network.limits.connections;
        full || self.network.is_draining()
    }

    /// The reason to refuse a new connection; `None` if it is within the limit. At the limit, an idle connection is closed
    /// in its favour if there is one.
    fn refusal(&self) -> Option<Refusal> {
        if self.network.is_draining() {
            return Some(Refusal::Stopping);
        }
        if !self.is_full() {
            return None;
        }
        let Some(idle) = self.network.registry.longest_idle(MIN_IDLE_MILLISECONDS) else {
            return Some(Refusal::Connections(self.network.limits.connections));
        };
        self.network.counts.end(End::Evicted);
        idle.tell(Order::Finish);
        None
    }

    fn taken(&self, plain: Plain, why: Option<Refusal>, late: Option<OwnedSemaphorePermit>) -> Taken {
        self.keep_few();
        let why = why.or_else(|| self.refusal());
        if why.is_some() {
            self.network.counts.late.fetch_add(1, Relaxed);
        }
        let network = Arc::clone(self.network);
        let mut connection = Connection::new(
            network,
            self.port.name,
            self.port.counted,
            self.port.ages(),
            self.port.http2.pings,
            why,
        );
        let log = self.network.access_log().filter(|_| self.port.counted);
        connection.access = log.map(|log| (Arc::clone(log), plain.client().into()));
        let counted = self.port.counted && why.is_none();
        let stream = Arrived { plain, tls: self.listener.tls.clone() };
        Taken { stream, place: Place::new(connection, counted), late: late.filter(|_| why.is_some()) }
    }
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}
