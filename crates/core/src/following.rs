//! Implements for the server what [`hippocamp_following`] needs to follow the repositories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hippocamp_following::{AtStart, ServedModels, follow};
use hippocamp_lifecycle::composing_on_disk;
use hippocamp_repository::{
    Dependencies, Fingerprint, Outcome, RemoteTimeout, RepositoryLocation, ScanOptions, Transaction,
};

use crate::{InferenceServer, WatchSettings};

impl InferenceServer {
    /// Follows the repositories, for [`ControlMode::Poll`](crate::ControlMode::Poll). Starts from what
    /// [`load_repositories`](InferenceServer::load_repositories) found. The future never completes; dropping it ends the
    /// following.
    pub async fn watch(self: Arc<Self>, settings: WatchSettings) {
        follow(self, settings).await;
    }
}

impl ServedModels for InferenceServer {
    fn repositories(&self) -> &[RepositoryLocation] {
        &self.settings().repositories
    }

    fn scan_options(&self) -> ScanOptions {
        InferenceServer::scan_options(self, RemoteTimeout::Short)
    }

    fn at_start(&self) -> AtStart {
        let counts = self.lifecycle.load_counts();
        let failed = counts.into_iter().filter(|(_, loads)| loads.failed > 0);
        AtStart {
            contents: self.found_at_start.lock().clone(),
            failed: failed.map(|(name, _)| name).collect(),
        }
    }

    fn accounted_for(&self) -> BTreeMap<String, Fingerprint> {
        self.lazy.as_ref().map_or_else(|| self.lifecycle.loaded(), |lazy| lazy.accounted_for())
    }

    fn dependencies(&self) -> Dependencies {
        self.lifecycle.dependencies()
    }

    fn composing_on_disk(&self, name: &str) -> BTreeSet<String> {
        composing_on_disk(self.lifecycle.repositories(), name)
    }

    async fn transact(
        self: &Arc<Self>,
        transaction: &Transaction,
        contents: &BTreeMap<String, Fingerprint>,
        dependencies: &Dependencies,
    ) -> Outcome {
        match &self.lazy {
            Some(lazy) => lazy.transact(transaction, contents, dependencies).await,
            None => self.lifecycle.transact(transaction, contents, dependencies).await,
        }
    }

    fn repositories_are_readable(&self) {
        InferenceServer::repositories_are_readable(self);
    }
}
