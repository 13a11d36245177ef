//! The context of a load: backends, devices and settings, which are the same for all models.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{
    Backend, Backends, Error, GpuSupport, ModelDirectories, RegisteredObservers, Result,
};
use hippocamp_device::Devices;
use hippocamp_model_config::{self as model_config, DefaultFacts, FaultKind, Gpu, ModelConfig, WithoutGpu};

use crate::HostPolicy;
use crate::faults::about;
use crate::latencies::LatencySettings;

/// The way on for a model whose engine runs on GPUs only.
const NEEDS_GPU: &str = "its engine runs on GPUs only: on this machine serve the ONNX file that it was built from, as model.onnx in the \
    version's folder, by 'platform: \"onnxruntime_onnx\"'; where it lies there, 'hippocamp check --fix' writes that";

/// The settings of the server that loading depends on.
#[derive(Clone, Debug, Default)]
pub struct LoadSettings {
    /// Whether configs are used as written, without completion from the model file.
    pub disable_auto_complete_config: bool,
    /// Whether instances that a config places on GPUs run on the CPU where these GPUs cannot be used.
    pub cpu_fallback: bool,
    /// By the id of a GPU, the largest share of its memory, 0 to 1, that may be in use after a model was loaded there.
    pub gpu_limits: BTreeMap<i32, f64>,
    /// The default `max_batch_size` of models that support batching, by backend. The entry of the empty name is the default
    /// for every backend that is not listed.
    pub default_max_batch_size: BTreeMap<String, i32>,
    /// Host policies, by the name that instance groups give.
    pub host_policies: BTreeMap<String, HostPolicy>,
    /// How many requests have to wait before a dynamic batcher executes any: a test hook, 0 is the normal case.
    pub delay_scheduler: usize,
    /// The same for sequences that wait in the backlog of a sequence batcher.
    pub backlog_delay_scheduler: usize,
    /// Whether it is counted who uses a model, so that idle ones can be told: models are evicted.
    pub count_uses: bool,
    /// Which latencies are kept of each model.
    pub latencies: LatencySettings,
    /// Who is told of what happens to requests, besides the statistics of each model.
    pub observers: RegisteredObservers,
}

impl LoadSettings {
    /// The default `max_batch_size` of models of that backend: the setting, or 4.
    pub fn default_max_batch_size(&self, backend: &str) -> i32 {
        let of = |name: &str| self.default_max_batch_size.get(name).copied();
        of(backend).or_else(|| of("")).unwrap_or(4)
    }
}

/// All that loading depends on besides the model's folder.
#[derive(Debug)]
pub struct Context {
    pub backends: Backends,
    /// The properties of the backends and the GPUs: defaults and the placement of instances depend on them.
    pub facts: DefaultFacts,
    /// The devices of this machine.
    pub devices: Devices,
    pub settings: LoadSettings,
}

/// What is said of a model whose config names the library of its backend, if that is not there.
fn no_runtime(model: &str, config: &ModelConfig, directories: ModelDirectories<'_>) -> Error {
    let ModelConfig { backend, runtime, .. } = config;
    let folders = directories.version.into_iter().chain([directories.model]);
    let folders: Vec<_> = folders.map(|folder| format!("'{}'", folder.display())).collect();
    let error = Error::invalid_arg(format!(
        "unable to find backend library '{runtime}' for model '{model}', which its config names as runtime: it is neither in {} nor in \
         the folder '{backend}' of --backend-directory",
        folders.join(" nor ")
    ));
    about(error, "runtime", FaultKind::Other)
}

impl Context {
    pub fn new(backends: Backends, devices: &Devices, settings: LoadSettings) -> Context {
        let facts = default_facts(&backends, devices);
        Context { backends, facts, devices: devices.clone(), settings }
    }

    /// Checks that this machine has the devices on which the config places instances.
    pub fn check_placement(&self, config: &ModelConfig) -> Result<()> {
        model_config::validate_placement(config, None, "config", &self.facts).map_err(|faults| {
            let facts = self.backends.facts(&config.backend);
            let way_out = match facts.map(|facts| facts.without_gpu) {
                Some(WithoutGpu::Impossible) => NEEDS_GPU,
                _ => "--cpu-fallback would run it on the CPU",
            };
            Error::invalid_arg(format!("{faults} ({way_out})")).with_source(faults)
        })
    }

    /// Finds the backend that the config names. `directories` are those of the model, which may bring a backend library.
    pub fn backend(
        &self,
        model: &str,
        config: &ModelConfig,
        directories: ModelDirectories<'_>,
    ) -> Result<Arc<dyn Backend>> {
        self.backends.find(&config.backend, &config.runtime, directories).ok_or_else(|| {
            if !config.backend.is_empty() && !config.runtime.is_empty() {
                return no_runtime(model, config, directories);
            }
            let (wanted, there) = (&config.backend, self.backends.names().collect::<Vec<_>>().join(", "));
            let error = Error::invalid_arg(if wanted.is_empty() {
                format!(
                    "unable to load model '{model}', its config names no backend and no model file tells which it is; \
                     add 'backend: \"NAME\"' with one of: {there}"
                )
            } else {
                format!(
                    "unable to load model '{model}', there is no backend '{wanted}'; there are: {there}; one of Triton's would be \
                     'libtriton_{wanted}.so' in the folder of the version or of the model, or in the folder '{wanted}' of \
                     --backend-directory"
                )
            });
            let kind = FaultKind::UnknownBackend { wanted: wanted.clone() };
            about(error, "backend", if wanted.is_empty() { FaultKind::NoBackend } else { kind })
        })
    }

    /// Whether the config has to be complete as written: it is an ensemble's, completion is disabled, or the backend does not
    /// complete configs.
    pub fn is_final(&self, config: &ModelConfig) -> bool {
        let backend = self.backends.facts(&config.backend);
        model_config::is_ensemble(config)
            || self.settings.disable_auto_complete_config
            || backend.is_some_and(|backend| !backend.completes_configs)
    }
}

/// The properties of all backends, and the GPUs of this machine.
fn default_facts(backends: &Backends, devices: &Devices) -> DefaultFacts {
    let gpus: Vec<Gpu> =
        devices.gpus().map(|gpu| Gpu { id: gpu.id, compute_capability: gpu.compute_capability }).collect();
    DefaultFacts {
        backends: backends.all_facts().map(|(name, facts)| (name.to_owned(), facts)).collect(),
        // What a library can use shows when it is opened.
        foreign_gpus: backends.has_sources().then_some(GpuSupport::From(0, 0)),
        gpus: (!gpus.is_empty()).then_some(gpus),
    }
}

#[cfg(test)]
impl Context {
    /// A context without backends and devices, with default settings.
    pub(crate) fn for_tests() -> Context {
        Context::new(Backends::default(), &Devices::default(), LoadSettings::default())
    }
}
