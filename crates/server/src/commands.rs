//! The subcommands of the binary, one line each.

mod archive;
#[cfg(feature = "client")]
mod bench;
mod check;
mod completions;
mod config;
#[cfg(feature = "client")]
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

use clap::Command;
#[cfg(any(feature = "client", feature = "tensorrt"))]
use clap::CommandFactory;

/// A subcommand.
struct Subcommand {
    name: &'static str,
    /// Its command line, for completions and the manual.
    command_line: fn() -> Command,
    /// Runs it with the arguments from its name on.
    run: fn(&[OsString]) -> anyhow::Result<ExitCode>,
}

/// All subcommands, in the order of their names. What is run, completed and described is read from here.
static ALL: &[Subcommand] = &[
    Subcommand { name: "archive", command_line: archive::command, run: |args| archive::run(&args[1..]) },
    #[cfg(feature = "client")]
    Subcommand {
        name: "bench",
        command_line: hippocamp_bench::BenchArgs::command,
        run: |args| Ok(bench::run(args.iter().cloned())),
    },
    Subcommand { name: "check", command_line: check::command, run: |args| check::run(&args[1..]) },
    Subcommand {
        name: "completions",
        command_line: completions::command,
        run: |args| completions::completions(&args[1..]),
    },
    Subcommand { name: "config", command_line: config::command, run: |args| config::run(&args[1..]) },
    #[cfg(feature = "client")]
    Subcommand {
        name: "infer",
        command_line: hippocamp_client::InferArgs::command,
        run: |args| Ok(infer::run(args.iter().cloned())),
    },
    Subcommand {
        name: "man",
        command_line: completions::manual_command,
        run: |args| completions::manual(&args[1..]),
    },
    Subcommand { name: "migrate", command_line: migrate::command, run: |args| migrate::run(&args[1..]) },
    #[cfg(feature = "tensorrt")]
    Subcommand {
        name: "plan",
        command_line: hippocamp_tensorrt_plan::PlanArgs::command,
        run: |args| Ok(plan::run(args.iter().cloned())),
    },
    Subcommand { name: "top", command_line: top::command, run: |args| top::run(&args[1..]) },
    #[cfg(feature = "client")]
    Subcommand {
        name: "tune",
        command_line: hippocamp_bench::TuneArgs::command,
        run: |args| Ok(tune::run(args.iter().cloned())),
    },
];

/// Runs the subcommand that the first argument names; `None` if it names none, so that the server is to start.
pub(crate) fn run(args: &[OsString]) -> Option<ExitCode> {
    let name = args.get(1)?.to_str()?;
    if name == "help" {
        return Some(help(args));
    }
    let outcome = match ALL.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(&args[1..]),
        None if name.starts_with('-') => return None,
        None => Err(unknown(name)),
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
    let names: Vec<&str> = ALL.iter().map(|command| command.name).collect();
    let names = names.join(", ");
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
