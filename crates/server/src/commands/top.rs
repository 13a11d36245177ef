//! `hippocamp top`: the live table.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Command, CommandFactory, Parser, ValueEnum};
#[cfg(feature = "client")]
use hippocamp_client::Access;
use hippocamp_top::{Address, Settings, Sort, top};

use super::named;

/// Shows what the models of a server that runs are doing, as a live table: requests a second, failures, batch sizes, waiting and
/// latencies, and the machine. Reads the metrics page, so it works with a tritonserver, too.
#[derive(Debug, Parser)]
#[command(
    name = "hippocamp top",
    max_term_width = 110,
    after_help = "Keys: r, l, w, n order by requests, latency, waiting requests and name;\n  \
        arrows, PgUp, PgDn, Home and End scroll; q ends.\n\n\
        Examples:\n  \
        hippocamp top\n  \
        hippocamp top server:8002 --interval=5\n  \
        hippocamp top --token-file ops.token\n  \
        hippocamp top --count=1            (one table of one interval, for a script)"
)]
struct TopArgs {
    /// Host and port of the server's metrics page.
    #[arg(value_name = "HOST[:PORT]", default_value = "localhost:8002")]
    address: Address,

    /// Seconds between two looks. Rates and latencies are of that time.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,

    /// The order of the models.
    #[arg(long, value_name = "COLUMN", default_value = "requests")]
    sort: Column,

    /// Print this many tables, one below the other, and end. Without it one is kept on the screen until a key ends it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    #[cfg(feature = "client")]
    #[command(flatten)]
    access: Access,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Column {
    Requests,
    Latency,
    Waiting,
    Name,
}

/// The command for completions and the manual.
pub(super) fn command() -> Command {
    TopArgs::command()
}

pub(super) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let given = TopArgs::parse_from(named("hippocamp top", args));
    let sort = match given.sort {
        Column::Requests => Sort::Requests,
        Column::Latency => Sort::Latency,
        Column::Waiting => Sort::Pending,
        Column::Name => Sort::Name,
    };
    #[cfg(feature = "client")]
    let headers = given.access.headers()?.lines();
    #[cfg(not(feature = "client"))]
    let headers = String::new();
    let TopArgs { address, interval, count, .. } = given;
    let settings = Settings { address, headers, interval, sort, count };
    top(&settings, &mut std::io::stdout()).map_err(|why| anyhow!(why))?;
    Ok(ExitCode::SUCCESS)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "expected a number from 0.1 to 3600".to_owned())
}
