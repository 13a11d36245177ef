//! The statistics extension.

use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_statistics::Counters;

use crate::{InferenceServer, LoadedModel};

/// The counters of one version at one moment.
#[derive(Clone, Debug)]
pub struct VersionStatistics {
    pub name: Arc<str>,
    pub version: Arc<str>,
    pub counters: Counters,
    /// Whether responses of the version are kept in the response cache.
    pub is_cached: bool,
}

impl VersionStatistics {
    fn of(model: &LoadedModel) -> VersionStatistics {
        let (name, version) = (Arc::clone(&model.name), Arc::clone(&model.version_text));
        let (counters, is_cached) = (model.statistics.snapshot(), model.cache.is_some());
        VersionStatistics { name, version, counters, is_cached }
    }
}

impl InferenceServer {
    /// The counters of the serving versions of one model, or of all models if `name` is empty; of one version if `version`
    /// is given. A lazily loaded model that is not loaded has none, and is not loaded for this.
    ///
    /// # Errors
    /// The model or the version does not serve.
    pub fn statistics(&self, name: &str, version: Option<u64>) -> Result<Vec<VersionStatistics>> {
        if name.is_empty() {
            return Ok(self
                .lifecycle
                .routes()
                .all()
                .iter()
                .map(|model| VersionStatistics::of(model))
                .collect());
        }
        let models = self.ready_versions(name);
        if models.is_empty() {
            if self.lazy.as_ref().is_some_and(|lazy| lazy.is_unloaded(name)) {
                return Ok(Vec::new());
            }
            return Err(Error::invalid_arg(format!("requested model '{name}' is not available")));
        }
        let asked = models.iter().filter(|model| version.is_none_or(|v| v == model.version));
        let statistics: Vec<_> = asked.map(|model| VersionStatistics::of(model)).collect();
        if statistics.is_empty() {
            return Err(Error::invalid_arg(format!(
                "requested model version is not available for model '{name}'"
            )));
        }
        Ok(statistics)
    }
}
