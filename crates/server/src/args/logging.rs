//! Flags of the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, Args, ValueEnum};
use hippocamp_access_log::{AccessLog, Destination, Format};

use super::switch;

#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
#[allow(clippy::struct_field_names, reason = "a field's name is the flag's")]
pub(crate) struct LoggingArgs {
    /// How much detail beyond the usual: 0 none, 1 what the server does, 2 and more everything. true is 1, false is 0.
    #[arg(long, value_name = "LEVEL", default_value = "0", value_parser = verbosity)]
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

    /// Write a line for each request of a client: text for people, json for programs. See docs/tracing.md.
    #[arg(long, value_name = "FORMAT", default_value = "off", ignore_case = true)]
    pub(crate) access_log: AccessLogFormat,

    /// Write the access log to a file instead of standard output. SIGHUP opens it anew.
    #[arg(long, value_name = "FILE", requires = "access_log", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub(crate) access_log_file: Option<PathBuf>,

    /// Write the log to a file instead of standard error. SIGHUP opens it anew. Empty for standard error.
    #[arg(long, value_name = "FILE", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub(crate) log_file: Option<PathBuf>,
}

/// A value of `--access-log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AccessLogFormat {
    Off,
    Text,
    Json,
}

impl LoggingArgs {
    /// Opens the access log, if one is wanted.
    pub(crate) fn access_log(&self) -> anyhow::Result<Option<Arc<AccessLog>>> {
        let format = match self.access_log {
            AccessLogFormat::Off => return Ok(None),
            AccessLogFormat::Text => Format::Text,
            AccessLogFormat::Json => Format::Json,
        };
        let path = self.access_log_file.clone().filter(|path| !path.as_os_str().is_empty());
        let shown = path.as_ref().map_or("standard output".to_owned(), |path| path.display().to_string());
        let destination = path.map_or(Destination::Output, Destination::File);
        let opened = AccessLog::start(format, destination);
        opened.map(Some).with_context(|| format!("failed to open access log '{shown}'"))
    }

    /// The file to write to; `None` for standard error.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.log_file.as_deref().filter(|path| !path.as_os_str().is_empty())
    }
}

/// A value of `--log-verbose`.
fn verbosity(text: &str) -> Result<u32, String> {
    let level = text.parse().ok().or_else(|| switch(text).ok().map(u32::from));
    level.ok_or_else(|| "expected a number, true or false".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Default,
    #[value(name = "ISO8601")]
    Iso8601,
    Json,
}
