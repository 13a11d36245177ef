//! Guards that keep models loaded while other loads need them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::lazy_loading::{LazyLoading, State};

/// Keeps models from being evicted until it is dropped.
///
/// A load gets its guard together with its memory, never while it waits for memory. Otherwise two loads could deadlock, each
/// waiting for the eviction of a model that the other guards.
#[derive(Debug)]
pub(crate) struct EvictionGuard {
    lazy: Arc<LazyLoading>,
    names: BTreeSet<String>,
}

impl EvictionGuard {
    pub(crate) fn new(lazy: &Arc<LazyLoading>, names: BTreeSet<String>) -> EvictionGuard {
        EvictionGuard::with_state(lazy, &mut lazy.state.lock(), names)
    }

    /// As [`EvictionGuard::new`], for a caller that has locked the state already.
    pub(crate) fn with_state(
        lazy: &Arc<LazyLoading>,
        state: &mut State,
        names: BTreeSet<String>,
    ) -> EvictionGuard {
        for name in &names {
            *state.guarded.entry(name.clone()).or_default() += 1;
        }
        EvictionGuard { lazy: Arc::clone(lazy), names }
    }
}

impl Drop for EvictionGuard {
    fn drop(&mut self) {
        let unguarded = {
            let mut state = self.lazy.state.lock();
            let mut unguarded = Vec::new();
            for name in std::mem::take(&mut self.names) {
                let count = state.guarded.remove(&name).unwrap_or(1) - 1;
                if count > 0 {
                    state.guarded.insert(name, count);
                } else {
                    unguarded.push(name);
                }
            }
            unguarded
        };
        // The memory of models that were not loaded is released.
        self.lazy.release_unloaded(&unguarded);
    }
}
