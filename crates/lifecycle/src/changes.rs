//! What one step of installing changes for requests.

use std::sync::Arc;

use hippocamp_serving::{LoadedModel, Routes};

use crate::draining::{DrainingVersion, DrainingVersions};
use crate::entry::Retired;

/// What has to be routed to anew, and what is retired. Gathered under the lock of the models, and made visible at once.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The versions that requests for a model find from now on. Where a model is listed twice, the last counts.
    pub(crate) routes: Vec<(String, Vec<Arc<LoadedModel>>)>,
    pub(crate) retired: Vec<Retired>,
    /// Versions that were replaced and may have sequences.
    pub(crate) draining: Vec<Arc<DrainingVersion>>,
    /// Models that ended, with the sequences that run on them.
    pub(crate) ended: Vec<String>,
    /// Models that ended long ago, and of which nothing is known any more.
    pub(crate) forgotten: Vec<String>,
}

impl Changes {
    /// From here on requests find what the changes say. Returns what is retired.
    pub(crate) fn publish(self, routes: &Routes, draining: &DrainingVersions) -> Vec<Retired> {
        // Before the routes: no request of a sequence finds neither.
        for version in &self.draining {
            draining.add(version);
        }
        routes.set(self.routes);
        for name in &self.ended {
            draining.forget(name);
        }
        for name in &self.forgotten {
            routes.forget(name);
        }
        self.retired
    }
}
