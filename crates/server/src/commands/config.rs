//! `hippocamp config`: prints a config.pbtxt for a model file.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory, Parser};
use hippocamp_check::config_text;
use hippocamp_core::describe;

use super::{model_args, named, print};
use crate::args::BackendConfig;
use crate::{backends, logging, run};

/// Prints the config.pbtxt that a model file gets if it has none, to be kept beside it and changed: inputs and outputs
/// with types and shapes, and whether requests can be batched.
#[derive(Debug, Parser)]
#[command(
    name = "hippocamp config",
    max_term_width = 110,
    after_help = "Example:\n  \
        hippocamp config resnet50.onnx > /models/resnet50/config.pbtxt"
)]
struct ConfigArgs {
    /// The model file.
    #[arg(value_name = "MODEL.onnx")]
    model: PathBuf,

    /// The model's name. Left out it is that of the folder that the config will be in.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// The largest batch, if the model can be batched; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 4)]
    max_batch_size: u32,

    /// A setting of a backend, as for the server: onnxruntime,library=PATH.
    #[arg(long, value_name = "[BACKEND,]KEY=VALUE")]
    backend_config: Vec<BackendConfig>,
}

/// The command for completions and the manual.
pub(super) fn command() -> Command {
    ConfigArgs::command()
}

pub(super) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let given = ConfigArgs::parse_from(named("hippocamp config", args));
    let mut args = model_args(&[]);
    args.models.backend_config = given.backend_config;
    // Warnings of the engine about the file are shown when it is served.
    args.logging.log_warning = false;
    logging::init(&args.logging)?;
    let mut settings = run::settings(&args)?;
    let size = i32::try_from(given.max_batch_size).context("--max-batch-size is too large")?;
    settings.default_max_batch_size.insert(String::new(), size);
    let path = given.model.display().to_string();
    let extension = given.model.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let wanted = match extension {
        "onnx" => "onnxruntime",
        _ => anyhow::bail!("'{path}' is no model file that is known: expected a name that ends with .onnx"),
    };
    let backends = backends::all(&args, &settings.devices)?;
    let backend = backends.iter().find(|backend| backend.name() == wanted);
    let backend = backend.with_context(|| format!("this build is without the backend {wanted}"))?;
    let stem = given.model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = given.name.as_deref().unwrap_or(&stem);
    let mut config = describe(&settings, backend, name, &given.model)?;
    config.name = given.name.clone().unwrap_or_default();
    let origin = given.model.file_name().unwrap_or_default().to_string_lossy().into_owned();
    print(&config_text(config, &origin).1)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        ConfigArgs::command().debug_assert();
    }
}
