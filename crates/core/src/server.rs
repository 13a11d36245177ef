//! [`InferenceServer`]: its state, readiness, metadata, and start and stop of serving.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hippocamp_backend::{Backend, InProcessServer};
use hippocamp_cache::Store;
use hippocamp_lifecycle::{Lifecycle, VersionState};
use hippocamp_loading::{Context, Loader};
use hippocamp_repository::{Fingerprint, RemoteTimeout, ScanFault, ScanOptions, list};
use hippocamp_scheduler::RateLimiter;
use hippocamp_shm::SharedMemory;
use parking_lot::Mutex;
use tracing::warn;

use crate::index::{self, IndexEntry};
use crate::lazy::{self, LazyLoading};
use crate::metrics_page::{Gpus, Processors, Sources};
use crate::{LoadedModel, Readiness, Settings};

/// The server's metadata.
#[derive(Clone, Debug)]
pub struct ServerMetadata {
    pub name: String,
    pub version: &'static str,
    /// The protocol extensions that are enabled by the server's settings.
    pub extensions: Vec<&'static str>,
}

/// The protocol extensions that are implemented, in Triton's order. Clients look for them by name.
const EXTENSIONS: [&str; 13] = [
    "classification",
    "sequence",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "model_configuration",
    SHARED_MEMORY[0],
    SHARED_MEMORY[1],
    "binary_tensor_data",
    "parameters",
    "statistics",
    "trace",
    LOGGING,
];

/// The extensions that are enabled only if clients may register shared memory. That of CUDA answers as on a machine without GPUs:
/// nothing can be registered.
const SHARED_MEMORY: [&str; 2] = ["system_shared_memory", "cuda_shared_memory"];

/// The extension that is enabled only if the program has settings of its log.
const LOGGING: &str = "logging";

/// Serves models: finds them by name and version, accepts requests for them, and loads and unloads them. Every protocol is
/// built on this, and a program may use it directly.
#[derive(Debug)]
pub struct InferenceServer {
    settings: Settings,
    pub(crate) lifecycle: Arc<Lifecycle>,
    /// Lazy loading, if it is enabled.
    pub(crate) lazy: Option<Arc<LazyLoading>>,
    shared_memory: Arc<SharedMemory>,
    started: AtomicBool,
    stopping: AtomicBool,
    /// Whether a repository could not be read at the start, and has not been read since.
    pub(crate) unreadable: AtomicBool,
    /// The content of the repositories at the start, from which following starts.
    pub(crate) found_at_start: Mutex<BTreeMap<String, Fingerprint>>,
    /// How busy the machine's processors were at the last scrapes.
    pub(crate) processors: Mutex<Processors>,
    /// What the driver told of the GPUs at the last scrape.
    pub(crate) gpus: Mutex<Gpus>,
    /// Whether there are observers of models, beside their statistics.
    pub(crate) has_observers: bool,
    /// The registered sources of further metrics.
    pub(crate) metrics_sources: Sources,
    /// The server as its backends see it.
    pub(crate) in_process: OnceLock<Arc<dyn InProcessServer>>,
}

impl InferenceServer {
    /// Makes a server that its backends do not know yet.
    pub(crate) fn unconnected(settings: Settings, backends: Vec<Arc<dyn Backend>>) -> InferenceServer {
        let rate_limiter = settings.rate_limit.clone().map(RateLimiter::new);
        let cache_size = settings.response_cache_byte_size;
        let cache = (cache_size > 0).then(|| Store::new(cache_size));
        let shared_memory = Arc::new(SharedMemory::new(settings.allow_client_shm, settings.devices.clone()));
        let gpus = Mutex::new(Gpus::new(&settings.devices, settings.metrics.gpu));
        let context = Context::new(backends.into_iter().collect(), &settings.devices, settings.loading());
        let loader = Loader { context, rate_limiter, cache };
        let lifecycle = Arc::new(Lifecycle::new(loader, settings.lifecycle()));
        InferenceServer {
            lazy: lazy::if_wanted(&settings, &lifecycle),
            has_observers: !settings.observers.is_empty(),
            settings,
            lifecycle,
            shared_memory,
            started: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            unreadable: AtomicBool::new(false),
            found_at_start: Mutex::default(),
            processors: Mutex::new(Processors::new()),
            gpus,
            metrics_sources: Sources::default(),
            in_process: OnceLock::new(),
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The shared-memory regions that clients have registered, for inputs and outputs.
    pub fn shared_memory(&self) -> &Arc<SharedMemory> {
        &self.shared_memory
    }

    pub(crate) fn scan_options(&self, remote_timeout: RemoteTimeout) -> ScanOptions {
        ScanOptions { remote_timeout, ..self.settings().scan_options() }
    }

    pub fn metadata(&self) -> ServerMetadata {
        let name = self.settings().id.clone();
        let mut extensions = EXTENSIONS.to_vec();
        if !self.settings().allow_client_shm {
            extensions.retain(|extension| !SHARED_MEMORY.contains(extension));
        }
        if self.settings().log.is_none() {
            extensions.retain(|extension| *extension != LOGGING);
        }
        ServerMetadata { name, version: env!("CARGO_PKG_VERSION"), extensions }
    }

    /// Whether the server is live: it is not stopping, and it could read its repositories. If a repository cannot be read,
    /// the server cannot know its models; as with Triton, it is not live then, so that an orchestrator restarts it.
    pub fn is_live(&self) -> bool {
        !self.is_stopping() && !self.unreadable.load(Ordering::Acquire)
    }

    /// Whether the server is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether the start is over, whatever came of it.
    pub fn has_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// Whether the server is ready, by the rule in [`Settings::readiness`].
    pub fn is_ready(&self) -> bool {
        self.is_ready_without(&|_| false)
    }

    /// As [`InferenceServer::is_ready`], where the failures of some models do not count.
    pub fn is_ready_without(&self, passed_over: &dyn Fn(&str) -> bool) -> bool {
        self.has_started() && self.is_live() && self.serves_enough(passed_over)
    }

    /// Whether the models that serve satisfy the readiness rule. A failed load on request does not count, because its
    /// request got the error and the other models should keep their traffic.
    fn serves_enough(&self, passed_over: &dyn Fn(&str) -> bool) -> bool {
        let lifecycle = &self.lifecycle;
        match self.settings().readiness {
            Readiness::All if self.any_lost() => false,
            Readiness::All if self.lazy.is_some() => !lifecycle.any_missing(),
            Readiness::All => !lifecycle.any_failure(passed_over),
            Readiness::Served if self.lazy.is_some() => true,
            Readiness::Served => lifecycle.any_serving() || !lifecycle.any_failure(passed_over),
            Readiness::Started => true,
        }
    }

    #[cfg(feature = "follow")]
    /// Notes that all repositories could be read.
    pub(crate) fn repositories_are_readable(&self) {
        self.unreadable.store(false, Ordering::Release);
    }

    /// The serving versions of a model, lowest first.
    pub fn ready_versions(&self, name: &str) -> Vec<Arc<LoadedModel>> {
        self.lifecycle.routes().versions(name)
    }

    /// The number of serving versions of all models.
    pub fn ready_count(&self) -> usize {
        self.lifecycle.routes().all().len()
    }

    /// Every model of the repositories, loaded or not; with `ready_only` only ready versions. Lists the folders of the
    /// repositories, so it may block for a disk access, or for some seconds if a repository is remote.
    pub fn index(&self, ready_only: bool) -> Vec<IndexEntry> {
        let found = list(&self.settings().repositories, &self.scan_options(RemoteTimeout::Short));
        for fault in &found.faults {
            if let ScanFault::Remote { .. } = fault {
                warn!("{fault}");
            }
        }
        index::entries(&found, &self.model_states(), ready_only)
    }

    /// The states of all versions that are known, by the names of their models: of all that were loaded or failed to load, and
    /// of those that can be loaded on request. May block for a disk access.
    pub fn model_states(&self) -> BTreeMap<String, BTreeMap<u64, VersionState>> {
        let mut states = self.lifecycle.states();
        self.show_lost(&mut states);
        if let Some(lazy) = &self.lazy {
            lazy.show_in_index(&mut states);
        }
        states
    }

    /// Unloads all models and waits, at most for `timeout`, until their instances have finished their requests. Returns true
    /// if all have. The protocols must have stopped accepting requests before.
    pub async fn stop(&self, timeout: Duration) -> bool {
        self.stopping.store(true, Ordering::Release);
        tokio::time::timeout(timeout, self.lifecycle.end_all()).await.is_ok()
    }

    /// Lets the server report that it is ready. Call this only when it is certain that the server will not exit because of
    /// errors at the start.
    pub fn begin_serving(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// Makes the server report that it is not ready, so that no new traffic is sent to it.
    pub fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn is_not_ready_before_somebody_says_so() {
        let server = InferenceServer::new(Settings::default(), Vec::new());
        assert_eq!(server.load_repositories().await, [""; 0]);
        assert!(server.is_live() && !server.is_ready(), "whoever loaded may still give up");
        server.begin_serving();
        assert!(server.is_ready());
    }

    #[test]
    fn names_only_the_extensions_that_work() {
        for allow_client_shm in [false, true] {
            let settings = Settings { allow_client_shm, ..Settings::default() };
            let extensions = InferenceServer::new(settings, Vec::new()).metadata().extensions;
            for shared_memory in SHARED_MEMORY {
                assert_eq!(extensions.contains(&shared_memory), allow_client_shm);
            }
            assert!(extensions.contains(&"statistics") && extensions.contains(&"trace"));
            assert!(!extensions.contains(&LOGGING), "there is no log to be set");
        }
    }
}
