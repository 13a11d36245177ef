//! Accounts for the memory that models hold, against the limit. No I/O and no tasks.

use std::collections::{BTreeMap, VecDeque};

/// The memory that models hold, in bytes. The memory of a model is estimated before it is loaded.
#[derive(Debug, Default)]
pub(crate) struct MemoryBudget {
    /// The limit in bytes; `None` for no limit.
    limit: Option<u64>,
    /// The bytes of each model that serves or is being loaded.
    held: BTreeMap<String, u64>,
    /// The bytes that will be free soon: those of models that have ended but are not freed yet, and the second copies of
    /// models that are being reloaded.
    releasing: u64,
    /// The part of `releasing` that belongs to reloads, by model name, until the replaced copy is freed. Oldest first.
    reloading: BTreeMap<String, VecDeque<u64>>,
}

impl MemoryBudget {
    pub(crate) fn new(limit: Option<u64>) -> MemoryBudget {
        MemoryBudget { limit, ..MemoryBudget::default() }
    }

    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    pub(crate) fn used(&self) -> u64 {
        self.held.values().fold(self.releasing, |sum, &bytes| sum.saturating_add(bytes))
    }

    /// The bytes that will be free when ended models and reloads have finished.
    pub(crate) fn releasing(&self) -> u64 {
        self.releasing
    }

    /// The bytes that a model holds; `None` if it is neither loaded nor being loaded.
    pub(crate) fn of(&self, name: &str) -> Option<u64> {
        self.held.get(name).copied()
    }

    /// The names of the models that hold memory.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.held.keys().map(String::as_str)
    }

    /// The number of bytes that have to be freed before `need` more bytes fit into the limit.
    pub(crate) fn missing_for(&self, need: u64) -> u64 {
        self.limit.map_or(0, |limit| self.used().saturating_add(need).saturating_sub(limit))
    }

    /// Sets the bytes that a model holds.
    pub(crate) fn hold(&mut self, name: &str, bytes: u64) {
        self.held.insert(name.to_owned(), bytes);
    }

    /// Removes a model whose memory is free.
    pub(crate) fn release(&mut self, name: &str) {
        self.held.remove(name);
    }

    /// Notes that a model has ended. Its bytes, which are returned, count as used until [`MemoryBudget::released`].
    pub(crate) fn begin_release(&mut self, name: &str) -> u64 {
        let bytes = self.held.remove(name).unwrap_or(0);
        self.releasing = self.releasing.saturating_add(bytes);
        bytes
    }

    /// The extra bytes that a reload of a model needs: the size of the new or of the old copy, whichever is larger. `None`
    /// if the model holds nothing.
    pub(crate) fn needed_to_reload(&self, name: &str, bytes: u64) -> Option<u64> {
        self.of(name).map(|held| held.max(bytes))
    }

    /// Adds the bytes of the second copy of a model that is reloaded, until [`MemoryBudget::replaced`].
    pub(crate) fn reload(&mut self, name: &str, bytes: u64) {
        self.releasing = self.releasing.saturating_add(bytes);
        self.reloading.entry(name.to_owned()).or_default().push_back(bytes);
    }

    /// Removes the second copy of a model: the replaced copy was freed, or the reload failed.
    pub(crate) fn replaced(&mut self, name: &str) {
        let Some(reloading) = self.reloading.get_mut(name) else { return };
        let bytes = reloading.pop_front().unwrap_or(0);
        if reloading.is_empty() {
            self.reloading.remove(name);
        }
        self.released(bytes);
    }

    pub(crate) fn released(&mut self, bytes: u64) {
        self.releasing = self.releasing.saturating_sub(bytes);
    }
}
