//! What following asks of whoever serves the models.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hippocamp_repository::{
    Dependencies, Fingerprint, Outcome, RepositoryLocation, ScanOptions, Transaction,
};

/// The models that are kept in step with the repositories.
pub trait ServedModels: Send + Sync + 'static {
    /// The repositories that are followed.
    fn repositories(&self) -> &[RepositoryLocation];

    /// How the repositories are looked at.
    fn scan_options(&self) -> ScanOptions;

    /// What the server found and loaded before it began to follow.
    fn at_start(&self) -> AtStart;

    /// What the repositories would have to hold so that nothing was to be done: by model the content that it serves, or that
    /// it will be loaded from.
    fn accounted_for(&self) -> BTreeMap<String, Fingerprint>;

    /// Which ensembles are composed of which models, as they serve now.
    fn dependencies(&self) -> Dependencies;

    /// The models that this one will be composed of, as its config says now. Reads files, so it may block.
    fn composing_on_disk(&self, name: &str) -> BTreeSet<String>;

    /// Carries out a transaction. `contents` is what each model's folder is expected to hold, `dependencies` what the configs
    /// there say. Each fault is logged here; the outcome says whether it is worth trying again.
    fn transact(
        self: &Arc<Self>,
        transaction: &Transaction,
        contents: &BTreeMap<String, Fingerprint>,
        dependencies: &Dependencies,
    ) -> impl Future<Output = Outcome> + Send;

    /// Every repository could be read just now.
    fn repositories_are_readable(&self);
}

/// What a server found in its repositories when it started.
#[derive(Clone, Debug, Default)]
pub struct AtStart {
    /// By model.
    pub contents: BTreeMap<String, Fingerprint>,
    /// Models that could not be loaded.
    pub failed: BTreeSet<String>,
}
