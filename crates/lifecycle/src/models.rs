//! The records of every model that was loaded or failed to load, under one lock that inference requests do not take.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_loading::Started;
use hippocamp_repository::{Dependencies, Fingerprint};

use crate::entry::Entry;
use crate::state::VersionState;

/// The records of all models, by name.
#[derive(Debug, Default)]
pub(crate) struct Models {
    pub(crate) entries: BTreeMap<String, Entry>,
    /// The composing models of every wanted ensemble. It never contains a cycle.
    pub(crate) dependencies: Dependencies,
    /// Models that the settings ask for and that could not be loaded, until a load succeeds.
    pub(crate) missing: BTreeSet<String>,
    /// Ended models, of which no version serves, in the order in which they ended.
    ended: BTreeMap<u64, String>,
    /// The last key that was given out in `ended`.
    endings: u64,
}

/// The highest number of ended or failed models whose records are kept for the index and for error messages. There has to be
/// a limit, because clients and repositories may bring up any number of names.
const REMEMBERED: usize = 4096;

impl Models {
    pub(crate) fn any_failure(&self, passed_over: &dyn Fn(&str) -> bool) -> bool {
        let failed = |(name, entry): (&String, &Entry)| {
            entry.states.values().any(VersionState::is_failure) && !passed_over(name)
        };
        self.missing.iter().any(|name| !passed_over(name)) || self.entries.iter().any(failed)
    }

    pub(crate) fn any_serving(&self) -> bool {
        self.entries.values().any(|entry| !entry.serving.is_empty())
    }

    /// Whether that version is known, whatever its state.
    pub(crate) fn knows(&self, name: &str, version: u64) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.states.contains_key(&version))
    }

    pub(crate) fn states(&self) -> BTreeMap<String, BTreeMap<u64, VersionState>> {
        let known = self.entries.iter().filter(|(_, entry)| !entry.states.is_empty());
        known.map(|(name, entry)| (name.clone(), entry.states.clone())).collect()
    }

    /// The fingerprint of the content that each model was loaded from, by model name. A model that was never loaded, or was
    /// loaded with overrides, has a fingerprint that matches no folder.
    pub(crate) fn loaded(&self) -> BTreeMap<String, Fingerprint> {
        let known = self.entries.iter().filter(|(name, entry)| {
            let failed = entry.states.values().any(VersionState::is_failure) || self.missing.contains(*name);
            !entry.serving.is_empty() || entry.ensemble.is_some() || failed
        });
        known.map(|(name, entry)| (name.clone(), entry.origin.fingerprint.unwrap_or_default())).collect()
    }

    /// Whether the model is an ensemble that serves.
    pub(crate) fn serves_as_ensemble(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.ensemble.is_some() && !entry.serving.is_empty())
    }

    /// The states of a model's known versions; `None` if there are none.
    pub(crate) fn states_of(&self, name: &str) -> Option<&BTreeMap<u64, VersionState>> {
        self.entries.get(name).map(|entry| &entry.states).filter(|states| !states.is_empty())
    }

    /// The versions of a model that serve.
    pub(crate) fn serving(&self, name: &str) -> &[Started] {
        self.entries.get(name).map_or(&[], |entry| &entry.serving)
    }

    /// Takes all serving versions out of the records; no model serves after this.
    pub(crate) fn take_all(&mut self) -> Vec<Started> {
        self.entries.values_mut().flat_map(|entry| std::mem::take(&mut entry.serving)).collect()
    }

    pub(crate) fn entry(&mut self, name: &str) -> &mut Entry {
        self.entries.entry(name.to_owned()).or_default()
    }

    /// Drops the record of a model that was never loaded and that no repository has or whose config is invalid, because
    /// clients may try any number of names. The caller holds the model's turn. Returns true if the record was dropped.
    pub(crate) fn forget_if_unknown(&mut self, name: &str) -> bool {
        let unknown = |e: &Entry| {
            let unseen = e.states.is_empty() || !e.in_repository;
            // One claim is the caller's; further ones belong to loads and unloads that wait.
            unseen && e.is_idle() && e.loads.succeeded == 0 && e.turn.claims() <= 1
        };
        let forgotten = self.entries.get(name).is_some_and(unknown);
        if forgotten && let Some(ending) = self.entries.remove(name).and_then(|entry| entry.ending) {
            self.ended.remove(&ending);
        }
        forgotten
    }

    /// Notes that a model ended, or failed while no version serves. If there are too many such models, drops the record of
    /// the oldest and returns its name.
    pub(crate) fn remember(&mut self, name: &str) -> Option<String> {
        let entry = self.entries.get_mut(name).filter(|entry| entry.serving.is_empty())?;
        self.endings += 1;
        if let Some(before) = entry.ending.replace(self.endings) {
            self.ended.remove(&before);
        }
        self.ended.insert(self.endings, name.to_owned());
        if self.ended.len() <= REMEMBERED {
            return None;
        }
        let (_, oldest) = self.ended.pop_first()?;
        let entry = self.entries.get_mut(&oldest)?;
        entry.ending = None;
        // A record is kept while the model is wanted or about to be loaded or unloaded.
        if !entry.is_idle() || entry.turn.claims() > 0 {
            return None;
        }
        self.entries.remove(&oldest);
        Some(oldest)
    }

    /// Notes that the model serves again.
    pub(crate) fn recall(&mut self, name: &str) {
        if let Some(ending) = self.entries.get_mut(name).and_then(|entry| entry.ending.take()) {
            self.ended.remove(&ending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_names_without_an_end_the_last_are_remembered() {
        let mut models = Models::default();
        let mut forgotten = Vec::new();
        for number in 0..REMEMBERED + 10 {
            let name = format!("m{number}");
            models.entry(&name);
            forgotten.extend(models.remember(&name));
        }
        assert_eq!(forgotten, (0..10).map(|number| format!("m{number}")).collect::<Vec<_>>());
        assert_eq!((models.entries.len(), models.ended.len()), (REMEMBERED, REMEMBERED));

        // One that ends again and again takes one place.
        for _ in 0..100 {
            assert_eq!(models.remember("m10"), None);
        }
        models.entry("another");
        assert_eq!(models.remember("another"), Some("m11".to_owned()));
        models.recall("m10");
        assert_eq!(models.ended.len(), REMEMBERED - 1);
        assert_eq!(models.remember("nobody"), None);
    }

    #[test]
    fn what_is_being_loaded_is_not_forgotten() {
        let mut models = Models::default();
        let claim = models.entry("busy").turn.claim();
        assert_eq!(models.remember("busy"), None);
        for number in 0..=REMEMBERED {
            models.entry(&format!("m{number}"));
            assert_ne!(models.remember(&format!("m{number}")).as_deref(), Some("busy"));
        }
        assert!(models.entries.contains_key("busy"));
        drop(claim);
    }
}
