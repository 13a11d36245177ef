//! The backend `tensorflow`.

use hippocamp_backend::{
    Backend, BackendFacts, GpuSupport, Model, ModelFormat, ModelSource, Result, WithoutGpu,
};
use hippocamp_model_config::ModelConfig;

use crate::Settings;
use crate::model::TensorFlowModel;
use crate::model_file::{GRAPHDEF, GRAPHDEF_FILE, ModelFile, SAVED_MODEL, SAVED_MODEL_FOLDER};
use crate::options::Options;
use crate::runtime::runtime;

/// The backend that runs TensorFlow's graphs. Creating it is cheap: the library is opened when the first model is loaded.
#[derive(Debug)]
pub struct TensorFlowBackend {
    settings: Settings,
}

impl TensorFlowBackend {
    /// Creates the backend. A process has one TensorFlow: that of the first backend that loads a model.
    pub fn new(settings: Settings) -> TensorFlowBackend {
        TensorFlowBackend { settings }
    }
}

impl Backend for TensorFlowBackend {
    fn name(&self) -> &'static str {
        "tensorflow"
    }

    fn facts(&self) -> BackendFacts {
        BackendFacts {
            formats: &[
                ModelFormat { platform: GRAPHDEF, filename: GRAPHDEF_FILE },
                ModelFormat { platform: SAVED_MODEL, filename: SAVED_MODEL_FOLDER },
            ],
            format_is_named: true,
            cpu_instances: 2,
            gpus: GpuSupport::None,
            without_gpu: if self.settings.allow_soft_placement {
                WithoutGpu::OnCpu
            } else {
                WithoutGpu::Refused
            },
            ..BackendFacts::PLAIN
        }
    }

    fn available(&self) -> Result<()> {
        runtime(&self.settings).map(drop)
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let options = Options::of(&source.name, &source.config)?;
        let file = ModelFile::find(source)?;
        let library = runtime(&self.settings)?;
        Ok(Box::new(TensorFlowModel::load(library, source, file, options, self.settings.clone())?))
    }

    fn shares_files(&self, config: &ModelConfig) -> bool {
        Options::of(&config.name, config).is_ok_and(|options| options.session_share_count.is_none())
    }
}
