//! How requests find their models in this server: among those that serve, those that are draining, and those that are loaded
//! for a request.

use std::sync::Arc;

use hippocamp_backend::{CorrelationId, Error, Result};
use hippocamp_serving::{Accepted, Models, Responses};
use hippocamp_shm::SharedMemory;

use crate::{InferenceServer, LoadedModel};

impl InferenceServer {
    /// The beginning of every request of every protocol: finds its model by the rules of [`hippocamp_serving::accept`].
    pub fn accept(
        &self,
        name: &str,
        version: Option<u64>,
        responses: Responses,
    ) -> impl Future<Output = Result<Accepted>> + Send {
        hippocamp_serving::accept(self, name, version, responses)
    }

    /// The version that was asked for, or the highest that serves. One look-up, no lock.
    pub fn model(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        match self.lifecycle.find(name, version) {
            Ok(model) => {
                if self.lazy.is_some() {
                    model.last_use.touch();
                }
                Ok(model)
            }
            Err(error) => Err(self.ambiguous(name).unwrap_or(error)),
        }
    }

    /// As [`InferenceServer::model`], but a model that is loaded lazily is loaded first: then this returns when it serves, or
    /// with the reason why it does not. To drop the future ends the waiting, not the load.
    pub async fn model_or_load(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        match self.model(name, version) {
            Ok(model) => Ok(model),
            Err(error) => self.load_for_request(name, version, error).await,
        }
    }

    /// Whether a request for the model would be answered: it serves, or is loaded for the request.
    pub async fn is_model_ready(&self, name: &str, version: Option<u64>) -> bool {
        if self.is_stopping() {
            return false;
        }
        if self.lifecycle.routes().find(name, version).is_ok() {
            return true;
        }
        let Some(lazy) = &self.lazy else { return false };
        lazy.can_load(name, version).await
    }
}

impl Models for InferenceServer {
    fn serving(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        self.model(name, version)
    }

    fn serving_versions(&self, name: &str) -> Vec<Arc<LoadedModel>> {
        self.lifecycle.routes().versions(name)
    }

    fn has_draining(&self, name: &str) -> bool {
        self.lifecycle.draining().of(name)
    }

    fn draining(&self, name: &str, version: Option<u64>) -> Option<Arc<LoadedModel>> {
        self.lifecycle.draining().find(name, |draining| version.is_none_or(|v| draining.model.version == v))
    }

    fn draining_with_sequence(
        &self,
        name: &str,
        version: Option<u64>,
        id: &CorrelationId,
    ) -> Option<Arc<LoadedModel>> {
        let is_asked = |model: &LoadedModel| version.is_none_or(|v| model.version == v);
        self.lifecycle.draining().find(name, |draining| is_asked(&draining.model) && draining.has(id))
    }

    fn is_draining(&self, model: &Arc<LoadedModel>) -> bool {
        let draining = self.lifecycle.draining();
        draining.find(&model.name, |draining| Arc::ptr_eq(&draining.model, model)).is_some()
    }

    #[cold]
    async fn load_for_request(
        &self,
        name: &str,
        version: Option<u64>,
        not_found: Error,
    ) -> Result<Arc<LoadedModel>> {
        let Some(lazy) = &self.lazy else { return Err(not_found) };
        // On the heap: every request carries the room for this otherwise.
        Box::pin(lazy.find_or_load(name, version, not_found)).await
    }

    fn shared_memory(&self) -> &Arc<SharedMemory> {
        self.shared_memory()
    }
}
