//! `hippocamp bench`: the load generator.

pub(super) mod local;
mod served;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use hippocamp_bench::{BenchArgs, Local, Report, bench, compare, server_of_url};

/// Runs the load generator with the arguments after the program's name.
pub(super) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    // Ignore a closed pipe: nobody reads the output any more.
    let args = BenchArgs::parse_from(args);
    if !args.compare.is_empty() {
        return compared(&args);
    }
    match measure(&args) {
        Ok(report) => {
            drop(std::io::stdout().write_all(report.table().as_bytes()));
            if report.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(failure) => failed(&failure),
    }
}

/// Compares two models.
fn compared(args: &BenchArgs) -> ExitCode {
    let comparison = runtime().and_then(|runtime| Ok(runtime.block_on(compare(args))?));
    match comparison {
        Ok(comparison) => {
            drop(std::io::stdout().write_all(comparison.table().as_bytes()));
            if comparison.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &anyhow::Error) -> ExitCode {
    drop(writeln!(std::io::stderr(), "hippocamp bench: {failure:#}"));
    ExitCode::FAILURE
}

pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    // Each request under way may have a connection of its own.
    hippocamp_net::open_files();
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn measure(args: &BenchArgs) -> anyhow::Result<Report> {
    runtime()?.block_on(async {
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
