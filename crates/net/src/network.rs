//! The state that all ports of a server share: limits, counters, the clock, and the phase of a shutdown.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use hippocamp_access_log::AccessLog;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::held_bytes::HeldBytes;
use crate::io_threads::{IoThreads, Threads};
use crate::limits::Limits;
use crate::registry::Registry;
use crate::tick;

/// Below this, the wake-ups to copy a tensor on another thread cost more than the copy.
const LARGE_COPY: usize = 512 << 10;

/// The number of connections that are accepted beyond the limit, to refuse their requests or to report the server's health.
const LATE: usize = 32;

/// The phase of the server's shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    /// Open requests are finished. Open connections may send one more request; new ones get only the health, or a refusal
    /// because the server stops.
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
    /// It did not answer a keep-alive ping.
    Keepalive,
    /// Its client sent too many pings.
    Pings,
    /// It was idle, and another connection needed its place.
    Evicted,
}

impl End {
    pub(crate) const ALL: [(End, &'static str); 7] = [
        (End::Header, "header"),
        (End::Body, "body"),
        (End::Idle, "idle"),
        (End::Write, "write"),
        (End::Keepalive, "keepalive"),
        (End::Pings, "pings"),
        (End::Evicted, "evicted"),
    ];
}

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicU64,
    /// The number of connections that were accepted beyond a limit.
    pub(crate) late: AtomicU64,
    /// The number of requests that were refused because too many bytes were held.
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

/// The limits of all ports, the counts against them, and the clock of all connections.
pub struct Network {
    pub(crate) limits: Limits,
    /// Milliseconds since the start, as of the last tick. Never 0, which stands for no time.
    now: AtomicU64,
    pub(crate) held: HeldBytes,
    /// The number of connections that count against the limit.
    pub(crate) counted: AtomicUsize,
    pub(crate) counts: Counts,
    pub(crate) registry: Registry,
    /// The names of the ports, for metrics.
    ports: Mutex<Vec<&'static str>>,
    pub(crate) threads: Arc<Threads>,
    pub(crate) late: Arc<Semaphore>,
    /// Where each request gets a line, if there is such a log.
    access_log: OnceLock<Arc<AccessLog>>,
    /// The phase, for every response.
    reached: AtomicU8,
    /// The phase, for those who wait for it.
    phase: watch::Sender<Phase>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Network {
    /// Makes a network whose connections are served on the runtime that accepts them, and starts its clock on the current
    /// runtime. The clock ends when the network is dropped.
    pub fn start(limits: Limits) -> Arc<Network> {
        Network::with_threads(limits, Arc::default())
    }

    /// The same, with connections served by those threads. The metrics port, and refused connections, stay on the runtime
    /// that accepts them.
    pub fn start_on(limits: Limits, threads: &IoThreads) -> Arc<Network> {
        Network::with_threads(limits, Arc::clone(&threads.threads))
    }

    fn with_threads(limits: Limits, threads: Arc<Threads>) -> Arc<Network> {
        let held = HeldBytes::new(limits.held_bytes, threads.len());
        let network = Arc::new(Network {
            limits,
            now: AtomicU64::new(1),
            held,
            counted: AtomicUsize::new(0),
            counts: Counts::default(),
            registry: Registry::default(),
            ports: Mutex::new(vec!["http", "grpc", "metrics"]),
            threads,
            late: Arc::new(Semaphore::new(LATE)),
            access_log: OnceLock::new(),
            reached: AtomicU8::new(Phase::Serving as u8),
            phase: watch::Sender::new(Phase::Serving),
        });
        tokio::spawn(tick::tick(Arc::downgrade(&network)));
        network
    }

    /// Gives each request of a protocol's port a line in that log, from connections that are accepted from now on. Only the
    /// first call counts.
    pub fn log_access(&self, log: Arc<AccessLog>) {
        let _ = self.access_log.set(log);
    }

    pub(crate) fn access_log(&self) -> Option<&Arc<AccessLog>> {
        self.access_log.get()
    }

    /// The milliseconds since the start, at most one tick late.
    pub(crate) fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    pub(crate) fn set_now(&self, now: u64) {
        self.now.store(now, Relaxed);
    }

    /// The size in bytes above which a tensor is copied on another thread: no size if there are no I/O threads, as there is
    /// no other core to do it.
    pub fn large_copy(&self) -> usize {
        if self.threads.is_empty() { usize::MAX } else { LARGE_COPY }
    }

    /// The phase of the shutdown, and its changes.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Goes on to a phase, unless it was reached before.
    pub(crate) fn reach(&self, phase: Phase) {
        self.reached.fetch_max(phase as u8, SeqCst);
        self.phase.send_if_modified(|now| std::mem::replace(now, phase.max(*now)) < phase);
    }

    /// Adds a port to the metrics. The server's own ports are listed even if they are disabled.
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
        self.reached.load(SeqCst) == Phase::Closing as u8
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.reached.load(SeqCst) >= Phase::Draining as u8
    }
}
