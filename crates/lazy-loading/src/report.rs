//! Shows lazily loaded models in the index and in the metrics.

use std::collections::BTreeMap;

use hippocamp_lifecycle::{State, VersionState, VersionStates};
use hippocamp_metrics::{Kind, Page};
use hippocamp_repository::{Fingerprint, RemoteTimeout, ScanOptions, scan};

use crate::footprint::versions_here;
use crate::lazy_loading::LazyLoading;

/// The reason in the index for a version that a request would load.
const STANDS_BY: &str = "stands by: loaded when a request asks for it";

/// A model that is not loaded now.
struct Unloaded {
    name: String,
    content: Fingerprint,
    /// The error of the last load, if it failed.
    failure: Option<String>,
    /// The versions that a load would serve, if known.
    versions: Option<Vec<u64>>,
}

impl LazyLoading {
    /// Adds the models that are not loaded to the index. They are READY, because requests for them are answered. Reads the
    /// folders of all models, and the configs of those whose content changed, so it may block.
    pub fn show_in_index(&self, states: &mut BTreeMap<String, VersionStates>) {
        let repositories = self.lifecycle.repositories();
        let options = ScanOptions { remote_timeout: RemoteTimeout::Short, ..repositories.options.clone() };
        let found = scan(&repositories.locations, &options);
        let unloaded: Vec<Unloaded> = {
            let state = self.state.lock();
            let present = state.models.iter().filter_map(|(name, model)| {
                let content = *found.models.get(name)?;
                let failure = model.failure.as_ref().map(|failure| failure.error.message().to_owned());
                let versions = model.versions.clone().filter(|(of, _)| *of == content);
                let versions = versions.map(|(_, versions)| versions);
                let unloaded = Unloaded { name: name.to_owned(), content, failure, versions };
                (!self.lifecycle.serves(name)).then_some(unloaded)
            });
            present.collect()
        };
        for Unloaded { name, content, failure, versions } in unloaded {
            let known = states.entry(name.clone()).or_default();
            if known.values().any(|state| state.state == State::Loading) {
                continue;
            }
            let versions = versions.or_else(|| {
                let versions = versions_here(&self.lifecycle, &name)?;
                self.state.lock().models.shown(&name, content, versions.clone());
                Some(versions)
            });
            // The versions of a model in a remote store are known after its first load.
            let versions = versions.unwrap_or_else(|| match (known.is_empty(), &failure) {
                (true, Some(_)) => vec![1],
                _ => known.keys().copied().collect(),
            });
            let before = std::mem::take(known);
            for version in versions {
                let failed = before.get(&version).filter(|state| state.is_failure()).cloned();
                let now = match &failure {
                    None => VersionState::new(State::Ready, STANDS_BY),
                    Some(reason) => failed.unwrap_or_else(|| VersionState::new(State::Unavailable, reason)),
                };
                known.insert(version, now);
            }
        }
    }

    /// The names of all models that may be loaded lazily.
    pub fn names(&self) -> Vec<String> {
        self.state.lock().models.iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// Whether a request would load that model now.
    pub fn is_unloaded(&self, name: &str) -> bool {
        !self.lifecycle.serves(name) && self.state.lock().models.get(name).is_some()
    }

    /// Writes the metric families of lazy loading to the Prometheus page.
    pub fn write_metrics(&self, page: &mut Page) {
        let state = self.state.lock();
        let help = "Number of models that may be loaded when a request asks for them";
        let unloaded = state.models.iter().filter(|(name, _)| !self.lifecycle.serves(name)).count();
        page.family("nv_model_standby_count", help, Kind::Gauge).sample(&[], unloaded);
        let help = "Bytes that loaded models may take, 0 for no limit (--lazy-load-memory-budget)";
        page.family("nv_model_memory_budget_bytes", help, Kind::Gauge)
            .sample(&[], state.budget.limit().unwrap_or(0));
        let help = "Bytes that models are reckoned to take that are loaded, being loaded or ending";
        page.family("nv_model_memory_used_bytes", help, Kind::Gauge).sample(&[], state.budget.used());
        let help = "Number of times that a model was unloaded to make room for another";
        let mut family = page.family("nv_model_eviction", help, Kind::Counter);
        for (name, model) in state.models.iter().filter(|(_, model)| model.evictions > 0) {
            family.sample(&[("model", name)], model.evictions);
        }
    }
}
