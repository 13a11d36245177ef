//! Checks models without serving them: the static checks of one model, which open no model file, and a dry run of the
//! server's start, which loads all models.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::{Backend, ModelSource, Result};
use hippocamp_loading::{Context, ModelCheck, model_file};
use hippocamp_model_config::ModelConfig;
use hippocamp_repository::ModelFolder;

use crate::{InferenceServer, Settings, StartFault};

/// How long a dry run waits for instances to end.
const ENDING: Duration = Duration::from_secs(30);

/// Runs a start of the server without opening ports: loads every model with its instances and warm-up, then unloads it.
/// Returns the faults that would keep the server from starting.
pub fn dry_run(settings: &Settings, backends: &[Arc<dyn Backend>]) -> io::Result<Vec<StartFault>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let server = InferenceServer::new(settings.clone(), backends.to_vec());
    let faults = runtime.block_on(server.start_models());
    runtime.block_on(server.stop(ENDING));
    Ok(faults)
}

/// Runs all steps of a load that do not open model files, and returns all faults that they find.
pub fn check_model(settings: &Settings, backends: &[Arc<dyn Backend>], folder: &ModelFolder) -> ModelCheck {
    let backends = backends.iter().cloned().collect();
    let context = Context::new(backends, &settings.devices, settings.loading());
    hippocamp_loading::check_model(&context, folder)
}

/// Derives a config from a model file, without defaults that depend on this machine.
///
/// # Errors
/// That of the backend: it cannot read the file, or the file says too little.
pub fn describe(
    settings: &Settings,
    backend: &Arc<dyn Backend>,
    name: &str,
    file: &Path,
) -> Result<ModelConfig> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
    let filename = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut config = ModelConfig {
        backend: backend.name().to_owned(),
        default_model_filename: filename,
        ..ModelConfig::default()
    };
    let loaded = backend.load(&ModelSource {
        name: name.into(),
        version: 1,
        model_directory: folder.clone(),
        version_directory: folder.clone(),
        config: Arc::new(config.clone()),
    });
    let model = loaded.map_err(|error| model_file::explained(error, &folder, &config))?;
    model.complete_config(&mut config, settings.loading().default_max_batch_size(backend.name()))?;
    model.check_config(&config)?;
    Ok(config)
}
