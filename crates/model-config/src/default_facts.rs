//! The properties of backends and GPUs that the defaults of a config depend on.

use std::collections::BTreeMap;

use hippocamp_interface::{BackendFacts, GpuSupport, ModelFormat};
use hippocamp_proto::inference::ModelConfig;

use crate::triton_backends::TRITON_BACKENDS;

/// The backends and GPUs of this server.
#[derive(Clone, Debug, Default)]
pub struct DefaultFacts {
    /// The properties of each backend, by its name.
    pub backends: BTreeMap<String, BackendFacts>,
    /// Which GPUs the backends can use that are not among these, such as libraries that models or folders bring.
    pub foreign_gpus: Option<GpuSupport>,
    /// The GPUs of this machine, in the order of their ids; `None` if this server cannot reach any.
    pub gpus: Option<Vec<Gpu>>,
}

/// A GPU that instances may be placed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// The number of the GPU in configs.
    pub id: i32,
    /// Its compute capability, major and minor.
    pub compute_capability: (u32, u32),
}

/// A format with the backend that runs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackendFormat<'a> {
    pub(crate) backend: &'a str,
    pub(crate) facts: BackendFacts,
    pub(crate) format: &'static ModelFormat,
}

impl DefaultFacts {
    /// The properties of the backend of that name; the defaults if the backend is unknown.
    pub(crate) fn backend(&self, name: &str) -> BackendFacts {
        self.backends.get(name).copied().unwrap_or_else(|| {
            let known = TRITON_BACKENDS.iter().find(|(known, _)| *known == name);
            let facts = known.map_or(BackendFacts::PLAIN, |(_, facts)| *facts);
            BackendFacts { gpus: self.foreign_gpus.unwrap_or(facts.gpus), ..facts }
        })
    }

    /// The formats of all backends, first of those that are there. One that names no format has those of Triton's backend of
    /// its name.
    pub(crate) fn formats(&self) -> impl Iterator<Item = BackendFormat<'_>> {
        let there = self.backends.iter().map(|(name, facts)| (name.as_str(), *facts));
        let says = |name: &str| self.backends.get(name).is_some_and(|facts| !facts.formats.is_empty());
        let missing = TRITON_BACKENDS.iter().copied().filter(move |(name, _)| !says(name));
        there.chain(missing).flat_map(|(backend, facts)| {
            facts.formats.iter().map(move |format| BackendFormat { backend, facts, format })
        })
    }

    /// Which GPUs the backend of a model can use. A library that the config names takes the place of a backend of that name.
    fn gpu_support(&self, config: &ModelConfig) -> GpuSupport {
        let foreign = self.foreign_gpus.filter(|_| !config.runtime.is_empty());
        foreign.unwrap_or_else(|| self.backend(&config.backend).gpus)
    }

    /// Whether a model can be on a GPU here at all, whatever GPUs there are.
    pub(crate) fn supports_gpus(&self, config: &ModelConfig) -> bool {
        self.gpus.is_some() && self.gpu_support(config) != GpuSupport::None
    }

    /// The ids of the GPUs that a model can be on, ascending.
    pub(crate) fn gpus_for(&self, config: &ModelConfig) -> Vec<i32> {
        let support = self.gpu_support(config);
        let gpus = self.gpus.iter().flatten();
        gpus.filter(|gpu| support.includes(gpu.compute_capability)).map(|gpu| gpu.id).collect()
    }
}

#[cfg(test)]
impl DefaultFacts {
    /// GPUs of these ids, and a backend that can use them all.
    pub(crate) fn with_gpus(backend: &str, gpus: &[i32]) -> DefaultFacts {
        let gpus = gpus.iter().map(|&id| Gpu { id, compute_capability: (9, 0) }).collect();
        let mut facts = DefaultFacts::default();
        let usual = facts.backend(backend);
        facts.backends.insert(backend.to_owned(), BackendFacts { gpus: GpuSupport::From(0, 0), ..usual });
        DefaultFacts { gpus: Some(gpus), ..facts }
    }
}
