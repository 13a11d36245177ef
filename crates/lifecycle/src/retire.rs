//! Retires versions that were replaced or unloaded: they finish the requests that they have, then their memory is freed.

use std::sync::{Arc, Weak};

use tokio::task::JoinSet;

use crate::entry::Retired;
use crate::lifecycle::Lifecycle;
use crate::state::{State, UNLOADED, VersionState};

impl Lifecycle {
    /// Retires replaced versions on a task of their own, so that the caller does not wait for their last requests.
    pub(crate) fn retire_later(self: &Arc<Self>, retired: Vec<Retired>) {
        let lifecycle = Arc::clone(self);
        tokio::spawn(async move { lifecycle.retire(retired).await });
    }

    /// Waits until the last requests on the retired versions have finished and the memory is freed.
    pub async fn retire(self: &Arc<Self>, retired: Vec<Retired>) {
        // All versions are dropped before the first wait, because an ensemble keeps its models alive.
        let mut waiting = Vec::new();
        let mut files = Vec::new();
        let mut sequences = JoinSet::new();
        let names: Vec<String> = retired.iter().map(|retired| retired.name.clone()).collect();
        for Retired { name, versions, origin, draining } in retired {
            files.push(origin.files);
            for version in draining {
                let lifecycle = Arc::clone(self);
                sequences.spawn(async move { lifecycle.draining.drain(version).await });
            }
            for version in versions {
                waiting.push((name.clone(), version.model.version, version.stopped));
            }
        }
        for (name, version, stopped) in waiting {
            stopped.wait().await;
            let mut models = self.models.lock();
            let state = models.entries.get_mut(&name).and_then(|entry| entry.states.get_mut(&version));
            if let Some(state) = state.filter(|s| s.state == State::Unloading) {
                let reason = if state.reason.is_empty() { UNLOADED } else { &state.reason };
                *state = VersionState::new(State::Unavailable, reason);
            }
        }
        sequences.join_all().await;
        drop(files);
        if let Some(observer) = self.ends.get().and_then(Weak::upgrade) {
            observer.ended(&names);
        }
    }
}
