//! What the models take, against what they may take.

use std::collections::{BTreeMap, VecDeque};

/// Bytes that are held, by model. What a model takes is told once, before it is loaded.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// `None` for no limit.
    budget: Option<u64>,
    /// Models that serve or are being loaded.
    held: BTreeMap<String, u64>,
    /// Held by what has ended and is not free yet, and by what replaces a model and is not in its place yet.
    passing: u64,
    /// Of that, by models that are loaded again beside themselves, until what they replace is free. Oldest first.
    again: BTreeMap<String, VecDeque<u64>>,
}

impl Ledger {
    pub(crate) fn new(budget: Option<u64>) -> Ledger {
        Ledger { budget, ..Ledger::default() }
    }

    pub(crate) fn budget(&self) -> Option<u64> {
        self.budget
    }

    pub(crate) fn used(&self) -> u64 {
        self.held.values().fold(self.passing, |sum, &bytes| sum.saturating_add(bytes))
    }

    /// What is free as soon as what has ended is gone.
    pub(crate) fn passing(&self) -> u64 {
        self.passing
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
    pub(crate) fn short(&self, need: u64) -> u64 {
        self.budget.map_or(0, |budget| self.used().saturating_add(need).saturating_sub(budget))
    }

    /// From here on the model holds so much.
    pub(crate) fn hold(&mut self, name: &str, bytes: u64) {
        self.held.insert(name.to_owned(), bytes);
    }

    /// The model holds nothing any more.
    pub(crate) fn release(&mut self, name: &str) {
        self.held.remove(name);
    }

    /// The model has ended. What it holds is free when [`Ledger::passed`] is told so.
    pub(crate) fn end(&mut self, name: &str) -> u64 {
        let bytes = self.held.remove(name).unwrap_or(0);
        self.passing = self.passing.saturating_add(bytes);
        bytes
    }

    /// What a model needs beside what it holds to be loaded again: for the new or for what it replaces, whichever is more.
    /// `None` if it holds nothing.
    pub(crate) fn beside(&self, name: &str, bytes: u64) -> Option<u64> {
        self.of(name).map(|held| held.max(bytes))
    }

    /// From here on the model holds that twice, until [`Ledger::replaced`].
    pub(crate) fn load_again(&mut self, name: &str, bytes: u64) {
        self.passing = self.passing.saturating_add(bytes);
        self.again.entry(name.to_owned()).or_default().push_back(bytes);
    }

    /// What a model has replaced is free, or it could not be loaded again.
    pub(crate) fn replaced(&mut self, name: &str) {
        let Some(again) = self.again.get_mut(name) else { return };
        let bytes = again.pop_front().unwrap_or(0);
        if again.is_empty() {
            self.again.remove(name);
        }
        self.passed(bytes);
    }

    pub(crate) fn passed(&mut self, bytes: u64) {
        self.passing = self.passing.saturating_sub(bytes);
    }
}
