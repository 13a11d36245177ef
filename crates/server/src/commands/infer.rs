//! `hippocamp infer`: the client that comes along.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the client, if that is what the arguments behind the program's name ask for.
#[cfg(feature = "client")]
pub(super) fn run(args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.peekable();
    // The name is the first argument of what is parsed; clap has its own for it.
    (args.peek()? == "infer").then(|| ask(args))
}

#[cfg(not(feature = "client"))]
pub(super) fn run(_: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    None
}

#[cfg(feature = "client")]
fn ask(args: impl Iterator<Item = OsString>) -> ExitCode {
    use std::io::Write;

    use clap::Parser;
    use hippocamp_client::InferArgs;

    let args = InferArgs::parse_from(args);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = match runtime {
        Ok(runtime) => {
            runtime.block_on(hippocamp_client::infer(&args)).map_err(|failure| failure.to_string())
        }
        Err(why) => Err(format!("the client cannot be started: {why}")),
    };
    // Whoever closed the pipe has seen enough; there is nobody to tell.
    match answer {
        Ok(text) => {
            drop(std::io::stdout().write_all(text.as_bytes()));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            drop(writeln!(std::io::stderr(), "hippocamp infer: {failure}"));
            ExitCode::FAILURE
        }
    }
}
