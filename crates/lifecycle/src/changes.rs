//! The changes that one installation makes to the routes, collected first and then published at once.

use std::sync::Arc;

use hippocamp_serving::{LoadedModel, Routes};

use crate::draining::{DrainingVersion, DrainingVersions};
use crate::entry::Retired;

/// The new routes and the versions to retire. They are collected under the lock of the models and published together.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// For each changed model, the versions that its requests are routed to from now on. If a model is listed twice, the
    /// last entry counts.
    pub(crate) routes: Vec<(String, Vec<Arc<LoadedModel>>)>,
    pub(crate) retired: Vec<Retired>,
    /// Replaced versions on which sequences may still be active.
    pub(crate) draining: Vec<Arc<DrainingVersion>>,
    /// Models that were removed; the sequences on their draining versions end too.
    pub(crate) ended: Vec<String>,
    /// Models that ended long ago and whose entries were dropped.
    pub(crate) forgotten: Vec<String>,
}

impl Changes {
    /// Publishes the changes to requests. Returns the versions to retire.
    pub(crate) fn publish(self, routes: &Routes, draining: &DrainingVersions) -> Vec<Retired> {
        // The draining versions are published before the routes, so that a request of a running sequence always finds its
        // version.
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
