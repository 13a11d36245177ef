//! A map that keeps its entries in the order of their last use.

use std::collections::HashMap;
use std::hash::Hash;

/// The index that stands for no entry.
const NONE: usize = usize::MAX;

/// Entries in the order of their last use: a doubly linked list through reusable slots.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    slots: Vec<Slot<K, V>>,
    by_key: HashMap<K, usize>,
    /// The indices of empty slots.
    free: Vec<usize>,
    newest: usize,
    oldest: usize,
}

#[derive(Debug)]
struct Slot<K, V> {
    entry: Option<(K, V)>,
    newer: usize,
    older: usize,
}

impl<K, V> Default for Lru<K, V> {
    fn default() -> Self {
        let (slots, free) = (Vec::new(), Vec::new());
        Lru { slots, by_key: HashMap::new(), free, newest: NONE, oldest: NONE }
    }
}

impl<K: Copy + Eq + Hash, V> Lru<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The number of slots, used and empty.
    pub(crate) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.by_key.contains_key(key)
    }

    /// Returns the value of a key and makes it the most recently used.
    pub(crate) fn get(&mut self, key: &K) -> Option<&V> {
        let slot = *self.by_key.get(key)?;
        self.unlink(slot);
        self.link_newest(slot);
        self.slots[slot].entry.as_ref().map(|(_, value)| value)
    }

    /// Adds a value under a key that must not be present.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let entry = Some((key, value));
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot].entry = entry;
            slot
        } else {
            self.slots.push(Slot { entry, newer: NONE, older: NONE });
            self.slots.len() - 1
        };
        self.by_key.insert(key, slot);
        self.link_newest(slot);
    }

    /// Removes the least recently used entry.
    pub(crate) fn remove_oldest(&mut self) -> Option<(K, V)> {
        let oldest = self.oldest;
        if oldest == NONE { None } else { self.remove(oldest) }
    }

    /// Removes the entry in a slot if there is one and `unwanted` returns true for its key.
    pub(crate) fn remove_if(&mut self, slot: usize, unwanted: impl FnOnce(&K) -> bool) -> Option<(K, V)> {
        let (key, _) = self.slots.get(slot)?.entry.as_ref()?;
        if unwanted(key) { self.remove(slot) } else { None }
    }

    /// Releases all memory if there are no entries.
    pub(crate) fn shrink(&mut self) {
        if self.by_key.is_empty() {
            *self = Lru::default();
        }
    }

    fn remove(&mut self, slot: usize) -> Option<(K, V)> {
        let entry = self.slots[slot].entry.take()?;
        self.by_key.remove(&entry.0);
        self.unlink(slot);
        self.free.push(slot);
        Some(entry)
    }

    fn link_newest(&mut self, slot: usize) {
        self.slots[slot].newer = NONE;
        self.slots[slot].older = self.newest;
        match self.newest {
            NONE => self.oldest = slot,
            newest => self.slots[newest].newer = slot,
        }
        self.newest = slot;
    }

    fn unlink(&mut self, slot: usize) {
        let Slot { newer, older, .. } = self.slots[slot];
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older].newer = newer,
        }
    }
}
