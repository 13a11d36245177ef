//! What a load would find wrong with a model. First all that can be told without its engine, at once; then what a start of
//! the server really meets.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::{Backend, ModelSource, Result};
use hippocamp_loading::{Context, ModelCheck, model_file};
use hippocamp_model_config::ModelConfig;
use hippocamp_repository::ModelFolder;

use crate::{InferenceServer, Settings, StartFault};

/// How long instances may take to end after a dry run.
const ENDING: Duration = Duration::from_secs(30);

/// Takes the steps of a start, without a port: every model is loaded with its instances, warm-up and all, and let go.
/// Returns what would keep the server from starting.
pub fn dry_run(settings: &Settings, backends: &[Arc<dyn Backend>]) -> io::Result<Vec<StartFault>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let server = InferenceServer::new(settings.clone(), backends.to_vec());
    let faults = runtime.block_on(server.start_models());
    runtime.block_on(server.stop(ENDING));
    Ok(faults)
}

/// Takes all steps of a load up to the model files and tells all that is wrong. Opens no model file.
pub fn check_model(settings: &Settings, backends: &[Arc<dyn Backend>], folder: &ModelFolder) -> ModelCheck {
    let backends = backends.iter().cloned().collect();
    let context = Context::new(backends, &settings.devices, settings.loading());
    hippocamp_loading::check_model(&context, folder)
}

/// A config for a model file that has none: what the file tells, nothing of this machine.
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
