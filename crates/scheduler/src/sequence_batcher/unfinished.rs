//! Sequences whose END has come and is not yet executed.
//!
//! Their id is free for a new sequence, which may get another slot, even of another instance. It must not begin before
//! the old one is done: a model that tells sequences by their id would mix them up.

use std::collections::HashMap;

use hippocamp_backend::CorrelationId;

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
    /// Another sequence waits for it.
    waited_for: bool,
}

impl Unfinished {
    /// The END of a sequence came.
    pub(super) fn add(&mut self, id: CorrelationId, serial: u64) {
        self.latest.insert(id.clone(), serial);
        self.sequences.insert(serial, Closing { id, waited_for: false });
    }

    /// The sequence that a new one of that id has to wait for.
    pub(super) fn before(&mut self, id: &CorrelationId) -> Option<u64> {
        let serial = *self.latest.get(id)?;
        self.sequences.get_mut(&serial)?.waited_for = true;
        Some(serial)
    }

    pub(super) fn contains(&self, serial: u64) -> bool {
        self.sequences.contains_key(&serial)
    }

    /// That sequence has nothing left to execute, if it was here at all. True if another one waits for this.
    pub(super) fn remove(&mut self, serial: u64) -> bool {
        let Some(Closing { id, waited_for }) = self.sequences.remove(&serial) else { return false };
        if self.latest.get(&id) == Some(&serial) {
            self.latest.remove(&id);
        }
        waited_for
    }
}
