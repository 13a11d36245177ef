//! The server without its protocols.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hippocamp_backend::{Backend, Error, Result};
use hippocamp_cache::Store;
use hippocamp_metrics::CpuTimes;
use hippocamp_repository::{
    Fingerprint, Patience, Scan, ScanFault, ScanOptions, Wanted, advice, identifiers, list, scan,
};
use hippocamp_scheduler::RateLimiter;
use hippocamp_shm::SharedMemory;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tracing::{error, warn};

use crate::elders::Elders;
use crate::index::{self, IndexEntry};
use crate::load::Loader;
use crate::metrics_page::Sources;
use crate::models::Models;
use crate::on_demand::OnDemand;
use crate::routes::Routes;
use crate::start_fault::StartFault;
use crate::{ControlMode, LoadOverrides, LoadedModel, Readiness, Settings};

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
    pub(crate) loader: Loader,
    pub(crate) routes: Routes,
    pub(crate) elders: Elders,
    pub(crate) models: Mutex<Models>,
    /// If models are loaded when a request asks for them.
    pub(crate) on_demand: Option<OnDemand>,
    /// As many as models may be loaded at once.
    pub(crate) load_permits: Semaphore,
    shared_memory: Arc<SharedMemory>,
    started: AtomicBool,
    stopping: AtomicBool,
    /// A repository could not be read when the models were loaded, and was not since.
    unreadable: AtomicBool,
    /// Processor time at the last look, for the utilisation since.
    pub(crate) cpu_times: Mutex<Option<CpuTimes>>,
    /// Who else writes metrics.
    pub(crate) metrics_sources: Sources,
}

impl InferenceServer {
    /// A server without models yet; [`InferenceServer::load_repositories`] brings them in.
    pub fn new(settings: Settings, backends: Vec<Arc<dyn Backend>>) -> Arc<InferenceServer> {
        let threads = settings.model_load_thread_count.max(1);
        let rate_limiter = settings.rate_limit.clone().map(RateLimiter::new);
        let cache_size = settings.response_cache_byte_size;
        let cache = (cache_size > 0).then(|| Store::new(cache_size));
        let shared_memory = Arc::new(SharedMemory::new(settings.allow_client_shm));
        Arc::new_cyclic(|server| InferenceServer {
            on_demand: OnDemand::wanted(&settings, server),
            loader: Loader::new(settings, backends.into_iter().collect(), rate_limiter, cache),
            routes: Routes::default(),
            elders: Elders::default(),
            models: Mutex::default(),
            load_permits: Semaphore::new(threads),
            shared_memory,
            started: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            unreadable: AtomicBool::new(false),
            cpu_times: Mutex::new(CpuTimes::now()),
            metrics_sources: Sources::default(),
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.loader.settings
    }

    /// The regions that clients have registered. Protocols read inputs from there and write outputs to it.
    pub fn shared_memory(&self) -> &Arc<SharedMemory> {
        &self.shared_memory
    }

    /// Loads what the settings ask for, several models at once. Returns what went wrong, a line each; everything else
    /// can be served. Whether it is, is for the caller to say: [`InferenceServer::begin_serving`].
    pub async fn load_repositories(self: &Arc<Self>) -> Vec<String> {
        self.start_models().await.into_iter().map(|fault| fault.message).collect()
    }

    /// The same, with each fault as a value.
    pub async fn start_models(self: &Arc<Self>) -> Vec<StartFault> {
        let found = self.scan(Patience::Full).await;
        let mut faults = Vec::new();
        self.unreadable.store(found.faults.iter().any(ScanFault::is_of_repository), Ordering::Release);
        for fault in &found.faults {
            if matches!(fault, ScanFault::Name { .. }) {
                warn!(model = fault.model(), "{fault}");
            } else {
                error!(model = fault.model(), "{fault}");
                faults.push(StartFault::of_repository(fault.to_string()));
            }
        }
        if self.settings().control_mode != ControlMode::Explicit {
            for advice in advice(&self.settings().repositories, &found) {
                warn!("{advice}");
            }
        }
        let wanted = self.wanted(&found.models);
        self.models.lock().first_look.clone_from(&found.models);
        faults.extend(self.carry_out(&BTreeMap::new(), &found.models, &wanted).await);
        faults
    }

    /// A look at all repositories, on a thread that may block: they may be far away.
    async fn scan(self: &Arc<Self>, patience: Patience) -> Scan {
        let server = Arc::clone(self);
        let look = move || scan(&server.settings().repositories, &server.scan_options(patience));
        // A panic in there was logged where it happened.
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    pub(crate) fn scan_options(&self, patience: Patience) -> ScanOptions {
        ScanOptions { patience, ..self.settings().scan_options() }
    }

    fn wanted(&self, present: &BTreeMap<String, Fingerprint>) -> Wanted {
        let settings = self.settings();
        let all = settings.load_models.iter().any(|name| name == "*");
        match settings.control_mode {
            ControlMode::None | ControlMode::Poll => Wanted::All,
            ControlMode::Explicit if all => Wanted::All,
            ControlMode::Explicit if !settings.model_namespacing => {
                Wanted::Named(settings.load_models.iter().cloned().collect())
            }
            ControlMode::Explicit => {
                let named = settings
                    .load_models
                    .iter()
                    .flat_map(|name| meant(present.keys().map(String::as_str), name));
                Wanted::Named(named.collect())
            }
        }
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
        let models = self.models.lock();
        match self.settings().readiness {
            Readiness::All if self.on_demand.is_some() => models.missing.is_empty(),
            Readiness::All => !models.any_failure(),
            Readiness::Served if self.on_demand.is_some() => true,
            Readiness::Served => models.any_serving() || !models.any_failure(),
            Readiness::Started => true,
        }
    }

    /// All repositories could be read.
    pub(crate) fn repositories_are_readable(&self) {
        self.unreadable.store(false, Ordering::Release);
    }

    /// The version that was asked for, or the highest that serves. One look-up, no lock. Requests ask by
    /// [`demand`](InferenceServer::demand).
    pub fn model(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
        match self.routes.find(name, version) {
            Ok(model) => {
                if self.on_demand.is_some() {
                    model.last_use.touch();
                }
                Ok(model)
            }
            Err(error) => Err(self.not_found(name, version, error)),
        }
    }

    #[cold]
    fn not_found(&self, name: &str, version: Option<u64>, error: Error) -> Error {
        match version {
            Some(version) if self.models.lock().knows(name, version) => Error::unavailable(format!(
                "Request for unknown model: '{name}' version {version} is not at ready state"
            )),
            _ => self.ambiguous(name).unwrap_or(error),
        }
    }

    /// What to say of a name that models of several namespaces have.
    #[cold]
    fn ambiguous(&self, name: &str) -> Option<Error> {
        if !self.settings().model_namespacing {
            return None;
        }
        let mut known: BTreeSet<String> = self.models.lock().states().into_keys().collect();
        known.extend(self.standing_by());
        let meant = identifiers(known.iter().map(String::as_str), name);
        if meant.is_empty() || meant.contains(name) {
            return None;
        }
        let identifiers = meant.into_iter().map(str::to_owned).collect();
        let fault = ScanFault::Ambiguous { name: name.to_owned(), identifiers };
        Some(Error::invalid_arg(fault.to_string()))
    }

    /// All versions of a model that serve, lowest first.
    pub fn ready_versions(&self, name: &str) -> Vec<Arc<LoadedModel>> {
        self.routes.versions(name)
    }

    /// How many versions serve.
    pub fn ready_count(&self) -> usize {
        self.routes.all().len()
    }

    /// Every model of the repositories, loaded or not. Looks at which folders they have, not into these, and so may block
    /// for as long as a disk takes, and for some seconds if one is remote.
    pub fn index(&self, ready_only: bool) -> Vec<IndexEntry> {
        let found = list(&self.settings().repositories, &self.scan_options(Patience::Short));
        for fault in &found.faults {
            if let ScanFault::Remote { .. } = fault {
                warn!("{fault}");
            }
        }
        let mut states = self.models.lock().states();
        self.show_standing_by(&mut states);
        index::entries(&found, &states, ready_only)
    }

    /// Loads a model, or loads it again, because a client asked for it. Returns when it serves. If it fails, what
    /// served before goes on.
    pub async fn load(self: &Arc<Self>, name: &str, overrides: LoadOverrides) -> Result<()> {
        self.allow_control()?;
        for each in self.identifiers(name).await {
            let overrides = self.with_given_config(&each, overrides.clone()).await;
            if self.on_demand.is_some() {
                self.load_pinned(&each, overrides).await?;
                continue;
            }
            let loaded = self.load_model(each.clone(), overrides).await;
            loaded.map_err(|failure| failure.into_error(&each))?;
        }
        Ok(())
    }

    /// The names under which models of that name are served: that name, or with namespaces one in each that has such a
    /// model.
    async fn identifiers(self: &Arc<Self>, name: &str) -> BTreeSet<String> {
        if !self.settings().model_namespacing {
            return [name.to_owned()].into();
        }
        let server = Arc::clone(self);
        let look = move || list(&server.settings().repositories, &server.scan_options(Patience::Short));
        // A panic in there was logged where it happened.
        let found = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        let mut meant = meant(found.models.iter().map(String::as_str), name);
        let known = self.models.lock().states();
        meant.extend(identifiers(known.keys().map(String::as_str), name).into_iter().map(str::to_owned));
        meant
    }

    /// Unloads a model because a client asked for it, and with it the ensembles that are made of it. With `dependents` also
    /// the models that were loaded only because this one is composed of them, if nothing else is. Returns when the last
    /// request is done and the memory is free. A model that is not loaded is no error.
    pub async fn unload(self: &Arc<Self>, name: &str, dependents: bool) -> Result<()> {
        self.allow_control()?;
        for each in self.identifiers(name).await {
            self.take_out(&each);
            self.unload_model(each, dependents).await;
        }
        Ok(())
    }

    fn allow_control(&self) -> Result<()> {
        match self.settings().control_mode {
            ControlMode::Explicit => Ok(()),
            ControlMode::None | ControlMode::Poll => {
                Err(Error::unavailable("explicit model load / unload is not allowed if polling is enabled"))
            }
        }
    }

    /// Lets go of all models and waits until their instances have finished what they run, at most `timeout`. True if
    /// they all did. Fronts have stopped taking requests before this.
    pub async fn stop(&self, timeout: Duration) -> bool {
        self.stopping.store(true, Ordering::Release);
        self.routes.clear();
        self.elders.clear();
        let serving = self.models.lock().take_all();
        // All are let go before any is waited for: an ensemble holds on to its models.
        let stopped: Vec<_> = serving.into_iter().map(|version| version.stopped).collect();
        let all = async {
            for stopped in stopped {
                stopped.wait().await;
            }
        };
        tokio::time::timeout(timeout, all).await.is_ok()
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

/// What `name` stands for among the models that are there; itself if there is none.
fn meant<'a>(present: impl Iterator<Item = &'a str>, name: &'a str) -> BTreeSet<String> {
    let meant = identifiers(present, name);
    if meant.is_empty() { [name.to_owned()].into() } else { meant.into_iter().map(str::to_owned).collect() }
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
