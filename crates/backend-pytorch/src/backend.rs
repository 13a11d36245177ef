//! The backend `pytorch`.

use hippocamp_backend::{Backend, BackendFacts, GpuSupport, Model, ModelFormat, ModelSource, Result};
use hippocamp_model_config::ModelConfig;

use crate::Settings;
use crate::model::PyTorchModel;
use crate::model_file::{self, PACKAGE, PACKAGE_FILE, TORCHSCRIPT, TORCHSCRIPT_FILE};
use crate::options::Options;
use crate::runtime::runtime;

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
            cpu_instances: 2,
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
