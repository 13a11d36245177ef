//! The I/O threads: where there are several, each serves its connections on a current-thread runtime of its own.
//!
//! A connection stays on the thread that it was handed to, so that requests of different threads share no run queue, no timer
//! and no lock of a runtime. Accepting, the clock and background work stay on the runtime that the network was started on.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hippocamp_per_thread::Padded;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tracing::debug;

use crate::connection::Connection;
use crate::stream::{Detached, Plain};

/// How long in milliseconds a connection counts as active after its last request.
const ACTIVE_MILLISECONDS: u64 = 1000;

/// The number of blocking threads of all I/O threads together, as of one runtime by default.
const MAX_BLOCKING_THREADS: usize = 512;
const MIN_BLOCKING_THREADS: usize = 8;

/// Threads that serve connections. They end when this is dropped, and close the connections that are open then.
#[derive(Debug)]
pub struct IoThreads {
    pub(crate) threads: Arc<Threads>,
    _running: watch::Sender<()>,
}

impl IoThreads {
    /// Starts `count` threads, named `io-0` and so on, with stacks of `stack_size` bytes.
    pub fn start(count: usize, stack_size: usize) -> io::Result<IoThreads> {
        let (running, stopped) = watch::channel(());
        let threads = (0..count).map(|number| start_one(number, count, stack_size, stopped.clone()));
        let threads = Threads { threads: threads.collect::<io::Result<_>>()?, turn: AtomicUsize::new(0) };
        Ok(IoThreads { threads: Arc::new(threads), _running: running })
    }
}

fn start_one(
    number: usize,
    count: usize,
    stack_size: usize,
    mut stopped: watch::Receiver<()>,
) -> io::Result<IoThread> {
    let name = format!("io-{number}");
    let runtime = Builder::new_current_thread()
        .thread_name(&name)
        .thread_stack_size(stack_size)
        .max_blocking_threads((MAX_BLOCKING_THREADS / count).max(MIN_BLOCKING_THREADS))
        .enable_all()
        .build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name(name).stack_size(stack_size).spawn(move || {
        // An error says that the sender was dropped.
        drop(runtime.block_on(stopped.changed()));
        // Blocking work that still runs does not delay the end.
        runtime.shutdown_background();
    })?;
    Ok(IoThread { runtime: handle, load: Padded::default() })
}

/// The I/O threads as the network knows them. Empty if connections are served on the runtime that accepts them.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    threads: Vec<IoThread>,
    /// The thread that gets the next connection if all are loaded alike.
    turn: AtomicUsize,
}

#[derive(Debug)]
struct IoThread {
    runtime: Handle,
    load: Padded<Load>,
}

/// What one thread has to serve.
#[derive(Debug, Default)]
struct Load {
    connections: AtomicUsize,
    /// The open requests of its active connections as of the last tick, one at least for each, and one for each connection
    /// since.
    active: AtomicUsize,
}

impl Threads {
    pub(crate) fn len(&self) -> usize {
        self.threads.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// Takes the least loaded thread for a new connection: that with the fewest active connections, then that with the
    /// fewest at all, in turns if there are several. `None` if there are no threads.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Assignment> {
        let count = self.threads.len();
        let turn = self.turn.fetch_add(1, Relaxed);
        let load = |number: &usize| {
            let load = &self.threads[*number].load.0;
            (load.active.load(Relaxed), load.connections.load(Relaxed))
        };
        let number = (0..count).map(|i| turn.wrapping_add(i) % count).min_by_key(load)?;
        let load = &self.threads[number].load.0;
        load.active.fetch_add(1, Relaxed);
        load.connections.fetch_add(1, Relaxed);
        Some(Assignment { threads: Arc::clone(self), number })
    }

    /// The numbers of connections, by thread.
    pub(crate) fn connections(&self) -> impl Iterator<Item = usize> {
        self.threads.iter().map(|thread| thread.load.0.connections.load(Relaxed))
    }

    /// Counts anew how active each thread is.
    pub(crate) fn measure<'a>(&self, connections: impl Iterator<Item = &'a Connection>) {
        let mut active = vec![0; self.threads.len()];
        for connection in connections {
            if let Some(assignment) = &connection.assignment {
                let is_active = connection.idle_for().is_none_or(|time| time < ACTIVE_MILLISECONDS);
                active[assignment.number] +=
                    if is_active { connection.requests().max(1) as usize } else { 0 };
            }
        }
        for (thread, active) in self.threads.iter().zip(active) {
            thread.load.0.active.store(active, Relaxed);
        }
    }
}

/// The I/O thread that serves a connection. Counted until it is dropped.
pub(crate) struct Assignment {
    threads: Arc<Threads>,
    pub(crate) number: usize,
}

impl fmt::Debug for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Assignment {
    /// Serves a connection on the thread. The stream is registered there, so it must not be registered here.
    pub(crate) fn serve<S: Future<Output = ()> + Send + 'static>(
        &self,
        stream: Detached,
        serve: impl FnOnce(Plain) -> S + Send + 'static,
    ) {
        // If the thread has ended, this drops the connection.
        drop(self.threads.threads[self.number].runtime.spawn(async move {
            match stream.attach() {
                Ok(stream) => serve(stream).await,
                Err(e) => debug!("connection lost before it was served: {e}"),
            }
        }));
    }
}

impl Drop for Assignment {
    fn drop(&mut self) {
        self.threads.threads[self.number].load.0.connections.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::Ages;
    use crate::{Limits, Network, Pings};

    fn threads(count: usize) -> IoThreads {
        IoThreads::start(count, 1 << 20).unwrap()
    }

    #[test]
    fn threads_take_turns_and_the_emptiest_comes_first() {
        let threads = &threads(3).threads;
        let mut assignments: Vec<Assignment> = (0..6).map(|_| threads.take().unwrap()).collect();
        assert_eq!(threads.connections().collect::<Vec<_>>(), [2, 2, 2]);
        assignments.retain(|assignment| assignment.number != 1);
        threads.measure([].into_iter());
        assert_eq!(threads.take().unwrap().number, 1);
    }

    #[tokio::test]
    async fn open_requests_weigh_more_than_open_connections() {
        let threads = threads(2);
        let network = Network::start_on(Limits::default(), &threads);
        let open =
            || Connection::new(Arc::clone(&network), "x", true, Ages::default(), Pings::default(), None);
        let number = |connection: &Connection| connection.assignment.as_ref().unwrap().number;
        let connections: Vec<Connection> = (0..4).map(|_| open()).collect();
        let busy = &connections[0];
        busy.begin(false);
        busy.begin(false);
        network.set_now(2 * ACTIVE_MILLISECONDS);
        threads.threads.measure(connections.iter());
        let more = [open(), open()];
        assert!(more.iter().all(|connection| number(connection) != number(busy)));
        assert!(network.threads.connections().eq(if number(busy) == 0 { [2, 4] } else { [4, 2] }));
    }

    #[test]
    fn without_threads_nobody_is_taken() {
        assert!(Arc::new(Threads::default()).take().is_none());
    }

    #[tokio::test]
    async fn a_connection_is_served_on_the_thread_and_dropped_with_it() {
        let threads = threads(2);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let assignment = threads.threads.take().unwrap();
        let (named, name) = tokio::sync::oneshot::channel();
        let (alive, mut ended) = tokio::sync::mpsc::channel::<()>(1);
        assignment.serve(Detached::Tcp(stream.into_std().unwrap()), |stream| async move {
            named.send(std::thread::current().name().map(str::to_owned)).unwrap();
            let _until_it_ends = (stream, alive);
            std::future::pending::<()>().await;
        });
        assert_eq!(name.await.unwrap(), Some(format!("io-{}", assignment.number)));
        drop(threads);
        assert_eq!(ended.recv().await, None);
    }
}
