//! `hippocamp infer`: the built-in client.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the client if the arguments ask for it.
#[cfg(feature = "client")]
pub(super) fn run(args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.peekable();
    // clap expects the program's name as the first argument, and has its own name for it.
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
    // Ignore a closed pipe: nobody reads the output any more.
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
