//! Loads and unloads by clients, and the index of the repository.

use std::sync::Arc;

use hippocamp_access::Grant;
use hippocamp_backend::{Code, Error, Result};
use hippocamp_core::{LoadOverrides, State};
use hippocamp_net::off_thread;
use hippocamp_proto::v1::ModelRepositoryIndex;
use hippocamp_proto::v1::model_repository_index::ModelEntry;

use crate::V1;
use crate::guard::check_model;

impl V1 {
    /// Loads a model, or loads it again. Returns when it serves.
    pub async fn load(&self, model: &str, grant: &Grant) -> Result<()> {
        check_model(grant, model)?;
        let loaded = self.server.load(model, LoadOverrides::default()).await;
        loaded.map_err(|error| self.load_failure(model, error))
    }

    /// The error of a load. Its reason is in the status of the model and in the log.
    #[cold]
    fn load_failure(&self, model: &str, error: Error) -> Error {
        if matches!(error.code(), Code::Unavailable | Code::Unsupported) {
            return error;
        }
        let states = self.server.model_states();
        let versions = states.get(model);
        if versions.is_some_and(|versions| versions.values().any(|version| version.state == State::Ready)) {
            // What served before still serves, so that no version is unavailable.
            return Error::internal(format!("failed to load '{model}', {}", error.message()));
        }
        let unavailable: Vec<String> =
            versions.into_iter().flatten().map(|(version, _)| version.to_string()).collect();
        if unavailable.is_empty() {
            return Error::internal(format!("failed to load '{model}', no version is available"));
        }
        let unavailable = unavailable.join(",");
        Error::internal(format!("failed to load '{model}', versions that are not available: {unavailable}"))
    }

    /// Unloads a model. Returns when its last request has finished. One that is not loaded is no error.
    pub async fn unload(&self, model: &str, grant: &Grant) -> Result<()> {
        check_model(grant, model)?;
        self.server.unload(model, false).await
    }

    /// The names of all models of the repositories, loaded or not.
    pub async fn repository_index(&self, grant: &Grant) -> Result<ModelRepositoryIndex> {
        let server = Arc::clone(&self.server);
        // It looks at the disk.
        let entries = off_thread(true, move || server.index(false)).await;
        let entries =
            entries.map_err(|e| Error::internal("the repository could not be read").with_source(e))?;
        let mut models: Vec<ModelEntry> = entries
            .into_iter()
            .filter(|entry| grant.covers(&entry.name))
            .map(|entry| ModelEntry { name: entry.name })
            .collect();
        models.dedup_by(|a, b| a.name == b.name);
        Ok(ModelRepositoryIndex { models })
    }
}
