//! Finds the models of requests: among the serving versions, the draining ones, and those that are loaded on request.

use std::sync::Arc;

use hippocamp_backend::{CorrelationId, Error, Result};
use hippocamp_serving::{Accepted, ModelRef, Models, Responses};
use hippocamp_shm::SharedMemory;

use crate::{InferenceServer, LoadedModel};

impl InferenceServer {
    /// Finds the model of a request of any protocol, by the rules of [`hippocamp_serving::accept`].
    pub fn accept(
        &self,
        name: &str,
        version: Option<u64>,
        responses: Responses,
    ) -> impl Future<Output = Result<Accepted>> + Send {
        hippocamp_serving::accept(self, name, version, responses)
    }

    /// Finds the given version of a model, or with `None` the highest that serves. This is one look-up without a lock.
    ///
    /// # Errors
    /// `NotFound` or `Unavailable`: why the version does not serve.
    pub fn model(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        self.find(name, version).map(|model| Arc::clone(&model))
    }

    fn find(&self, name: &str, version: Option<u64>) -> Result<ModelRef> {
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

    /// As [`InferenceServer::model`], but loads a lazily loaded model first and returns when it serves, or the error of the
    /// load. Dropping the future ends the wait, not the load.
    ///
    /// # Errors
    /// As of [`InferenceServer::model`], or that of the load.
    pub async fn model_or_load(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        match self.model(name, version) {
            Ok(model) => Ok(model),
            Err(error) => self.load_for_request(name, version, error).await,
        }
    }

    /// Whether requests for the model are answered, if there is a model of that name; `None` if none is known.
    pub async fn known_model_ready(&self, name: &str) -> Option<bool> {
        let waits = self.lazy.as_ref().is_some_and(|lazy| lazy.is_unloaded(name));
        if waits || self.lifecycle.routes().knows(name) {
            return Some(self.is_model_ready(name, None).await);
        }
        None
    }

    /// Whether requests for the model are answered: it serves and has not lost its GPUs or instances, or it can be loaded on request.
    pub async fn is_model_ready(&self, name: &str, version: Option<u64>) -> bool {
        if self.is_stopping() {
            return false;
        }
        if let Ok(model) = self.lifecycle.routes().find(name, version) {
            return self.can_execute(&model) && says_ready(&model).await;
        }
        let Some(lazy) = &self.lazy else { return false };
        lazy.can_load(name, version).await
    }
}

/// Whether the model says that it is ready, if it has a word in that.
async fn says_ready(model: &LoadedModel) -> bool {
    let Some(check) = model.ready_check.clone() else { return true };
    tokio::task::spawn_blocking(move || check.ask()).await.unwrap_or(false)
}

impl Models for InferenceServer {
    fn serving(&self, name: &str, version: Option<u64>) -> Result<ModelRef> {
        self.find(name, version)
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
        // The future is boxed, or every request's future would be larger by its size.
        Box::pin(lazy.find_or_load(name, version, not_found)).await
    }

    fn shared_memory(&self) -> &Arc<SharedMemory> {
        self.shared_memory()
    }
}
