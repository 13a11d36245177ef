//! What the life of models depends on.

use hippocamp_repository::{RepositoryLocation, ScanOptions};

/// Where models are found, and how they are loaded.
#[derive(Clone, Debug, Default)]
pub struct LifecycleSettings {
    pub repositories: Repositories,
    /// How many models are loaded at once. At least one is.
    pub load_threads: usize,
    /// How often a load that failed is tried again.
    pub load_retries: u32,
}

/// The model repositories, and how they are looked at.
#[derive(Clone, Debug, Default)]
pub struct Repositories {
    pub locations: Vec<RepositoryLocation>,
    pub options: ScanOptions,
}

impl Repositories {
    /// Whether any of them is elsewhere, so that a look at it takes a round trip.
    pub fn any_remote(&self) -> bool {
        self.locations.iter().any(RepositoryLocation::is_remote)
    }
}
