//! `hippocamp infer`: the built-in client.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use hippocamp_client::InferArgs;

/// Asks a server with the arguments after the program's name.
pub(super) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
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
