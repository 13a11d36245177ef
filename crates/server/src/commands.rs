//! What the binary does instead of serving: the first argument says so. One line a subcommand.

mod check;
mod config;
mod infer;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Runs the subcommand that the arguments name. `None` if they name none: then it is the server that is meant.
pub(crate) fn run(args: &[OsString]) -> Option<ExitCode> {
    let outcome = match args.get(1)?.to_str()? {
        "check" => check::run(&args[2..]),
        "config" => config::run(&args[2..]),
        "infer" => return infer::run(args.iter().skip(1).cloned()),
        _ => return None,
    };
    Some(outcome.unwrap_or_else(|error| fail(&error, 2)))
}

/// Says on standard error why the program ends: the log may not have been started.
pub(crate) fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    drop(writeln!(std::io::stderr(), "error: {error:#}"));
    ExitCode::from(status)
}

/// The arguments of a subcommand, behind the name that its help calls it by.
fn named(name: &str, args: &[OsString]) -> impl Iterator<Item = OsString> {
    std::iter::once(name.into()).chain(args.iter().cloned())
}

/// Prints the result. A reader that went away is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// The server's arguments with only what is about models and backends set.
fn model_args(repositories: &[std::path::PathBuf]) -> crate::args::Args {
    use clap::Parser;

    let mut args = crate::args::Args::parse_from(["hippocamp", "--model-repository=.", "--log-info=false"]);
    args.models.model_repository = repositories.to_vec();
    args
}
