//! Flags of the log.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::switch;

#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
#[allow(clippy::struct_field_names, reason = "a field's name is the flag's")]
pub(crate) struct LoggingArgs {
    /// How much detail beyond the usual: 0 none, 1 what the server does, 2 and more everything.
    #[arg(long, value_name = "LEVEL", default_value_t = 0)]
    pub(crate) log_verbose: u32,

    /// Whether to log what usually happens.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub(crate) log_info: bool,

    /// Whether to log warnings.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub(crate) log_warning: bool,

    /// Whether to log errors.
    #[arg(long, value_parser = switch, value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    pub(crate) log_error: bool,

    /// How lines look: default and ISO8601 are text for people, json is one object a line.
    #[arg(long, value_name = "FORMAT", default_value = "default", ignore_case = true)]
    pub(crate) log_format: LogFormat,

    /// Write the log to a file instead of standard error.
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Default,
    #[value(name = "ISO8601")]
    Iso8601,
    Json,
}
