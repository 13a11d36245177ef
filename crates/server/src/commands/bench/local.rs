//! The model in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use hippocamp_bench::BenchArgs;
use hippocamp_core::{ControlMode, InferenceServer};

use crate::args::BackendConfig;
use crate::commands::model_args;
use crate::{backends, logging, run};

/// A model in this process, as the command line says.
#[derive(Clone, Copy, Debug)]
pub(in crate::commands) struct Place<'a> {
    pub(in crate::commands) repositories: &'a [PathBuf],
    pub(in crate::commands) model: &'a str,
    /// `--backend-config`.
    pub(in crate::commands) backend_config: &'a [String],
    /// `--backend-directory`.
    pub(in crate::commands) backend_directory: Option<&'a Path>,
    /// `--cpu-fallback`.
    pub(in crate::commands) cpu_fallback: bool,
}

/// How long instances may take to end.
const ENDING: Duration = Duration::from_secs(30);

/// Ends what was started. The processes of models in Python would hold the pipes of this one open, and whoever reads these to their end, and
/// then asks for the status of this process, would wait for ever: they end once it is gone, and it is not gone before that.
pub(in crate::commands) async fn end(server: &InferenceServer) {
    server.stop(ENDING).await;
}

/// A server without ports that has loaded the model.
pub(super) async fn start(args: &BenchArgs) -> anyhow::Result<Arc<InferenceServer>> {
    let place = Place {
        repositories: &args.model_repository,
        model: args.model(),
        backend_config: &args.backend_config,
        backend_directory: args.backend_directory.as_deref(),
        cpu_fallback: args.cpu_fallback,
    };
    start_with(place).await
}

/// A server without ports that has loaded the model of a place.
pub(in crate::commands) async fn start_with(place: Place<'_>) -> anyhow::Result<Arc<InferenceServer>> {
    let mut server_args = model_args(place.repositories);
    for setting in place.backend_config {
        let setting =
            setting.parse::<BackendConfig>().map_err(|why| anyhow!("--backend-config={setting}: {why}"))?;
        server_args.models.backend_config.push(setting);
    }
    if let Some(directory) = place.backend_directory {
        directory.clone_into(&mut server_args.models.backend_directory);
    }
    server_args.instances.cpu_fallback = place.cpu_fallback;
    // What fails is told once, by the command.
    (server_args.logging.log_warning, server_args.logging.log_error) = (false, false);
    logging::init(&server_args.logging)?;
    let mut settings = run::settings(&server_args)?;
    settings.control_mode = ControlMode::Explicit;
    settings.load_models = vec![place.model.to_owned()];
    let backends = backends::all(&server_args, &settings.devices)?;
    let server = InferenceServer::new(settings, backends);
    let faults = server.load_repositories().await;
    if !faults.is_empty() {
        bail!("the model cannot be loaded: {}", faults.join("\n"));
    }
    server.begin_serving();
    Ok(server)
}
