//! The server without its protocols.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hippocamp_backend::Backend;
use hippocamp_cache::Store;
use hippocamp_lifecycle::Lifecycle;
use hippocamp_loading::{Context, Loader};
use hippocamp_metrics::CpuTimes;
use hippocamp_repository::{Fingerprint, RemoteTimeout, ScanFault, ScanOptions, list};
use hippocamp_scheduler::RateLimiter;
use hippocamp_shm::SharedMemory;
use parking_lot::Mutex;
use tracing::warn;

use crate::index::{self, IndexEntry};
use crate::lazy::{self, LazyLoading};
use crate::metrics_page::Sources;
use crate::{LoadedModel, Readiness, Settings};

/// What the server says of itself.
#[derive(Clone, Debug)]
pub struct ServerMetadata {
    pub name: String,
    pub version: &'static str,
    /// Those that work under the server's settings.
    pub extensions: Vec<&'static str>,
}

/// The extensions of the protocol that work, in Triton's order: clients look for them by name.
const EXTENSIONS: [&str; 10] = [
    "classification",
    "sequence",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "model_configuration",
    SYSTEM_SHARED_MEMORY,
    "binary_tensor_data",
    "parameters",
    "statistics",
];

/// Works only where clients may register memory.
const SYSTEM_SHARED_MEMORY: &str = "system_shared_memory";

/// Serves models: finds them by name and version, takes requests for them, loads and unloads them. Every protocol is a
/// front of this, and a program may use it without any.
#[derive(Debug)]
pub struct InferenceServer {
    settings: Settings,
    pub(crate) lifecycle: Arc<Lifecycle>,
    /// If models are loaded when a request asks for them.
    pub(crate) lazy: Option<Arc<LazyLoading>>,
    shared_memory: Arc<SharedMemory>,
    started: AtomicBool,
    stopping: AtomicBool,
    /// A repository could not be read when the models were loaded, and was not since.
    pub(crate) unreadable: AtomicBool,
    /// What the repositories held at the start. Following them goes on from there.
    pub(crate) found_at_start: Mutex<BTreeMap<String, Fingerprint>>,
    /// Processor time at the last look, for the utilisation since.
    pub(crate) cpu_times: Mutex<Option<CpuTimes>>,
    /// Who else writes metrics.
    pub(crate) metrics_sources: Sources,
}

impl InferenceServer {
    /// A server without models yet; [`InferenceServer::load_repositories`] brings them in.
    pub fn new(settings: Settings, backends: Vec<Arc<dyn Backend>>) -> Arc<InferenceServer> {
        let rate_limiter = settings.rate_limit.clone().map(RateLimiter::new);
        let cache_size = settings.response_cache_byte_size;
        let cache = (cache_size > 0).then(|| Store::new(cache_size));
        let shared_memory = Arc::new(SharedMemory::new(settings.allow_client_shm));
        let context = Context::new(backends.into_iter().collect(), &settings.devices, settings.loading());
        let loader = Loader { context, rate_limiter, cache };
        let lifecycle = Arc::new(Lifecycle::new(loader, settings.lifecycle()));
        Arc::new(InferenceServer {
            lazy: lazy::if_wanted(&settings, &lifecycle),
            settings,
            lifecycle,
            shared_memory,
            started: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            unreadable: AtomicBool::new(false),
            found_at_start: Mutex::default(),
            cpu_times: Mutex::new(CpuTimes::now()),
            metrics_sources: Sources::default(),
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The regions that clients have registered. Protocols read inputs from there and write outputs to it.
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
            extensions.retain(|extension| *extension != SYSTEM_SHARED_MEMORY);
        }
        ServerMetadata { name, version: env!("CARGO_PKG_VERSION"), extensions }
    }

    /// Whether it can be asked at all: it is not about to end, and could read its repositories. Where one of them cannot be
    /// read it is not known what should be served; whoever looks at this starts the server anew, as with Triton.
    pub fn is_live(&self) -> bool {
        !self.is_stopping() && !self.unreadable.load(Ordering::Acquire)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether it serves what it should, as far as [`Settings::readiness`] asks for that.
    pub fn is_ready(&self) -> bool {
        let started = self.started.load(Ordering::Acquire);
        started && self.is_live() && self.serves_enough()
    }

    /// One that could not be loaded for a request does not count: that was found out by the request, and the others shall not
    /// lose their traffic for it.
    fn serves_enough(&self) -> bool {
        let lifecycle = &self.lifecycle;
        match self.settings().readiness {
            Readiness::All if self.lazy.is_some() => !lifecycle.any_missing(),
            Readiness::All => !lifecycle.any_failure(),
            Readiness::Served if self.lazy.is_some() => true,
            Readiness::Served => lifecycle.any_serving() || !lifecycle.any_failure(),
            Readiness::Started => true,
        }
    }

    /// All repositories could be read.
    pub(crate) fn repositories_are_readable(&self) {
        self.unreadable.store(false, Ordering::Release);
    }

    /// All versions of a model that serve, lowest first.
    pub fn ready_versions(&self, name: &str) -> Vec<Arc<LoadedModel>> {
        self.lifecycle.routes().versions(name)
    }

    /// How many versions serve.
    pub fn ready_count(&self) -> usize {
        self.lifecycle.routes().all().len()
    }

    /// Every model of the repositories, loaded or not. Looks at which folders they have, not into these, and so may block
    /// for as long as a disk takes, and for some seconds if one is remote.
    pub fn index(&self, ready_only: bool) -> Vec<IndexEntry> {
        let found = list(&self.settings().repositories, &self.scan_options(RemoteTimeout::Short));
        for fault in &found.faults {
            if let ScanFault::Remote { .. } = fault {
                warn!("{fault}");
            }
        }
        let mut states = self.lifecycle.states();
        if let Some(lazy) = &self.lazy {
            lazy.show_in_index(&mut states);
        }
        index::entries(&found, &states, ready_only)
    }

    /// Lets go of all models and waits until their instances have finished what they run, at most `timeout`. True if
    /// they all did. Fronts have stopped taking requests before this.
    pub async fn stop(&self, timeout: Duration) -> bool {
        self.stopping.store(true, Ordering::Release);
        tokio::time::timeout(timeout, self.lifecycle.end_all()).await.is_ok()
    }

    /// From here on the server says that it is ready. Not before it is known that it won't exit because of what went
    /// wrong: nobody shall be sent to a server that is about to end.
    pub fn begin_serving(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// From here on the server says that it is not ready, so that no new traffic is sent to it.
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
            assert_eq!(extensions.contains(&SYSTEM_SHARED_MEMORY), allow_client_shm);
            assert!(extensions.contains(&"statistics"));
            for missing in ["trace", "logging", "cuda_shared_memory"] {
                assert!(!extensions.contains(&missing), "{missing} answers that it is not supported");
            }
        }
    }
}
