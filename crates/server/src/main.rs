//! `hippocamp`: serves a model repository to Triton's clients.
//!
//! Reads the flags, connects backends, server and protocols, and waits for a signal. Nothing else belongs here.
//! Subcommands such as `hippocamp infer` are in [`commands`].

mod allocator;
mod args;
mod backends;
mod commands;
mod console;
#[cfg(any(feature = "onnxruntime", feature = "tensorflow", feature = "pytorch"))]
mod engine;
mod listeners;
mod logging;
mod observing;
#[cfg(any(feature = "onnxruntime", feature = "tensorrt", feature = "tensorflow", feature = "pytorch"))]
mod python;
mod reload;
mod repositories;
mod run;
mod signals;
#[cfg(feature = "tensorrt")]
mod tensorrt;
mod test_hooks;
mod threads;
mod torchserve;
#[cfg(feature = "triton")]
mod triton;
mod unix_socket;
mod version;

use std::process::ExitCode;

use anyhow::Context;

use crate::args::Args;
use crate::logging::Log;

fn main() -> ExitCode {
    let args = args::without_tritonserver(std::env::args_os().collect());
    if let Some(code) = commands::run(&args) {
        return code;
    }
    let (known, others) = args::other_flags::sort(args);
    let others = others.unwrap_or_else(|refused| args::refuse(&refused));
    let args = args::parse(known);
    let log = match logging::init(&args.logging) {
        Ok(log) => log,
        Err(error) => return commands::fail(&error, 1),
    };
    // The reason of the exit is also printed if errors are not logged.
    let errors_are_logged = args.logging.log_error;
    match start(args, log, &others) {
        Ok(code) => code,
        Err(error) if errors_are_logged => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
        Err(error) => commands::fail(&error, 1),
    }
}

fn start(args: Args, log: Log, warnings: &[String]) -> anyhow::Result<ExitCode> {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let runtime = threads::runtime().context("failed to start the runtime")?;
    let code = runtime.block_on(run::run(args, log));
    // Tasks that still run do not delay the exit: the requests that were to finish have finished.
    runtime.shutdown_background();
    code
}
