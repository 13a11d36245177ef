//! The entries of all owners, within one budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::Digest;
use crate::lru::Lru;

/// What an entry needs beside its value, about: keys, links, the room of the map.
const ENTRY_SIZE: usize = 192;

/// How many slots are looked at under one lock when an owner's entries are removed.
const SWEEP: usize = 1024;

/// Values by owner and digest. When the budget is used up, those go that were not used for the longest time, whoever
/// owns them.
#[derive(Debug)]
pub struct Store<V> {
    budget: usize,
    state: Mutex<State<V>>,
    owners: AtomicU64,
}

#[derive(Debug)]
struct State<V> {
    lru: Lru<Key, Entry<V>>,
    /// Bytes of all entries.
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

/// What came of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    Yes,
    /// Somebody else was faster. What was there stays.
    AlreadyThere,
    /// The value alone is larger than the budget.
    TooLarge,
}

impl<V: Clone> Store<V> {
    /// An empty store for values of `budget` bytes in all.
    pub fn new(budget: usize) -> Arc<Store<V>> {
        let state = State { lru: Lru::default(), used: 0 };
        Arc::new(Store { budget, state: Mutex::new(state), owners: AtomicU64::new(0) })
    }

    /// A new owner, who has no entries yet and sees no others'.
    pub fn owner(self: &Arc<Self>) -> Owner<V> {
        Owner { id: self.owners.fetch_add(1, Ordering::Relaxed), store: Arc::clone(self) }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.state.lock().lru.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes they have in all, never more than the budget.
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
            // Values are dropped outside of the lock: that may take a while.
            drop(state);
            drop(removed);
            if is_done {
                return;
            }
            begin = end;
        }
    }
}

/// Whose entries they are. When the last handle of an owner is dropped, its entries go, too; no other owner ever sees
/// them, whatever it asks for.
#[derive(Debug)]
pub struct Owner<V: Clone> {
    id: u64,
    store: Arc<Store<V>>,
}

impl<V: Clone> Owner<V> {
    /// The value under a digest, which is the last used one from now on.
    pub fn get(&self, digest: Digest) -> Option<V> {
        let key = Key { owner: self.id, digest };
        self.store.state.lock().lru.get(&key).map(|entry| entry.value.clone())
    }

    /// Whether a value of `size` bytes can be kept at all.
    pub fn has_room_for(&self, size: usize) -> bool {
        size.saturating_add(ENTRY_SIZE) <= self.store.budget
    }

    /// Keeps a value of `size` bytes. Others make room for it, those first that were not used for the longest time.
    pub fn insert(&self, digest: Digest, value: V, size: usize) -> Inserted {
        let key = Key { owner: self.id, digest };
        if !self.has_room_for(size) {
            return Inserted::TooLarge;
        }
        let size = size + ENTRY_SIZE;
        let mut gone = Vec::new();
        let mut state = self.store.state.lock();
        if state.lru.contains(&key) {
            return Inserted::AlreadyThere;
        }
        while state.used + size > self.store.budget {
            let Some((_, entry)) = state.lru.remove_oldest() else { break };
            state.used -= entry.size;
            gone.push(entry);
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
