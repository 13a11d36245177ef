//! Where requests find their models: what this crate asks of the server around it.

use std::sync::Arc;

use hippocamp_backend::{CorrelationId, Error, Result};
use hippocamp_shm::SharedMemory;

use crate::LoadedModel;

/// Finds models for requests. Whoever loads, replaces and unloads models implements it.
///
/// A version *serves* while it takes new requests. It is *draining* when it was replaced while sequences ran on it: then it
/// takes only the requests that go on with one of these. `version` is the one that a client asked for, `None` if it named
/// none.
pub trait Models: Sync {
    /// The version that was asked for, or the highest one that serves. Takes no lock if there is one.
    fn serving(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>>;

    /// All versions of a model that serve, lowest first.
    fn serving_versions(&self, name: &str) -> Vec<Arc<LoadedModel>>;

    /// Whether a model has any version that is draining.
    fn has_draining(&self, name: &str) -> bool;

    /// The newest version that is draining.
    fn draining(&self, name: &str, version: Option<u64>) -> Option<Arc<LoadedModel>>;

    /// The newest version that is draining and has that sequence.
    fn draining_with_sequence(
        &self,
        name: &str,
        version: Option<u64>,
        id: &CorrelationId,
    ) -> Option<Arc<LoadedModel>>;

    /// Whether that very version is draining.
    fn is_draining(&self, model: &Arc<LoadedModel>) -> bool;

    /// Loads a model for a request that did not find it, for the reason `not_found`; returns that reason if the model is not
    /// loaded for requests. Dropping the future ends the wait, not the load.
    fn load_for_request(
        &self,
        name: &str,
        version: Option<u64>,
        not_found: Error,
    ) -> impl Future<Output = Result<Arc<LoadedModel>>> + Send;

    /// The regions that clients have registered.
    fn shared_memory(&self) -> &Arc<SharedMemory>;
}
