//! `hippocamp bench`: the load generator.

pub(super) mod local;
mod served;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use hippocamp_bench::{BenchArgs, Local, Report, bench, compare, server_of_url};
use hippocamp_core::InferenceServer;

/// Runs the load generator with the arguments after the program's name.
pub(super) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    // Ignore a closed pipe: nobody reads the output any more.
    let args = BenchArgs::parse_from(args);
    if !args.compare.is_empty() {
        return compared(&args);
    }
    match measure(&args) {
        Ok((table, has_failures)) => {
            drop(std::io::stdout().write_all(table.as_bytes()));
            if has_failures { ExitCode::FAILURE } else { ExitCode::SUCCESS }
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

/// Measures the model in this process, and the same models where they are served.
async fn beside(args: &BenchArgs, server: &Arc<InferenceServer>) -> anyhow::Result<Report> {
    let server = Arc::clone(server);
    if let Some(place) = server_of_url(args) {
        return Ok(bench(args, Some(&Local { server, served: vec![place] })).await?);
    }
    let child = served::Served::start(args)?;
    Ok(bench(args, Some(&Local { server, served: child.places.clone() })).await?)
}

/// The results as text, and whether something failed.
fn measure(args: &BenchArgs) -> anyhow::Result<(String, bool)> {
    let told = |report: Report| (report.table(), report.has_failures());
    runtime()?.block_on(async {
        if !args.local {
            return Ok(told(bench(args, None).await?));
        }
        let server = local::start(args).await?;
        // The report holds the model, which does not end before.
        let results = beside(args, &server).await.map(told);
        local::end(&server).await;
        results
    })
}
