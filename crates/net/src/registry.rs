//! The registry of all open connections.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::connection::{Connection, Order};
use crate::io_threads::Threads;

#[derive(Default)]
pub(crate) struct Registry {
    entries: Mutex<Entries>,
    /// Notified when a connection was removed.
    pub(crate) gone: Notify,
}

#[derive(Default)]
struct Entries {
    next: u64,
    connections: HashMap<u64, Arc<Connection>>,
}

impl Registry {
    /// Adds a connection. Returns the number by which it is removed.
    pub(crate) fn insert(&self, connection: Arc<Connection>) -> u64 {
        let mut entries = self.entries.lock();
        let number = entries.next;
        entries.next += 1;
        entries.connections.insert(number, connection);
        number
    }

    pub(crate) fn remove(&self, number: u64) {
        self.entries.lock().connections.remove(&number);
        self.gone.notify_waiters();
    }

    pub(crate) fn len(&self, port: &str) -> usize {
        self.fold(0, |count, connection| count + usize::from(connection.port == port))
    }

    /// Calls `look` with every connection. `look` must not block.
    pub(crate) fn for_each(&self, mut look: impl FnMut(&Connection)) {
        self.entries.lock().connections.values().for_each(|connection| look(connection));
    }

    /// Measures how active each I/O thread is.
    pub(crate) fn measure(&self, threads: &Threads) {
        if !threads.is_empty() {
            threads.measure(self.entries.lock().connections.values().map(|connection| &**connection));
        }
    }

    pub(crate) fn fold<T>(&self, first: T, mut add: impl FnMut(T, &Connection) -> T) -> T {
        self.entries.lock().connections.values().fold(first, |so_far, connection| add(so_far, connection))
    }

    /// The connection that has been idle for the longest time, at least `least` milliseconds.
    pub(crate) fn longest_idle(&self, least: u64) -> Option<Arc<Connection>> {
        let entries = self.entries.lock();
        let idle = entries.connections.values().filter_map(|connection| {
            let time = connection.idle_for().filter(|time| *time >= least && connection.may_be_evicted())?;
            Some((time, connection))
        });
        idle.max_by_key(|(time, _)| *time).map(|(_, connection)| Arc::clone(connection))
    }

    /// The oldest connection without an open request for which `wanted` returns true and that has no order yet.
    pub(crate) fn oldest_silent(&self, wanted: impl Fn(&Connection) -> bool) -> Option<Arc<Connection>> {
        let entries = self.entries.lock();
        let silent = entries.connections.iter().filter(|(_, connection)| {
            connection.requests() == 0 && connection.order() == Order::None && wanted(connection)
        });
        silent.min_by_key(|(number, _)| **number).map(|(_, connection)| Arc::clone(connection))
    }
}
