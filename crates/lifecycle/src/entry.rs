//! What is known of one model.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use hippocamp_loading::Started;
use hippocamp_repository::Fingerprint;
use hippocamp_serving::LoadedModel;

use crate::draining::DrainingVersion;
use crate::ensemble_source::EnsembleSource;
use crate::overrides::{GivenConfig, ModelFiles};
use crate::state::VersionState;
use crate::turn::Turn;

/// What is known of one model, whether it serves or not.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Of every version that is known.
    pub(crate) states: BTreeMap<u64, VersionState>,
    /// The versions that serve.
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
    pub(crate) turn: Turn,
    /// A repository had it when it was loaded last: it is not only known by a request.
    pub(crate) in_repository: bool,
    /// Its place among those of which nothing serves.
    pub(crate) ending: Option<u64>,
}

impl Entry {
    /// Nothing of it serves or is wanted.
    pub(crate) fn is_idle(&self) -> bool {
        self.serving.is_empty() && self.ensemble.is_none()
    }

    /// The route to it.
    pub(crate) fn route(&self) -> Vec<Arc<LoadedModel>> {
        self.serving.iter().map(|version| Arc::clone(&version.model)).collect()
    }
}

/// How often a model was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadCounts {
    pub succeeded: u64,
    pub failed: u64,
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

/// Versions of a model that were replaced or unloaded, until the last request on them is done.
#[derive(Debug)]
pub struct Retired {
    pub(crate) name: String,
    pub(crate) versions: Vec<Started>,
    pub(crate) origin: Origin,
    /// Those on which sequences may go on.
    pub(crate) draining: Vec<Weak<DrainingVersion>>,
}
