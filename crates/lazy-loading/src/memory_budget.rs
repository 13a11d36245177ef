//! What the models take, against what they may take. Pure.

use std::collections::{BTreeMap, VecDeque};

/// Bytes of memory that models hold. What a model takes is estimated once, before it is loaded.
#[derive(Debug, Default)]
pub(crate) struct MemoryBudget {
    /// `None` for no limit.
    limit: Option<u64>,
    /// Models that serve or are being loaded.
    held: BTreeMap<String, u64>,
    /// Held by what has ended and is not free yet, and by what replaces a model and is not in its place yet.
    releasing: u64,
    /// Of that, by models that are loaded again beside themselves, until what they replace is free. Oldest first.
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

    /// What is free as soon as what has ended is gone.
    pub(crate) fn releasing(&self) -> u64 {
        self.releasing
    }

    /// What one model holds.
    pub(crate) fn of(&self, name: &str) -> Option<u64> {
        self.held.get(name).copied()
    }

    /// The names of what holds something.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.held.keys().map(String::as_str)
    }

    /// How many bytes have to go before so many more fit. 0 for none.
    pub(crate) fn missing_for(&self, need: u64) -> u64 {
        self.limit.map_or(0, |limit| self.used().saturating_add(need).saturating_sub(limit))
    }

    /// From here on the model holds so much.
    pub(crate) fn hold(&mut self, name: &str, bytes: u64) {
        self.held.insert(name.to_owned(), bytes);
    }

    /// The model holds nothing any more.
    pub(crate) fn release(&mut self, name: &str) {
        self.held.remove(name);
    }

    /// The model has ended. What it holds is free when [`MemoryBudget::released`] is told so.
    pub(crate) fn begin_release(&mut self, name: &str) -> u64 {
        let bytes = self.held.remove(name).unwrap_or(0);
        self.releasing = self.releasing.saturating_add(bytes);
        bytes
    }

    /// What a model needs beside what it holds to be loaded again: for the new or for what it replaces, whichever is more.
    /// `None` if it holds nothing.
    pub(crate) fn needed_to_reload(&self, name: &str, bytes: u64) -> Option<u64> {
        self.of(name).map(|held| held.max(bytes))
    }

    /// From here on the model holds that twice, until [`MemoryBudget::replaced`].
    pub(crate) fn reload(&mut self, name: &str, bytes: u64) {
        self.releasing = self.releasing.saturating_add(bytes);
        self.reloading.entry(name.to_owned()).or_default().push_back(bytes);
    }

    /// What a model has replaced is free, or it could not be loaded again.
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
