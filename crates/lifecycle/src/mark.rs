//! Records in the index that versions are being loaded or failed to load.

use hippocamp_loading::LoadFailure;

use crate::lifecycle::Lifecycle;
use crate::state::{State, UNLOADED, VersionState};

impl Lifecycle {
    /// Sets the versions to LOADING, except those that are READY: they continue to serve.
    pub(crate) fn mark_loading(&self, name: &str, versions: &[u64]) {
        let mut models = self.models.lock();
        let states = &mut models.entry(name).states;
        for &version in versions {
            let state = states.entry(version).or_insert_with(|| VersionState::new(State::Loading, ""));
            if state.state != State::Ready {
                *state = VersionState::new(State::Loading, "");
            }
        }
    }

    pub(crate) fn mark_failed(&self, name: &str, failure: &LoadFailure) {
        let mut models = self.models.lock();
        let entry = models.entry(name);
        let counted = !matches!(failure, LoadFailure::Changed);
        entry.loads.failed += u64::from(counted);
        let failed = match failure {
            LoadFailure::Changed => return,
            LoadFailure::Versions(failed) => failed.clone(),
            LoadFailure::Composing { versions, error } => {
                versions.iter().map(|&version| (version, error.clone())).collect()
            }
            LoadFailure::Config(error) => {
                // No version was tried. The serving versions continue, and the index shows the failure as their reason.
                for state in entry.states.values_mut().filter(|s| s.state == State::Ready) {
                    state.reason = error.reason();
                }
                return;
            }
        };
        let forgotten = models.remember(name);
        let entry = models.entry(name);
        for &version in failed.keys() {
            entry.states.entry(version).or_insert_with(|| VersionState::new(State::Loading, ""));
        }
        for (version, state) in &mut entry.states {
            match (failed.get(version), state.state) {
                (Some(error), State::Ready) => state.reason = error.reason(),
                (Some(error), _) => *state = VersionState::new(State::Unavailable, error.reason()),
                (None, State::Loading) => *state = VersionState::new(State::Unavailable, UNLOADED),
                (None, _) => {}
            }
        }
        let route = entry.route();
        self.routes.set(vec![(name.to_owned(), route)]);
        if let Some(forgotten) = forgotten {
            self.routes.forget(&forgotten);
        }
    }
}
