//! Sequences whose END has arrived but has not been executed yet.
//!
//! Their id is free for a new sequence, which may get another slot, even of another instance. It must not begin before
//! the old one is done: a model that tells sequences by their id would mix them up.

use std::collections::HashMap;

use hippocamp_backend::CorrelationId;
use smallvec::SmallVec;

#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// The unfinished sequences, by their number.
    sequences: HashMap<u64, Closing>,
    /// The number of the latest unfinished sequence of each id.
    latest: HashMap<CorrelationId, u64>,
    /// Those that were dropped before they began, by the unfinished one that each waits for. None is waited for by two: the
    /// later one waits for the earlier one.
    dropped: HashMap<u64, u64>,
}

#[derive(Debug)]
struct Closing {
    id: CorrelationId,
    /// The sequence that this one waits for.
    after: Option<u64>,
}

impl Unfinished {
    /// Adds a sequence whose END has arrived. `after` is the unfinished sequence that it waits for itself.
    pub(super) fn add(&mut self, id: CorrelationId, serial: u64, after: Option<u64>) {
        self.latest.insert(id.clone(), serial);
        self.sequences.insert(serial, Closing { id, after });
    }

    /// The sequence that a new one of that id has to wait for.
    pub(super) fn before(&self, id: &CorrelationId) -> Option<u64> {
        self.latest.get(id).copied()
    }

    pub(super) fn contains(&self, serial: u64) -> bool {
        self.sequences.contains_key(&serial)
    }

    /// Notes that a sequence has nothing left to execute, if it is in this list. Adds to `over` the sequences that are
    /// now finished: this one, unless it waits for another, and those that were dropped while they waited for it.
    pub(super) fn finish(&mut self, serial: u64, over: &mut SmallVec<[u64; 2]>) {
        let Some(closing) = self.sequences.get(&serial) else { return };
        if let Some(after) = closing.after.filter(|after| self.contains(*after)) {
            self.dropped.insert(after, serial);
            return;
        }
        let mut next = Some(serial);
        while let Some(serial) = next {
            if let Some(Closing { id, .. }) = self.sequences.remove(&serial)
                && self.latest.get(&id) == Some(&serial)
            {
                self.latest.remove(&id);
            }
            over.push(serial);
            next = self.dropped.remove(&serial);
        }
    }
}
