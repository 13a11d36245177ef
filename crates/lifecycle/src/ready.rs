//! Models that were made ready off to the side, and are not installed yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use hippocamp_loading::Started;

use crate::ensemble_source::EnsembleSource;
use crate::entry::Origin;

/// What was made ready.
#[derive(Debug)]
pub(crate) enum Ready {
    Model(Vec<Started>),
    /// Built when it is installed, of the models that serve then.
    Ensemble(Arc<EnsembleSource>),
}

/// The same with its name.
#[derive(Debug)]
pub(crate) struct ReadyModel {
    pub(crate) name: String,
    pub(crate) ready: Ready,
    pub(crate) origin: Origin,
}

impl Ready {
    /// The models that it is composed of.
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
