//! One model to be loaded.

use hippocamp_repository::Fingerprint;

use crate::overrides::LoadOverrides;

/// A request to load one model.
#[derive(Debug)]
pub struct Job {
    pub name: String,
    pub(crate) overrides: LoadOverrides,
    /// Whether the model is reloaded even if it serves the current content of its folder. True for a load by name, false for
    /// a model that an ensemble or a waiting request needs.
    pub(crate) explicit: bool,
    /// The expected content of the model's folder. The load fails with [`Changed`](hippocamp_loading::LoadFailure::Changed)
    /// if the folder holds something else or changes during the load.
    pub(crate) expected: Option<Fingerprint>,
    /// Set if the model is an ensemble that depends on itself: the last model in the cycle before it.
    pub(crate) cycle: Option<String>,
}

impl Job {
    /// A job for a model that was asked for by name.
    pub fn explicit(name: String, overrides: LoadOverrides) -> Job {
        Job { name, overrides, explicit: true, expected: None, cycle: None }
    }

    /// A job for a model whose folder was changed and has settled with this content.
    pub fn settled(name: String, content: Fingerprint) -> Job {
        Job { expected: Some(content), ..Job::explicit(name, LoadOverrides::default()) }
    }

    /// A job for an inference request that waits for the model. It does nothing if the model serves by then.
    pub fn for_request(name: String, expected: Option<Fingerprint>) -> Job {
        Job { expected, ..Job::implied(name) }
    }

    /// A job for a composing model of an ensemble.
    pub(crate) fn implied(name: String) -> Job {
        Job { explicit: false, ..Job::explicit(name, LoadOverrides::default()) }
    }
}
