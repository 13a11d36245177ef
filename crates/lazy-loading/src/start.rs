//! Registers the models that are loaded lazily, at the start of the server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hippocamp_repository::Fingerprint;
use tracing::info;

use crate::footprint::composing;
use crate::lazy_loading::LazyLoading;

impl LazyLoading {
    /// Registers the models `names`, and the composing models of ensembles among them, to be loaded on request. `present` is
    /// the content of the repositories. With `settled`, only that content is loaded until a change is reported.
    pub async fn add_at_start(
        &self,
        names: Vec<String>,
        present: &BTreeMap<String, Fingerprint>,
        settled: bool,
    ) {
        {
            let mut state = self.state.lock();
            for name in &names {
                state.models.add(name, present.get(name).copied().filter(|_| settled), true);
            }
        }
        if names.len() < present.len() {
            let lifecycle = Arc::clone(&self.lifecycle);
            let composing = tokio::task::spawn_blocking(move || {
                let all = names.iter().flat_map(|name| composing(lifecycle.repositories(), name));
                all.collect::<BTreeSet<_>>()
            });
            // A panic in the task was logged.
            let composing = composing.await.unwrap_or_default();
            let mut state = self.state.lock();
            for name in composing.iter().filter(|name| present.contains_key(*name)) {
                state.models.add_composing(name);
            }
        }
        let (models, budget) = {
            let state = self.state.lock();
            (state.models.iter().count(), state.budget.limit())
        };
        info!(models, budget, "stand by: each is loaded when a request asks for it");
    }
}
