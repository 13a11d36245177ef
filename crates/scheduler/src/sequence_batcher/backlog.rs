//! Sequences that wait for a slot, the oldest first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::slots::{Queued, Sequence};

/// Waiting sequences by number: a lower one is older and is served earlier.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: BTreeMap<u64, Waiting>,
    /// Requests in all of them.
    requests: usize,
    /// The expiry times of sequences, with their numbers.
    expiries: BTreeSet<(Instant, u64)>,
}

/// A sequence without a slot.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) sequence: Sequence,
    pub(super) queue: VecDeque<Queued>,
    /// When the timeout of the first of its requests to expire has passed.
    expires: Option<Instant>,
}

impl Backlog {
    /// Requests that wait in it.
    pub(super) fn len(&self) -> usize {
        self.requests
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a sequence, behind all others, with its first request.
    pub(super) fn open(&mut self, sequence: Sequence, first: Queued, now: Instant) {
        let serial = sequence.serial;
        self.waiting.insert(serial, Waiting { sequence, queue: VecDeque::new(), expires: None });
        self.add(serial, first, now);
    }

    /// Adds a request to a sequence that waits.
    pub(super) fn add(&mut self, serial: u64, queued: Queued, now: Instant) {
        let Some(waiting) = self.waiting.get_mut(&serial) else { return };
        if let Some(expires) = queued.request.timeout.and_then(|timeout| now.checked_add(timeout)) {
            let expires = waiting.expires.map_or(expires, |earlier| earlier.min(expires));
            if let Some(earlier) = waiting.expires.replace(expires) {
                self.expiries.remove(&(earlier, serial));
            }
            self.expiries.insert((expires, serial));
        }
        waiting.queue.push_back(queued);
        self.requests += 1;
    }

    /// The unfinished sequence of the same id that a waiting sequence also has to wait for.
    pub(super) fn after(&self, serial: u64) -> Option<u64> {
        self.waiting.get(&serial)?.sequence.after
    }

    /// Closes a waiting sequence: it gets no further requests.
    pub(super) fn close(&mut self, serial: u64) {
        if let Some(waiting) = self.waiting.get_mut(&serial) {
            waiting.sequence.open = None;
        }
    }

    /// Removes the sequence that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let serial = *self.waiting.first_key_value()?.0;
        self.remove(serial)
    }

    /// Removes a sequence that has expired.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<Waiting> {
        let (expires, serial) = *self.expiries.first()?;
        if expires <= now { self.remove(serial) } else { None }
    }

    /// Removes the sequences that have a cancelled request.
    pub(super) fn take_cancelled(&mut self) -> Vec<Waiting> {
        let cancelled = |waiting: &Waiting| waiting.queue.iter().any(|queued| queued.request.is_cancelled());
        let found = self.waiting.iter().filter(|(_, waiting)| cancelled(waiting));
        let found: Vec<u64> = found.map(|(serial, _)| *serial).collect();
        found.into_iter().filter_map(|serial| self.remove(serial)).collect()
    }

    /// The earliest expiry time.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(expires, _)| *expires)
    }

    fn remove(&mut self, serial: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&serial)?;
        self.requests -= waiting.queue.len();
        if let Some(expires) = waiting.expires {
            self.expiries.remove(&(expires, serial));
        }
        Some(waiting)
    }
}
