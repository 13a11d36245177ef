//! The backend `onnxruntime`.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use hippocamp_backend::{
    Backend, BackendFacts, Device, Error, GpuSupport, Model, ModelFormat, ModelSource, Result,
};
use hippocamp_model_config::ModelConfig;
use tracing::{info, warn};

use crate::Settings;
use crate::cuda_libraries::has_provider;
use crate::model::{OnnxModel, placement};
use crate::options::Options;
use crate::runtime::runtime;
use crate::sessions::can_be_shared;

/// The file that is loaded if the config names none.
const DEFAULT_FILE: &str = "model.onnx";

/// The backend that runs ONNX models. Creating it is cheap: the library is opened when the first model is loaded.
#[derive(Debug)]
pub struct OnnxRuntimeBackend {
    settings: Settings,
}

impl OnnxRuntimeBackend {
    /// Creates the backend. A process has one ONNX Runtime, for which the settings of the first backend that loads a
    /// model apply.
    pub fn new(settings: Settings) -> OnnxRuntimeBackend {
        OnnxRuntimeBackend { settings }
    }
}

impl Backend for OnnxRuntimeBackend {
    fn name(&self) -> &'static str {
        "onnxruntime"
    }

    fn facts(&self) -> BackendFacts {
        let library = self.settings.library.now();
        let has_gpus = self.settings.devices.gpus().next().is_some();
        match has_provider(library) {
            false if has_gpus && library.is_file() => warn!(
                "ONNX models run on the CPU, although there are GPUs: '{}' has no CUDA provider beside it. Get one with 'pip install \
                 onnxruntime-gpu', and name its library with HIPPOCAMP_ONNXRUNTIME_LIBRARY",
                library.display()
            ),
            // The image for CUDA that was started without its GPUs, above all.
            true if !has_gpus => info!(
                "ONNX models run on the CPU: '{}' has a CUDA provider beside it, and no GPU was found. That takes NVIDIA's driver \
                 (libcuda.so.1), and in a container '--gpus all'",
                library.display()
            ),
            _ => {}
        }
        BackendFacts {
            formats: &[ModelFormat { platform: "onnxruntime_onnx", filename: DEFAULT_FILE }],
            cpu_instances: 2,
            // The loaded library knows for which GPUs it has kernels. One for the CPU alone has no provider beside it, so that
            // instances of KIND_AUTO are on the CPU; one of KIND_GPU is refused when it is loaded.
            gpus: if has_provider(library) { GpuSupport::From(0, 0) } else { GpuSupport::None },
            ..BackendFacts::PLAIN
        }
    }

    fn available(&self) -> Result<()> {
        runtime(&self.settings).map(drop)
    }

    fn load(&self, source: &ModelSource) -> Result<Box<dyn Model>> {
        let options = Options::of(&source.name, &source.config)?.with_libraries(source, &self.settings)?;
        let file = model_file(source)?;
        let runtime = runtime(&self.settings)?;
        let model = OnnxModel::load(
            Arc::clone(&source.name),
            file,
            options,
            runtime,
            self.settings.clone(),
            &source.config,
        )?;
        Ok(Box::new(model))
    }

    fn shares_files(&self, config: &ModelConfig) -> bool {
        let on_cpu = config.instance_group.iter().all(|group| group.gpus.is_empty());
        let shared = Options::of(&config.name, config)
            .map(|options| can_be_shared(&options, placement(&self.settings, &options, config, Device::Cpu)));
        on_cpu && shared.unwrap_or(false)
    }
}

/// The file to load; an error if it does not exist. As in Triton it may be in a folder of its own, together with the
/// files that it refers to.
fn model_file(source: &ModelSource) -> Result<PathBuf> {
    let name = match source.config.default_model_filename.as_str() {
        "" => DEFAULT_FILE,
        name => name,
    };
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) || name.contains('\0') {
        return Err(Error::invalid_arg(format!(
            "unable to load model '{}', default_model_filename was expected to name a file in the version's folder, got \
             '{name}'",
            source.name
        )));
    }
    let mut file = source.version_directory.join(name);
    if file.is_dir() {
        file.push(DEFAULT_FILE);
    }
    match std::fs::metadata(&file) {
        Ok(metadata) if metadata.is_file() => Ok(file),
        Ok(_) => {
            Err(Error::internal(format!("'{}' of model '{}' is not a file", file.display(), source.name)))
        }
        Err(error) => {
            Err(Error::internal(format!("failed to stat file {}", file.display())).with_source(error))
        }
    }
}
