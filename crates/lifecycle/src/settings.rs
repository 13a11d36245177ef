//! The settings of the lifecycle.

use hippocamp_repository::{RepositoryLocation, ScanOptions};
use tokio::runtime::Handle;

/// Where models are found, and how they are loaded.
#[derive(Clone, Debug, Default)]
pub struct LifecycleSettings {
    pub repositories: Repositories,
    /// The number of models that are loaded in parallel; 0 counts as 1.
    pub load_threads: usize,
    /// The number of retries after a failed load.
    pub load_retries: u32,
    /// The runtime of loads and unloads that clients begin; `None` for the one they are begun on.
    pub background: Option<Handle>,
}

/// The model repositories and the options for scanning them.
#[derive(Clone, Debug, Default)]
pub struct Repositories {
    pub locations: Vec<RepositoryLocation>,
    pub options: ScanOptions,
}

impl Repositories {
    /// Whether any repository is in a remote store, so that each access costs a round trip.
    pub fn any_remote(&self) -> bool {
        self.locations.iter().any(RepositoryLocation::is_remote)
    }
}
