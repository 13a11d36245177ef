//! The interface between following and the server: what following needs to know, and what it requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hippocamp_repository::{
    Dependencies, Fingerprint, Outcome, RepositoryLocation, ScanOptions, Transaction,
};

/// The models that are kept in step with the repositories.
pub trait ServedModels: Send + Sync + 'static {
    /// The repositories that are followed.
    fn repositories(&self) -> &[RepositoryLocation];

    /// The options of scans.
    fn scan_options(&self) -> ScanOptions;

    /// The models that the server found and loaded at its start.
    fn at_start(&self) -> AtStart;

    /// The content of each model that is served or being loaded. No action is needed if the repositories hold the same.
    fn accounted_for(&self) -> BTreeMap<String, Fingerprint>;

    /// The composing models of each ensemble that is served now.
    fn dependencies(&self) -> Dependencies;

    /// The models that an ensemble refers to in its present config. This reads files and may block.
    fn composing_on_disk(&self, name: &str) -> BTreeSet<String>;

    /// Carries out a transaction. `contents` is the expected content of each model's folder; `dependencies` are those that
    /// the configs there state. The implementation logs each fault; the outcome says whether to try again.
    fn transact(
        self: &Arc<Self>,
        transaction: &Transaction,
        contents: &BTreeMap<String, Fingerprint>,
        dependencies: &Dependencies,
    ) -> impl Future<Output = Outcome> + Send;

    /// Tells the server that the last scan could read every repository.
    fn repositories_are_readable(&self);
}

/// What a server found in its repositories when it started.
#[derive(Clone, Debug, Default)]
pub struct AtStart {
    /// The content that was found, by model.
    pub contents: BTreeMap<String, Fingerprint>,
    /// The models that could not be loaded.
    pub failed: BTreeSet<String>,
}
