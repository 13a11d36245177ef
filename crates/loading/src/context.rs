//! What the steps of a load depend on besides the model's folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use hippocamp_backend::{Backend, Backends, Error, ModelDirectories, Result};
use hippocamp_device::Devices;
use hippocamp_model_config::{self as model_config, DefaultFacts, FaultKind, Gpu, ModelConfig};

use crate::HostPolicy;
use crate::faults::about;
use crate::latencies::LatencySettings;

/// The settings of the server that the steps obey.
#[derive(Clone, Debug, Default)]
pub struct LoadSettings {
    /// Whether configs are taken as they are written.
    pub disable_auto_complete_config: bool,
    /// Whether instances that a config places on GPUs run on the CPU where these GPUs cannot be used.
    pub cpu_fallback: bool,
    /// By backend: `max_batch_size` of a model that can be batched and does not say how far. The empty name stands for
    /// every backend that is not listed.
    pub default_max_batch_size: BTreeMap<String, i32>,
    /// By the name that instance groups use.
    pub host_policies: BTreeMap<String, HostPolicy>,
    /// How many requests have to wait before a dynamic batcher executes any: a test hook, 0 is the normal case.
    pub delay_scheduler: usize,
    /// The same for sequences that wait in the backlog of a sequence batcher.
    pub backlog_delay_scheduler: usize,
    /// Whether it is counted who uses a model, so that idle ones can be told: models are evicted.
    pub count_uses: bool,
    /// Which latencies are kept of each model.
    pub latencies: LatencySettings,
}

impl LoadSettings {
    /// `max_batch_size` for a model of that backend which can be batched and does not say how far.
    pub fn default_max_batch_size(&self, backend: &str) -> i32 {
        let of = |name: &str| self.default_max_batch_size.get(name).copied();
        of(backend).or_else(|| of("")).unwrap_or(4)
    }
}

/// The backends, the machine and the settings.
#[derive(Debug)]
pub struct Context {
    pub backends: Backends,
    /// What defaults and placement depend on: what the backends say of themselves, and the devices.
    pub facts: DefaultFacts,
    pub settings: LoadSettings,
}

impl Context {
    pub fn new(backends: Backends, devices: &Devices, settings: LoadSettings) -> Context {
        let facts = default_facts(&backends, devices);
        Context { backends, facts, settings }
    }

    /// Whether the instances can be where the config places them.
    pub fn check_placement(&self, config: &ModelConfig) -> Result<()> {
        model_config::validate_placement(config, None, "config", &self.facts).map_err(|faults| {
            Error::invalid_arg(format!("{faults} (--cpu-fallback would run it on the CPU)"))
                .with_source(faults)
        })
    }

    /// The backend that the config names, for a model whose files are in `directories`.
    pub fn backend(
        &self,
        model: &str,
        config: &ModelConfig,
        directories: ModelDirectories<'_>,
    ) -> Result<Arc<dyn Backend>> {
        self.backends.find(&config.backend, directories).ok_or_else(|| {
            let (wanted, there) = (&config.backend, self.backends.names().collect::<Vec<_>>().join(", "));
            let error = Error::invalid_arg(if wanted.is_empty() {
                format!(
                    "unable to load model '{model}', its config names no backend and no model file tells which it is; \
                     add 'backend: \"NAME\"' with one of: {there}"
                )
            } else {
                format!("unable to load model '{model}', there is no backend '{wanted}'; there are: {there}")
            });
            let kind = FaultKind::UnknownBackend { wanted: wanted.clone() };
            about(error, "backend", if wanted.is_empty() { FaultKind::NoBackend } else { kind })
        })
    }

    /// Whether nothing fills in what the config leaves out, so that it has to be complete as it is written.
    pub fn is_final(&self, config: &ModelConfig) -> bool {
        let backend = self.backends.facts(&config.backend);
        model_config::is_ensemble(config)
            || self.settings.disable_auto_complete_config
            || backend.is_some_and(|backend| !backend.completes_configs)
    }
}

/// What configs are completed from: every backend's own facts, and the GPUs that were found.
fn default_facts(backends: &Backends, devices: &Devices) -> DefaultFacts {
    let gpus: Vec<Gpu> =
        devices.gpus().map(|gpu| Gpu { id: gpu.id, compute_capability: gpu.compute_capability }).collect();
    DefaultFacts {
        backends: backends.all_facts().map(|(name, facts)| (name.to_owned(), facts)).collect(),
        gpus: (!gpus.is_empty()).then_some(gpus),
    }
}

#[cfg(test)]
impl Context {
    /// No backend, no device, and the settings' defaults.
    pub(crate) fn for_tests() -> Context {
        Context::new(Backends::default(), &Devices::default(), LoadSettings::default())
    }
}
