//! The subcommands of the binary, one line each.

mod archive;
#[cfg(feature = "client")]
mod bench;
mod check;
mod completions;
mod config;
mod infer;
mod migrate;
#[cfg(feature = "tensorrt")]
mod plan;
mod top;
#[cfg(feature = "client")]
mod tune;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Runs the subcommand that the first argument names; `None` if it names none, so that the server is to start.
pub(crate) fn run(args: &[OsString]) -> Option<ExitCode> {
    let outcome = match args.get(1)?.to_str()? {
        "archive" => archive::run(&args[2..]),
        "check" => check::run(&args[2..]),
        "completions" => completions::completions(&args[2..]),
        "config" => config::run(&args[2..]),
        "man" => completions::manual(&args[2..]),
        "migrate" => migrate::run(&args[2..]),
        "top" => top::run(&args[2..]),
        #[cfg(feature = "client")]
        "bench" => return Some(bench::run(args.iter().skip(1).cloned())),
        #[cfg(feature = "client")]
        "tune" => return Some(tune::run(args.iter().skip(1).cloned())),
        #[cfg(feature = "tensorrt")]
        "plan" => return Some(plan::run(args.iter().skip(1).cloned())),
        "infer" => return infer::run(args.iter().skip(1).cloned()),
        "help" => return Some(help(args)),
        word if !word.starts_with('-') => Err(unknown(word)),
        _ => return None,
    };
    Some(outcome.unwrap_or_else(|error| fail(&error, 2)))
}

/// `hippocamp help`, which many programs have, is `hippocamp --help`; of a command, `hippocamp COMMAND --help`.
fn help(args: &[OsString]) -> ExitCode {
    let asked: Vec<OsString> =
        args.iter().take(1).chain(args.get(2)).cloned().chain(["--help".into()]).collect();
    run(&asked).unwrap_or_else(|| {
        let _help = crate::args::parse(asked);
        ExitCode::SUCCESS
    })
}

/// The server takes no words without `--`: whoever writes one means a command.
#[cold]
fn unknown(word: &str) -> anyhow::Error {
    let names = completions::names().join(", ");
    anyhow::anyhow!(
        "hippocamp has no command '{word}'. Without one it serves: hippocamp --model-repository=FOLDER. The commands are \
         {names}; hippocamp --help tells what each does"
    )
}

/// Prints an error on standard error and returns the exit status; the log may not have been started yet.
pub(crate) fn fail(error: &anyhow::Error, status: u8) -> ExitCode {
    drop(writeln!(std::io::stderr(), "error: {error:#}"));
    ExitCode::from(status)
}

/// The arguments of a subcommand, preceded by the name that its help shows.
fn named(name: &str, args: &[OsString]) -> impl Iterator<Item = OsString> {
    std::iter::once(name.into()).chain(args.iter().cloned())
}

/// Prints the result. A closed pipe is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// The server's arguments with only the settings of models and backends.
fn model_args(repositories: &[std::path::PathBuf]) -> crate::args::Args {
    use clap::Parser;

    let mut args = crate::args::Args::parse_from(["hippocamp", "--model-repository=.", "--log-info=false"]);
    args.models.model_repository = repositories.to_vec();
    args
}
