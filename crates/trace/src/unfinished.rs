//! What all traces share whose requests are not done.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use tracing::warn;

/// How many bytes the traces of requests that are not done may hold together. Beyond that nothing of any length is noted: no
/// tensors, nothing that backends name themselves, and no further steps of ensembles. A request may go on for as long as its
/// client likes, and its tensors are copied.
const MOST: usize = 64 << 20;

/// The ids of traced requests, and the bytes that are held for them.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    ids: AtomicU64,
    bytes: AtomicUsize,
    is_said: AtomicBool,
}

impl Unfinished {
    /// The id of the next request or step, from 1.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Relaxed) + 1
    }

    /// Whether something may be noted that has so many bytes. The first time that it may not, the log says so.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        let has_room = self.bytes.load(Relaxed).saturating_add(bytes) <= MOST;
        if !has_room && !self.is_said.swap(true, Relaxed) {
            warn!(
                "traces lack tensors and steps: those of requests that are not done hold up to {MOST} bytes"
            );
        }
        has_room
    }

    pub(crate) fn noted(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn finished(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.bytes.load(Relaxed)
    }
}
