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
use crate::overrides::ModelFiles;

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
}

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

    /// Forgets a name under which nothing was ever loaded: clients may try any number of them.
    pub(crate) fn forget_if_unknown(&mut self, name: &str) {
        // Two owners: this map and the caller, whose turn it is. More are waiting for theirs.
        let unknown = |e: &Entry| e.states.is_empty() && Arc::strong_count(&e.turn) <= 2;
        if self.entries.get(name).is_some_and(unknown) {
            self.entries.remove(name);
        }
    }
}

impl Entry {
    /// The route to it.
    pub(crate) fn route(&self) -> Vec<Arc<LoadedModel>> {
        self.serving.iter().map(|version| Arc::clone(&version.model)).collect()
    }
}
