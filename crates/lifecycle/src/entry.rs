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

/// The record of one model, whether it serves or not.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// The state of every known version.
    pub(crate) states: BTreeMap<u64, VersionState>,
    /// The versions that serve.
    pub(crate) serving: Vec<Started>,
    /// What it was loaded from.
    pub(crate) origin: Origin,
    /// The source from which the ensemble is rebuilt; `None` if the model is no ensemble or was removed.
    pub(crate) ensemble: Option<Arc<EnsembleSource>>,
    /// Whether the model was asked for by name; false if it was only loaded as part of an ensemble.
    pub(crate) explicit: bool,
    /// The numbers of successful and failed loads.
    pub(crate) loads: LoadCounts,
    /// The lock held while the model is loaded or unloaded, so that loads and unloads run one at a time.
    pub(crate) turn: Turn,
    /// Whether the last load took the model's files from a repository, not from the load request.
    pub(crate) in_repository: bool,
    /// Its key in the list of ended models; `None` while a version serves.
    pub(crate) ending: Option<u64>,
}

impl Entry {
    /// Whether no version serves and the model is not an ensemble waiting to be rebuilt.
    pub(crate) fn is_idle(&self) -> bool {
        self.serving.is_empty() && self.ensemble.is_none()
    }

    /// The versions to which requests for the model are routed.
    pub(crate) fn route(&self) -> Vec<Arc<LoadedModel>> {
        self.serving.iter().map(|version| Arc::clone(&version.model)).collect()
    }
}

/// The numbers of successful and failed loads of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadCounts {
    pub succeeded: u64,
    pub failed: u64,
}

/// What a model was loaded from.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// The fingerprint of the model's folder at load time; `None` if the load request brought a config or files.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// The temporary files of this load. They are deleted when the versions that were loaded from them are gone.
    pub(crate) files: Option<ModelFiles>,
    /// The config from the load request, which applies to the files in the repository.
    pub(crate) given: Option<GivenConfig>,
}

/// Versions of a model that were replaced or unloaded, until the last request on them is done.
#[derive(Debug)]
pub struct Retired {
    pub(crate) name: String,
    pub(crate) versions: Vec<Started>,
    pub(crate) origin: Origin,
    /// The versions among them that drain, because sequences may still be active on them.
    pub(crate) draining: Vec<Weak<DrainingVersion>>,
}
