//! The trait by which this crate finds models, which the server implements.

use std::sync::Arc;

use hippocamp_backend::{CorrelationId, Error, Result};
use hippocamp_shm::SharedMemory;

use crate::{LoadedModel, ModelRef};

/// Finds models for requests. It is implemented by the code that loads, replaces and unloads models.
///
/// A version *serves* while it takes new requests. It is *draining* after it was replaced while sequences were active on it:
/// then it accepts only requests of these sequences. `version` is the version that the client named, or `None`.
pub trait Models: Sync {
    /// The given version, or with `None` the highest that serves. Takes no lock if there is one. The error says why it does
    /// not serve.
    fn serving(&self, name: &str, version: Option<u64>) -> Result<ModelRef>;

    /// The serving versions of a model, lowest first.
    fn serving_versions(&self, name: &str) -> Vec<Arc<LoadedModel>>;

    /// Whether a model has a draining version.
    fn has_draining(&self, name: &str) -> bool;

    /// The newest draining version.
    fn draining(&self, name: &str, version: Option<u64>) -> Option<Arc<LoadedModel>>;

    /// The newest draining version on which this sequence is active.
    fn draining_with_sequence(
        &self,
        name: &str,
        version: Option<u64>,
        id: &CorrelationId,
    ) -> Option<Arc<LoadedModel>>;

    /// Whether this loaded version is draining.
    fn is_draining(&self, model: &Arc<LoadedModel>) -> bool;

    /// Loads a model for a request whose look-up failed with `not_found`. Returns `not_found` if the model is not loaded on
    /// request. Dropping the future ends the wait, not the load.
    fn load_for_request(
        &self,
        name: &str,
        version: Option<u64>,
        not_found: Error,
    ) -> impl Future<Output = Result<Arc<LoadedModel>>> + Send;

    /// The shared-memory regions that clients have registered.
    fn shared_memory(&self) -> &Arc<SharedMemory>;
}
