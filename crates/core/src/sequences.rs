//! Which version a request of a sequence goes to: the one that has the state of its sequence.

use std::sync::Arc;

use hippocamp_backend::{CorrelationId, Result, Sequence};

use crate::{InferenceServer, LoadedModel};
use hippocamp_lifecycle::DrainingVersion;

impl InferenceServer {
    /// As [`InferenceServer::model`], for a request of which is not yet known whether it belongs to a sequence. A version
    /// that was replaced is found as well while sequences run on it: [`InferenceServer::in_sequence`] says whether the
    /// request may go there.
    pub fn model_or_draining(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        self.model(name, version).or_else(|error| {
            let of_version = |draining: &DrainingVersion| version.is_none_or(|v| draining.model.version == v);
            self.lifecycle.draining().find(name, of_version).ok_or(error)
        })
    }

    /// The version that a request goes to, of which [`InferenceServer::model_or_draining`] found `found`. If it goes on
    /// with a sequence, that is the newest that has the sequence, among those of the version that was asked for: one
    /// that serves, or one that was replaced since. It begins a sequence, or belongs to none, on one that serves.
    pub fn in_sequence(
        &self,
        found: Arc<LoadedModel>,
        version: Option<u64>,
        sequence: Option<&Sequence>,
    ) -> Result<Arc<LoadedModel>> {
        let name = &found.name;
        let continued = sequence.filter(|sequence| !sequence.start).map(|sequence| &sequence.correlation_id);
        if let Some(id) =
            continued.filter(|_| !found.sequences.is_empty() || self.lifecycle.draining().of(name))
            && let Some(model) = self.with_sequence(name, version, id)
        {
            return Ok(model);
        }
        if self.lifecycle.draining().find(name, |draining| Arc::ptr_eq(&draining.model, &found)).is_some() {
            return self.model(name, version);
        }
        Ok(found)
    }

    /// `None` also if there is no choice: then whoever is asked says what is wrong.
    fn with_sequence(
        &self,
        name: &str,
        version: Option<u64>,
        id: &CorrelationId,
    ) -> Option<Arc<LoadedModel>> {
        let serving = self.lifecycle.routes().versions(name);
        if serving.len() <= 1 && !self.lifecycle.draining().of(name) {
            return None;
        }
        let wanted = |model: &LoadedModel| version.is_none_or(|version| model.version == version);
        let has = |model: &&Arc<LoadedModel>| {
            wanted(model) && model.sequences.iter().any(|scheduler| scheduler.has_sequence(id))
        };
        let newest = serving.iter().rev().find(has).cloned();
        newest.or_else(|| {
            self.lifecycle.draining().find(name, |draining| wanted(&draining.model) && draining.has(id))
        })
    }
}
