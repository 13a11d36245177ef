//! The model in this process.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use hippocamp_bench::BenchArgs;
use hippocamp_core::{ControlMode, InferenceServer};

use crate::commands::model_args;
use crate::{backends, logging, run};

/// A server without ports that has loaded the model.
pub(super) async fn start(args: &BenchArgs) -> anyhow::Result<Arc<InferenceServer>> {
    start_with(&args.model_repository, args.model()).await
}

/// A server without ports that has loaded a model of these repositories.
pub(in crate::commands) async fn start_with(
    repositories: &[PathBuf],
    model: &str,
) -> anyhow::Result<Arc<InferenceServer>> {
    let server_args = model_args(repositories);
    logging::init(&server_args.logging)?;
    let mut settings = run::settings(&server_args)?;
    settings.control_mode = ControlMode::Explicit;
    settings.load_models = vec![model.to_owned()];
    let backends = backends::all(&server_args, &settings.devices)?;
    let server = InferenceServer::new(settings, backends);
    let faults = server.load_repositories().await;
    if !faults.is_empty() {
        bail!("the model cannot be loaded: {}", faults.join("\n"));
    }
    server.begin_serving();
    Ok(server)
}
