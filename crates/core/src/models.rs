//! Every model that was ever loaded or tried, and what is known of it. All under one lock, which no request takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use hippocamp_repository::{Dependencies, Fingerprint};
use tokio::sync::Mutex as AsyncMutex;

use crate::LoadedModel;
use crate::elders::Elder;
use crate::ensembles::EnsembleSource;
use crate::index::VersionState;
use crate::load::Started;
use crate::overrides::{GivenConfig, ModelFiles};

/// The models by name.
#[derive(Debug, Default)]
pub(crate) struct Models {
    pub(crate) entries: BTreeMap<String, Entry>,
    /// Which ensembles that are wanted are composed of which models. Never has a circle.
    pub(crate) dependencies: Dependencies,
    /// Models that the settings ask for and whose config cannot be used: until they load, something is missing.
    pub(crate) missing: BTreeSet<String>,
    /// What the repositories held at the start. Whoever watches them goes on from there.
    pub(crate) first_look: BTreeMap<String, Fingerprint>,
    /// Models of which nothing serves, in the order in which that came to be.
    bygone: BTreeMap<u64, String>,
    /// How often that came to be.
    endings: u64,
}

/// Of so many models that ended or failed is known that they once were there: the index and errors tell. Names may come
/// without an end, from clients and from whoever writes to the repositories.
const REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) states: BTreeMap<u64, VersionState>,
    pub(crate) serving: Vec<Started>,
    /// What it was loaded from.
    pub(crate) origin: Origin,
    /// If it is an ensemble that is wanted: what it takes to build it anew.
    pub(crate) ensemble: Option<Arc<EnsembleSource>>,
    /// It was asked for by name, not only loaded because an ensemble is composed of it.
    pub(crate) explicit: bool,
    /// How often it was loaded, and how often that failed.
    pub(crate) loads: LoadCounts,
    /// Held while the model is loaded or unloaded, so that it is one after the other.
    pub(crate) turn: Arc<AsyncMutex<()>>,
    /// A repository had it when it was loaded last: it is not only known by a request.
    pub(crate) in_repository: bool,
    /// Its place among those of which nothing serves.
    ending: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoadCounts {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
}

/// What a model was loaded from.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// Its folder's content then; `None` if the request brought config or files along.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Files that were brought here for this load. They live as long as what serves from them.
    pub(crate) files: Option<ModelFiles>,
    /// The config that came with the request, for the files of the repository.
    pub(crate) given: Option<GivenConfig>,
}

/// What was replaced or unloaded, to be let go.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) name: String,
    pub(crate) versions: Vec<Started>,
    pub(crate) origin: Origin,
    /// Those on which sequences may go on.
    pub(crate) elders: Vec<Weak<Elder>>,
}

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
            // Two owners: this map and the caller, whose turn it is. More are waiting for theirs.
            unseen && e.is_idle() && e.loads.succeeded == 0 && Arc::strong_count(&e.turn) <= 2
        };
        let forgotten = self.entries.get(name).is_some_and(unknown);
        if forgotten && let Some(ending) = self.entries.remove(name).and_then(|entry| entry.ending) {
            self.bygone.remove(&ending);
        }
        forgotten
    }

    /// Nothing of the model serves any more, or it failed and nothing does. Returns the name of the model that is forgotten for
    /// it, if there are too many of these; nothing is known of that one any more.
    pub(crate) fn remember(&mut self, name: &str) -> Option<String> {
        let entry = self.entries.get_mut(name).filter(|entry| entry.serving.is_empty())?;
        self.endings += 1;
        if let Some(before) = entry.ending.replace(self.endings) {
            self.bygone.remove(&before);
        }
        self.bygone.insert(self.endings, name.to_owned());
        if self.bygone.len() <= REMEMBERED {
            return None;
        }
        let (_, oldest) = self.bygone.pop_first()?;
        let entry = self.entries.get_mut(&oldest)?;
        entry.ending = None;
        // Somebody is about to load or unload it.
        if !entry.is_idle() || Arc::strong_count(&entry.turn) > 1 {
            return None;
        }
        self.entries.remove(&oldest);
        Some(oldest)
    }

    /// It serves again.
    pub(crate) fn recall(&mut self, name: &str) {
        if let Some(ending) = self.entries.get_mut(name).and_then(|entry| entry.ending.take()) {
            self.bygone.remove(&ending);
        }
    }
}

impl Entry {
    /// Nothing of it serves or is wanted.
    fn is_idle(&self) -> bool {
        self.serving.is_empty() && self.ensemble.is_none()
    }

    /// The route to it.
    pub(crate) fn route(&self) -> Vec<Arc<LoadedModel>> {
        self.serving.iter().map(|version| Arc::clone(&version.model)).collect()
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
        assert_eq!((models.entries.len(), models.bygone.len()), (REMEMBERED, REMEMBERED));

        // One that ends again and again takes one place.
        for _ in 0..100 {
            assert_eq!(models.remember("m10"), None);
        }
        models.entry("another");
        assert_eq!(models.remember("another"), Some("m11".to_owned()));
        models.recall("m10");
        assert_eq!(models.bygone.len(), REMEMBERED - 1);
        assert_eq!(models.remember("nobody"), None);
    }

    #[test]
    fn what_is_being_loaded_is_not_forgotten() {
        let mut models = Models::default();
        let turn = Arc::clone(&models.entry("busy").turn);
        assert_eq!(models.remember("busy"), None);
        for number in 0..=REMEMBERED {
            models.entry(&format!("m{number}"));
            assert_ne!(models.remember(&format!("m{number}")).as_deref(), Some("busy"));
        }
        assert!(models.entries.contains_key("busy"));
        drop(turn);
    }
}
