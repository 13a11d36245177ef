//! Flags of the console.

use clap::{ArgAction, Args};

use super::switch;

#[derive(Debug, Args)]
#[command(next_help_heading = "Console")]
pub(crate) struct ConsoleArgs {
    /// Whether to serve the console, a page for browsers that shows the models, their configs and their traffic, under / of the metrics
    /// port. By default it is served where HTTP is as open as that port: at the same address and without TLS, or on this machine's
    /// loopback, or with --auth-config. See docs/console.md.
    #[arg(long, value_parser = switch, value_name = "BOOL", action = ArgAction::Set)]
    pub(crate) allow_console: Option<bool>,

    /// A port of its own for the console, at the address of the metrics; 0 takes a free one and logs it.
    #[arg(long, value_name = "PORT")]
    pub(crate) console_port: Option<u16>,
}
