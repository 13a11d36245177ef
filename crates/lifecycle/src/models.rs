//! Every model that was ever loaded or tried, and what is known of it. All under one lock, which no request takes.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_loading::Started;
use hippocamp_repository::{Dependencies, Fingerprint};

use crate::entry::Entry;
use crate::state::VersionState;

/// The models by name.
#[derive(Debug, Default)]
pub(crate) struct Models {
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Which ensembles that are wanted are composed of which models. Never has a circle.
    pub(crate) dependencies: Dependencies,
    /// Models that the settings ask for and whose config cannot be used: until they load, something is missing.
    pub(crate) missing: BTreeSet<String>,
    /// Models of which nothing serves, in the order in which that came to be.
    ended: BTreeMap<u64, String>,
    /// How often that came to be.
    endings: u64,
}

/// Of so many models that ended or failed is known that they once were there: the index and errors tell. Names may come
/// without an end, from clients and from whoever writes to the repositories.
const REMEMBERED: usize = 4096;

impl Models {
    pub(crate) fn any_failure(&self) -> bool {
        let failed = |entry: &Entry| entry.states.values().any(VersionState::is_failure);
        !self.missing.is_empty() || self.entries.values().any(failed)
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

    /// What the repositories would have to hold so that nothing was to be done: the content of each model that serves, and
    /// of one that failed or waits something that no model has.
    pub(crate) fn loaded(&self) -> BTreeMap<String, Fingerprint> {
        let known = self.entries.iter().filter(|(name, entry)| {
            let failed = entry.states.values().any(VersionState::is_failure) || self.missing.contains(*name);
            !entry.serving.is_empty() || entry.ensemble.is_some() || failed
        });
        known.map(|(name, entry)| (name.clone(), entry.origin.fingerprint.unwrap_or_default())).collect()
    }

    /// Whether it is an ensemble, and one that serves.
    pub(crate) fn serves_as_ensemble(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.ensemble.is_some() && !entry.serving.is_empty())
    }

    /// The versions of a model that are known; `None` if there are none.
    pub(crate) fn states_of(&self, name: &str) -> Option<&BTreeMap<u64, VersionState>> {
        self.entries.get(name).map(|entry| &entry.states).filter(|states| !states.is_empty())
    }

    /// The versions of a model that serve.
    pub(crate) fn serving(&self, name: &str) -> &[Started] {
        self.entries.get(name).map_or(&[], |entry| &entry.serving)
    }

    /// Everything that serves; nothing does any more afterwards.
    pub(crate) fn take_all(&mut self) -> Vec<Started> {
        self.entries.values_mut().flat_map(|entry| std::mem::take(&mut entry.serving)).collect()
    }

    pub(crate) fn entry(&mut self, name: &str) -> &mut Entry {
        self.entries.entry(name.to_owned()).or_default()
    }

    /// Forgets a name under which nothing was ever loaded, and that no repository has or whose config cannot be used: clients
    /// may try any number of them. The caller has its turn. True if it is forgotten.
    pub(crate) fn forget_if_unknown(&mut self, name: &str) -> bool {
        let unknown = |e: &Entry| {
            let unseen = e.states.is_empty() || !e.in_repository;
            // One claim is the caller's. More are waiting for their turn.
            unseen && e.is_idle() && e.loads.succeeded == 0 && e.turn.claims() <= 1
        };
        let forgotten = self.entries.get(name).is_some_and(unknown);
        if forgotten && let Some(ending) = self.entries.remove(name).and_then(|entry| entry.ending) {
            self.ended.remove(&ending);
        }
        forgotten
    }

    /// Nothing of the model serves any more, or it failed and nothing does. Returns the name of the model that is forgotten for
    /// it, if there are too many of these; nothing is known of that one any more.
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
        // Somebody is about to load or unload it.
        if !entry.is_idle() || entry.turn.claims() > 0 {
            return None;
        }
        self.entries.remove(&oldest);
        Some(oldest)
    }

    /// It serves again.
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
