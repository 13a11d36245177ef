//! The cached values of all owners, within one budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::Digest;
use crate::lru::Lru;

/// Estimated bytes of an entry beside its value: keys, links, its share of the hash map.
const ENTRY_SIZE: usize = 192;

/// How many slots are visited under one lock when an owner's entries are removed.
const SWEEP: usize = 1024;

/// Values by owner and digest. When the budget is exceeded, the least recently used entries are evicted, whoever owns
/// them.
#[derive(Debug)]
pub struct Store<V> {
    budget: usize,
    state: Mutex<State<V>>,
    owners: AtomicU64,
}

#[derive(Debug)]
struct State<V> {
    lru: Lru<Key, Entry<V>>,
    /// The size of all entries in bytes.
    used: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    owner: u64,
    digest: Digest,
}

/// The outcome of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    Yes,
    /// There is a value for this digest already; it was kept.
    AlreadyThere,
    /// The value alone is larger than the budget.
    TooLarge,
}

impl<V: Clone> Store<V> {
    /// Creates an empty store for entries of `budget` bytes in all.
    pub fn new(budget: usize) -> Arc<Store<V>> {
        let state = State { lru: Lru::default(), used: 0 };
        Arc::new(Store { budget, state: Mutex::new(state), owners: AtomicU64::new(0) })
    }

    /// Creates an owner, who has no entries yet and never sees those of others.
    pub fn owner(self: &Arc<Self>) -> Owner<V> {
        Owner { id: self.owners.fetch_add(1, Ordering::Relaxed), store: Arc::clone(self) }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.state.lock().lru.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The size of all entries in bytes, never more than the budget.
    pub fn used(&self) -> usize {
        self.state.lock().used
    }

    fn remove_all_of(&self, owner: u64) {
        let mut begin = 0;
        loop {
            let mut state = self.state.lock();
            let end = state.lru.slot_count().min(begin + SWEEP);
            let mut removed = Vec::new();
            for slot in begin..end {
                if let Some((_, entry)) = state.lru.remove_if(slot, |key| key.owner == owner) {
                    state.used -= entry.size;
                    removed.push(entry);
                }
            }
            let is_done = end == state.lru.slot_count();
            if is_done {
                state.lru.shrink();
            }
            // The values are dropped after the lock is released, because that may take long.
            drop(state);
            drop(removed);
            if is_done {
                return;
            }
            begin = end;
        }
    }
}

/// The owner of a set of entries, which no other owner can see. Its entries are removed when its last handle is
/// dropped.
#[derive(Debug)]
pub struct Owner<V: Clone> {
    id: u64,
    store: Arc<Store<V>>,
}

impl<V: Clone> Owner<V> {
    /// Returns the value of a digest and makes it the most recently used.
    pub fn get(&self, digest: Digest) -> Option<V> {
        let key = Key { owner: self.id, digest };
        self.store.state.lock().lru.get(&key).map(|entry| entry.value.clone())
    }

    /// Whether a value of `size` bytes fits into the budget at all.
    pub fn has_room_for(&self, size: usize) -> bool {
        size.saturating_add(ENTRY_SIZE) <= self.store.budget
    }

    /// Inserts a value of `size` bytes, and evicts the least recently used entries if the budget is exceeded.
    pub fn insert(&self, digest: Digest, value: V, size: usize) -> Inserted {
        let key = Key { owner: self.id, digest };
        if !self.has_room_for(size) {
            return Inserted::TooLarge;
        }
        let size = size + ENTRY_SIZE;
        let mut evicted = Vec::new();
        let mut state = self.store.state.lock();
        if state.lru.contains(&key) {
            return Inserted::AlreadyThere;
        }
        while state.used + size > self.store.budget {
            let Some((_, entry)) = state.lru.remove_oldest() else { break };
            state.used -= entry.size;
            evicted.push(entry);
        }
        state.used += size;
        state.lru.insert(key, Entry { value, size });
        drop(state);
        Inserted::Yes
    }
}

impl<V: Clone> Drop for Owner<V> {
    fn drop(&mut self) {
        self.store.remove_all_of(self.id);
    }
}

#[cfg(test)]
mod tests;
