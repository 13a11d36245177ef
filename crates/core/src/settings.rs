//! What the server is told at its start.

use std::collections::BTreeMap;

use hippocamp_backend::RegisteredObservers;
use hippocamp_device::Devices;
use hippocamp_lifecycle::{LifecycleSettings, Repositories};
use hippocamp_loading::{HostPolicy, LatencySettings, LoadSettings};
use hippocamp_repository::{RepositoryLocation, ScanOptions};
use hippocamp_scheduler::ResourceCount;

use crate::MetricsSettings;

/// Who decides which models are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlMode {
    /// Every model of the repositories, at the start; nothing changes later.
    #[default]
    None,
    /// The models named at the start, then what clients load and unload.
    Explicit,
    /// Every model of the repositories, and whatever happens to them there:
    /// [`InferenceServer::watch`](crate::InferenceServer::watch).
    Poll,
}

/// What it takes for the server to be ready, beside a start that succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// Every model that should be served is.
    #[default]
    All,
    /// Something is served, unless there is nothing to serve. What serves goes on when a later edit of it fails, so that a model
    /// that does not load keeps nobody from those that do.
    Served,
    /// Nothing more.
    Started,
}

/// Settings of the server, independent of any protocol.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Settings {
    /// The server's name in its metadata.
    pub id: String,
    pub repositories: Vec<RepositoryLocation>,
    /// Whether models of the same name are served from each repository that has one, under its namespace.
    pub model_namespacing: bool,
    pub control_mode: ControlMode,
    /// Who is told of what happens to requests, besides the statistics.
    pub observers: RegisteredObservers,
    /// Models to load at the start in explicit mode; `*` stands for all.
    pub load_models: Vec<String>,
    /// The custom config that is preferred where a model has it: `configs/<name>.pbtxt`.
    pub model_config_name: Option<String>,
    /// What it takes for the server to be ready.
    pub readiness: Readiness,
    /// Takes configs as they are written.
    pub disable_auto_complete_config: bool,
    /// Whether models are loaded when a request asks for them, instead of when they are wanted.
    pub lazy_load: bool,
    /// How many bytes the models may take that are loaded so, as far as their files tell; 0 for no limit. Whoever was used
    /// least recently goes.
    pub lazy_load_memory_budget: u64,
    /// How many models are loaded at once.
    pub model_load_thread_count: usize,
    /// How often a load that failed is tried again.
    pub model_load_retry_count: u32,
    /// Whether clients may register shared memory. Whoever may name an object may read and write it through the server.
    pub allow_client_shm: bool,
    /// By backend: `max_batch_size` of a model that can be batched and does not say how far. The empty name stands for
    /// every backend that is not listed.
    pub default_max_batch_size: BTreeMap<String, i32>,
    /// By the name that instance groups use.
    pub host_policies: BTreeMap<String, HostPolicy>,
    /// Whether instances that a config places on GPUs run on the CPU where these GPUs cannot be used. Otherwise such a model
    /// is refused.
    pub cpu_fallback: bool,
    /// Whether instances execute only while they hold the resources that their groups ask for; and how many there are,
    /// where that is not left to the models.
    pub rate_limit: Option<Vec<ResourceCount>>,
    /// Test hook of Triton: a dynamic batcher executes nothing before that many requests wait. 0 is the normal case.
    pub delay_scheduler: usize,
    /// The same for sequences that wait in the backlog of a sequence batcher.
    pub backlog_delay_scheduler: usize,
    /// How many bytes the response cache may have; 0 for none.
    pub response_cache_byte_size: usize,
    pub metrics: MetricsSettings,
    /// The devices of this machine, which models may be placed on.
    pub devices: Devices,
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
            rate_limit: None,
            delay_scheduler: 0,
            backlog_delay_scheduler: 0,
            response_cache_byte_size: 0,
            metrics: MetricsSettings::default(),
            devices: Devices::none(),
        }
    }
}

impl Settings {
    /// How the repositories are looked at.
    pub fn scan_options(&self) -> ScanOptions {
        ScanOptions {
            config_name: self.model_config_name.clone(),
            namespacing: self.model_namespacing,
            ..ScanOptions::default()
        }
    }

    /// Where models are found, and how they are loaded.
    pub(crate) fn lifecycle(&self) -> LifecycleSettings {
        LifecycleSettings {
            repositories: Repositories { locations: self.repositories.clone(), options: self.scan_options() },
            load_threads: self.model_load_thread_count,
            load_retries: self.model_load_retry_count,
        }
    }

    /// What the steps of a load obey.
    pub fn loading(&self) -> LoadSettings {
        LoadSettings {
            disable_auto_complete_config: self.disable_auto_complete_config,
            cpu_fallback: self.cpu_fallback,
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
