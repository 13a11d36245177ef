//! The state that all ports of a server share: limits, counters, the clock, and how far a shutdown is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::limits::Limits;
use crate::registry::Registry;
use crate::tick;

/// Connections beyond the limit that are taken nevertheless, to be told so or to be told the server's health.
const LATE: usize = 32;

/// How far the server is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    /// What was begun is finished. Connections that are open may ask once more; new ones get to know the health, and that
    /// the server stops.
    Draining,
    /// Ports and connections are closed.
    Closing,
}

/// Why a connection was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Header,
    Body,
    Idle,
    Write,
    /// Idle, for another to take its place.
    Evicted,
}

impl End {
    pub(crate) const ALL: [(End, &'static str); 5] = [
        (End::Header, "header"),
        (End::Body, "body"),
        (End::Idle, "idle"),
        (End::Write, "write"),
        (End::Evicted, "evicted"),
    ];
}

/// What was counted since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicU64,
    /// Connections that were taken beyond a limit.
    pub(crate) late: AtomicU64,
    /// Requests that were refused for the bytes that are held.
    pub(crate) no_room: AtomicU64,
    ended: [AtomicU64; End::ALL.len()],
}

impl Counts {
    pub(crate) fn end(&self, why: End) {
        self.ended[why as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn ended(&self, why: End) -> u64 {
        self.ended[why as usize].load(Relaxed)
    }
}

/// The limits of all ports, what is held against them, and the clock of all connections.
pub struct Network {
    pub(crate) limits: Limits,
    /// Milliseconds since the start, as of the last tick. Never 0, which stands for no time.
    now: AtomicU64,
    /// Bytes that are held for clients.
    pub(crate) held: AtomicUsize,
    /// Connections that count against the limit.
    pub(crate) counted: AtomicUsize,
    pub(crate) counts: Counts,
    pub(crate) registry: Registry,
    /// The names of the ports, for metrics.
    ports: Mutex<Vec<&'static str>>,
    pub(crate) late: Arc<Semaphore>,
    pub(crate) phase: watch::Sender<Phase>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Network {
    /// Starts the clock, on the runtime that this is called in. It ends when the network is dropped.
    pub fn start(limits: Limits) -> Arc<Network> {
        let network = Arc::new(Network {
            limits,
            now: AtomicU64::new(1),
            held: AtomicUsize::new(0),
            counted: AtomicUsize::new(0),
            counts: Counts::default(),
            registry: Registry::default(),
            ports: Mutex::new(vec!["http", "grpc", "metrics"]),
            late: Arc::new(Semaphore::new(LATE)),
            phase: watch::Sender::new(Phase::Serving),
        });
        tokio::spawn(tick::tick(Arc::downgrade(&network)));
        network
    }

    /// Milliseconds since the start, at most a tick late.
    pub(crate) fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    pub(crate) fn set_now(&self, now: u64) {
        self.now.store(now, Relaxed);
    }

    /// How far the server is with stopping, and what comes.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Metrics tell of a port from here on. Those of the server are told of even if they are off.
    pub(crate) fn add_port(&self, name: &'static str) {
        let mut ports = self.ports.lock();
        if !ports.contains(&name) {
            ports.push(name);
        }
    }

    pub(crate) fn ports(&self) -> Vec<&'static str> {
        self.ports.lock().clone()
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.phase.borrow() == Phase::Closing
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }
}
