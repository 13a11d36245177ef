//! Sequences whose END has come and is not yet executed.
//!
//! Their id is free for a new sequence, which may get another slot, even of another instance. It must not begin before
//! the old one is done: a model that tells sequences by their id would mix them up.

use std::collections::HashMap;

use hippocamp_backend::CorrelationId;
use smallvec::SmallVec;

#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// By the number of the sequence.
    sequences: HashMap<u64, Closing>,
    /// The latest of each id.
    latest: HashMap<CorrelationId, u64>,
}

#[derive(Debug)]
struct Closing {
    id: CorrelationId,
    /// The sequence that this one waits for.
    after: Option<u64>,
    /// It has nothing left to execute, but the one that it waits for has: it was dropped before it began.
    dropped: bool,
}

impl Unfinished {
    /// The END of a sequence came, which waits for another one itself.
    pub(super) fn add(&mut self, id: CorrelationId, serial: u64, after: Option<u64>) {
        self.latest.insert(id.clone(), serial);
        self.sequences.insert(serial, Closing { id, after, dropped: false });
    }

    /// The sequence that a new one of that id has to wait for.
    pub(super) fn before(&self, id: &CorrelationId) -> Option<u64> {
        self.latest.get(id).copied()
    }

    pub(super) fn contains(&self, serial: u64) -> bool {
        self.sequences.contains_key(&serial)
    }

    /// That sequence has nothing left to execute, if it was here at all. Adds to `over` what nobody has to wait for any
    /// more: it, unless it waits itself, and those that were dropped while they waited for it.
    pub(super) fn finish(&mut self, serial: u64, over: &mut SmallVec<[u64; 2]>) {
        let Some(closing) = self.sequences.get_mut(&serial) else { return };
        closing.dropped = true;
        if closing.after.is_some_and(|after| self.contains(after)) {
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
            let behind =
                self.sequences.iter().find(|(_, closing)| closing.dropped && closing.after == Some(serial));
            next = behind.map(|(behind, _)| *behind);
        }
    }
}
