//! `hippocamp tune`: settings of a model, tried on this machine.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use hippocamp_bench::{TuneArgs, Tuned, tune};

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
    runtime()?.block_on(async {
        let server = local::start_with(&args.model_repository, &args.model).await?;
        Ok(tune(args, &server).await?)
    })
}
