//! The settings of the server.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::RegisteredObservers;
use hippocamp_device::Devices;
use hippocamp_lifecycle::{LifecycleSettings, Repositories};
use hippocamp_loading::{HostPolicy, LatencySettings, LoadSettings};
use hippocamp_repository::{RepositoryLocation, ScanOptions};
use hippocamp_scheduler::ResourceCount;
use hippocamp_trace::Tracing;
use tokio::runtime::Handle;

use crate::MetricsSettings;
use crate::log_control::LogControl;

/// What decides which models are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlMode {
    /// Every model of the repositories is loaded at the start; nothing changes later.
    #[default]
    None,
    /// The models in [`Settings::load_models`] are loaded at the start; later, clients load and unload models.
    Explicit,
    /// Every model of the repositories is loaded, and changes there are followed:
    /// [`InferenceServer::watch`](crate::InferenceServer::watch).
    Poll,
}

/// The condition for the server to be ready, in addition to a successful start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// Every model that should be served is served.
    #[default]
    All,
    /// At least one model is served, unless there are none to serve. So a model that fails to load does not take the others
    /// out of service.
    Served,
    /// No further condition.
    Started,
}

/// The settings of the server that do not depend on a protocol.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// The server's name in its metadata.
    pub id: String,
    pub repositories: Vec<RepositoryLocation>,
    /// Whether models of the same name are served from each repository that has one, under its namespace.
    pub model_namespacing: bool,
    pub control_mode: ControlMode,
    /// The observers of request events, in addition to the statistics.
    pub observers: RegisteredObservers,
    /// Models to load at the start in explicit mode; `*` stands for all.
    pub load_models: Vec<String>,
    /// The custom config that is preferred where a model has it: `configs/<name>.pbtxt`.
    pub model_config_name: Option<String>,
    /// The condition for the server to be ready.
    pub readiness: Readiness,
    /// Whether configs are used as they are written, without completion from model files.
    pub disable_auto_complete_config: bool,
    /// Whether models are loaded when a request asks for them, instead of at the start.
    pub lazy_load: bool,
    /// The memory budget of lazily loaded models in bytes, estimated from their files; 0 for no limit. The least recently
    /// used models are evicted to stay within it.
    pub lazy_load_memory_budget: u64,
    /// The number of models that are loaded in parallel.
    pub model_load_thread_count: usize,
    /// The number of retries after a failed load.
    pub model_load_retry_count: u32,
    /// Whether clients may register shared memory. Clients can then read and write any named shared-memory object that the
    /// server can open.
    pub allow_client_shm: bool,
    /// By backend name, the `max_batch_size` for models that support batching but do not set it. The empty name applies to
    /// every backend that is not listed.
    pub default_max_batch_size: BTreeMap<String, i32>,
    /// The host policies, by the name that instance groups refer to.
    pub host_policies: BTreeMap<String, HostPolicy>,
    /// Whether instances on GPUs run on the CPU if their GPUs are not available. Otherwise such a model fails to load.
    pub cpu_fallback: bool,
    /// By the id of a GPU, the largest share of its memory, 0 to 1, that may be in use after a model was loaded there.
    pub model_load_gpu_limits: BTreeMap<i32, f64>,
    /// The rate limiter; `None` turns it off. With it, an instance executes only while it holds the resources of its group.
    /// The list sets the numbers of resources; for those not listed, the models' configs do.
    pub rate_limit: Option<Vec<ResourceCount>>,
    /// A test hook as in Triton: a dynamic batcher executes nothing until this many requests wait. Normally 0.
    pub delay_scheduler: usize,
    /// A test hook as in Triton: a sequence batcher executes nothing until this many sequences wait in its backlog. Normally
    /// 0.
    pub backlog_delay_scheduler: usize,
    /// The size of the response cache in bytes; 0 for no cache.
    pub response_cache_byte_size: usize,
    pub metrics: MetricsSettings,
    /// Which requests are traced, and where traces go.
    pub tracing: Arc<Tracing>,
    /// The settings of the log, for clients that read or change them; `None` if they cannot.
    pub log: Option<Arc<dyn LogControl>>,
    /// The devices of this machine on which models may be placed.
    pub devices: Devices,
    /// The runtime of loads and unloads that requests begin, where the threads that serve requests have runtimes of their
    /// own. `None` for the runtime of the request.
    pub background: Option<Handle>,
}

impl Default for Settings {
    /// The defaults of the command line.
    fn default() -> Self {
        Settings {
            id: "triton".to_owned(),
            repositories: Vec::new(),
            model_namespacing: false,
            observers: RegisteredObservers::default(),
            control_mode: ControlMode::None,
            load_models: Vec::new(),
            model_config_name: None,
            readiness: Readiness::All,
            disable_auto_complete_config: false,
            lazy_load: false,
            lazy_load_memory_budget: 0,
            model_load_thread_count: 4,
            model_load_retry_count: 0,
            allow_client_shm: false,
            default_max_batch_size: BTreeMap::new(),
            host_policies: BTreeMap::new(),
            cpu_fallback: false,
            model_load_gpu_limits: BTreeMap::new(),
            rate_limit: None,
            delay_scheduler: 0,
            backlog_delay_scheduler: 0,
            response_cache_byte_size: 0,
            metrics: MetricsSettings::default(),
            tracing: Arc::default(),
            log: None,
            devices: Devices::none(),
            background: None,
        }
    }
}

impl Settings {
    /// The options for scans of the repositories.
    pub fn scan_options(&self) -> ScanOptions {
        ScanOptions {
            config_name: self.model_config_name.clone(),
            namespacing: self.model_namespacing,
            ..ScanOptions::default()
        }
    }

    /// The settings of the lifecycle.
    pub(crate) fn lifecycle(&self) -> LifecycleSettings {
        LifecycleSettings {
            repositories: Repositories { locations: self.repositories.clone(), options: self.scan_options() },
            load_threads: self.model_load_thread_count,
            load_retries: self.model_load_retry_count,
            background: self.background.clone(),
        }
    }

    /// The settings of the steps of a load.
    pub fn loading(&self) -> LoadSettings {
        LoadSettings {
            disable_auto_complete_config: self.disable_auto_complete_config,
            cpu_fallback: self.cpu_fallback,
            gpu_limits: self.model_load_gpu_limits.clone(),
            default_max_batch_size: self.default_max_batch_size.clone(),
            host_policies: self.host_policies.clone(),
            delay_scheduler: self.delay_scheduler,
            backlog_delay_scheduler: self.backlog_delay_scheduler,
            count_uses: self.lazy_load,
            observers: self.observers.clone(),
            latencies: LatencySettings {
                histograms: self.metrics.histogram_latencies,
                summaries: self.metrics.summary_latencies,
            },
        }
    }
}
