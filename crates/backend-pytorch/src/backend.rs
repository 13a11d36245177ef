//! The backend `pytorch`.

use std::thread::available_parallelism;

use hippocamp_backend::{Backend, BackendFacts, GpuSupport, Model, ModelFormat, ModelSource, Result};
use hippocamp_model_config::ModelConfig;

use crate::Settings;
use crate::model::PyTorchModel;
use crate::model_file::{self, PACKAGE, PACKAGE_FILE, TORCHSCRIPT, TORCHSCRIPT_FILE};
use crate::options::Options;
use crate::runtime::runtime;

/// The instances of a model whose config gives no number. The CPUs are divided among them (`PyTorchModel::threads`): a few requests at
/// once are executed beside each other, which takes less than one after the other with all CPUs each, and one alone still has some.
fn default_instances(cpus: usize) -> i32 {
    if cpus < 4 { 2 } else { 4 }
}

/// The backend that runs TorchScript models. Creating it is cheap: the library is opened when the first model is loaded.
#[derive(Debug)]
pub struct PyTorchBackend {
    settings: Settings,
}

impl PyTorchBackend {
    /// Creates the backend. A process has one PyTorch: that of the first backend that loads a model.
    pub fn new(settings: Settings) -> PyTorchBackend {
        PyTorchBackend { settings }
    }
}

impl Backend for PyTorchBackend {
    fn name(&self) -> &'static str {
        "pytorch"
    }

    fn facts(&self) -> BackendFacts {
        BackendFacts {
            formats: &[
                ModelFormat { platform: TORCHSCRIPT, filename: TORCHSCRIPT_FILE },
                ModelFormat { platform: "libtorch", filename: TORCHSCRIPT_FILE },
                ModelFormat { platform: PACKAGE, filename: PACKAGE_FILE },
            ],
            // A file names the arguments of its model, but not their types and shapes.
            completes_configs: false,
            cpu_instances: default_instances(available_parallelism().map_or(1, Into::into)),
            gpus: GpuSupport::None,
            ..BackendFacts::PLAIN
        }
    }

    fn available(&self) -> Result<()> {
        runtime(&self.settings).map(drop)
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let options = Options::of(&source.name, &source.config)?;
        let file = model_file::find(source)?;
        let library = runtime(&self.settings)?;
        Ok(Box::new(PyTorchModel::load(library, source, file, options, self.settings.clone())?))
    }

    fn shares_files(&self, config: &ModelConfig) -> bool {
        Options::of(&config.name, config).is_ok_and(|options| options.weight_sharing != Some(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_and_their_threads_are_as_many_as_the_cpus() {
        let divided = [1, 2, 3, 4, 8, 16].map(|cpus| {
            let instances = default_instances(cpus);
            (instances, (cpus / instances as usize).max(1))
        });
        assert_eq!(divided, [(2, 1), (2, 1), (2, 1), (4, 1), (4, 2), (4, 4)]);
    }
}
