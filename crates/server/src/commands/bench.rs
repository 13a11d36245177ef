//! `hippocamp bench`: the load generator.

mod local;
mod served;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use hippocamp_bench::{BenchArgs, Local, Report, bench, server_of_url};

/// Runs the load generator with the arguments after the program's name.
pub(super) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    // Ignore a closed pipe: nobody reads the output any more.
    match measure(&BenchArgs::parse_from(args)) {
        Ok(report) => {
            drop(std::io::stdout().write_all(report.table().as_bytes()));
            if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(failure) => {
            drop(writeln!(std::io::stderr(), "hippocamp bench: {failure:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &BenchArgs) -> anyhow::Result<Report> {
    // Each request under way may have a connection of its own.
    hippocamp_net::open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if !args.local {
            return Ok(bench(args, None).await?);
        }
        let server = local::start(args).await?;
        if let Some(place) = server_of_url(args) {
            return Ok(bench(args, Some(&Local { server, served: vec![place] })).await?);
        }
        let beside = served::Served::start(args)?;
        Ok(bench(args, Some(&Local { server, served: beside.places.clone() })).await?)
    })
}
