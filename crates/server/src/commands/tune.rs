//! `hippocamp tune`: settings of a model, tried on this machine.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use hippocamp_bench::{TuneArgs, Tuned, tune};
use hippocamp_check::Draft;

use super::bench::{local, runtime};

/// Tunes a model with the arguments after the program's name.
pub(super) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    match tuned(&TuneArgs::parse_from(args)) {
        Ok(tuned) => {
            // Ignore a closed pipe: nobody reads the output any more.
            drop(std::io::stdout().write_all(tuned.table().as_bytes()));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            drop(writeln!(std::io::stderr(), "hippocamp tune: {failure:#}"));
            ExitCode::FAILURE
        }
    }
}

fn tuned(args: &TuneArgs) -> anyhow::Result<Tuned> {
    let draft =
        Draft::new(&args.model_repository, &args.model).context("the model's config cannot be tried")?;
    let repositories = draft.as_ref().map_or(args.model_repository.as_slice(), Draft::roots);
    let place = local::Place {
        repositories,
        model: &args.model,
        backend_config: &args.backend_config,
        backend_directory: args.backend_directory.as_deref(),
        cpu_fallback: args.cpu_fallback,
    };
    runtime()?.block_on(async {
        let server = local::start_with(place).await.map_err(|failure| match &draft {
            Some(draft) => anyhow!(draft.with_real_paths(&format!("{failure:#}"))),
            None => failure,
        })?;
        let tuned = tune(args, &server, draft.as_ref()).await;
        local::end(&server).await;
        Ok(tuned?)
    })
}
