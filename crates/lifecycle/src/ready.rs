//! Models that are loaded but not installed yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use hippocamp_loading::Started;

use crate::ensemble_source::EnsembleSource;
use crate::entry::Origin;

/// A loaded model, or the source of an ensemble.
#[derive(Debug)]
pub(crate) enum Ready {
    Model(Vec<Started>),
    /// An ensemble. Its versions are built on installation, from the models that serve then.
    Ensemble(Arc<EnsembleSource>),
}

/// A loaded model with its name and what it was loaded from.
#[derive(Debug)]
pub(crate) struct ReadyModel {
    pub(crate) name: String,
    pub(crate) ready: Ready,
    pub(crate) origin: Origin,
}

impl Ready {
    /// The names of the composing models; empty if it is not an ensemble.
    pub(crate) fn composing(&self) -> BTreeSet<String> {
        self.ensemble().map(|source| source.composing()).unwrap_or_default()
    }

    pub(crate) fn ensemble(&self) -> Option<&Arc<EnsembleSource>> {
        match self {
            Ready::Model(_) => None,
            Ready::Ensemble(source) => Some(source),
        }
    }
}
