//! One model to be loaded.

use hippocamp_repository::Fingerprint;

use crate::overrides::LoadOverrides;

/// A model to be loaded.
#[derive(Debug)]
pub struct Job {
    pub name: String,
    pub(crate) overrides: LoadOverrides,
    /// Somebody asked for it by name: it is loaded again if it is loaded already. Otherwise an ensemble is composed of it,
    /// and it is left alone if it serves what its folder holds.
    pub(crate) explicit: bool,
    /// What its folder was found to hold. It is not loaded if that is something else by now, or changes meanwhile.
    pub(crate) expected: Option<Fingerprint>,
    /// It is an ensemble that depends on itself; the last on the way back to it.
    pub(crate) cycle: Option<String>,
}

impl Job {
    /// A model that somebody asked for by name.
    pub fn explicit(name: String, overrides: LoadOverrides) -> Job {
        Job { name, overrides, explicit: true, expected: None, cycle: None }
    }

    /// The same for files that have settled.
    pub fn settled(name: String, content: Fingerprint) -> Job {
        Job { expected: Some(content), ..Job::explicit(name, LoadOverrides::default()) }
    }

    /// For a request that waits. It is left alone if it serves by now.
    pub fn for_request(name: String, expected: Option<Fingerprint>) -> Job {
        Job { expected, ..Job::implied(name) }
    }

    /// A model that an ensemble is composed of.
    pub(crate) fn implied(name: String) -> Job {
        Job { explicit: false, ..Job::explicit(name, LoadOverrides::default()) }
    }
}
