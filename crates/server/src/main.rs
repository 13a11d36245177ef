//! `hippocamp`: serves a model repository to Triton's clients.
//!
//! Reads the flags, wires backends, server and protocols together, and waits for a signal. Nothing else belongs here.
//! What the executable does besides, such as `hippocamp infer`, is in [`commands`].

mod allocator;
mod args;
mod backends;
mod commands;
mod listeners;
mod logging;
mod repositories;
mod run;
mod signals;
mod test_hooks;
mod threads;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use crate::args::Args;

fn main() -> ExitCode {
    if let Some(code) = commands::run(std::env::args_os()) {
        return code;
    }
    let (known, others) = args::other_flags::sort(std::env::args_os());
    let others = others.unwrap_or_else(|refused| args::refuse(&refused));
    let args = Args::parse_from(known);
    match start(args, &others) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: Args, warnings: &[String]) -> anyhow::Result<ExitCode> {
    logging::init(&args.logging)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let runtime = threads::runtime(threads::cores()).context("failed to start the I/O threads")?;
    let code = runtime.block_on(run::run(args));
    // Nothing that still runs holds up the exit: what was promised to finish has finished.
    runtime.shutdown_background();
    code
}
