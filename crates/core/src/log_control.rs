//! The settings of the log, as clients read and change them. The log itself is the program's.

use std::fmt::Debug;

/// The settings of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct LogSettings {
    /// The path of the log file; empty for none. Not to be changed.
    pub file: String,
    /// Whether what usually happens is logged.
    pub info: bool,
    /// Whether warnings are logged.
    pub warning: bool,
    /// Whether errors are logged.
    pub error: bool,
    /// How much detail beyond the usual is logged; 0 for none.
    pub verbose_level: u32,
    /// The name of the format of a line.
    pub format: String,
}

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogChange {
    /// See [`LogSettings::info`].
    Info(bool),
    /// See [`LogSettings::warning`].
    Warning(bool),
    /// See [`LogSettings::error`].
    Error(bool),
    /// See [`LogSettings::verbose_level`].
    VerboseLevel(u32),
    /// See [`LogSettings::format`].
    Format(String),
}

/// What the program that has the log does for clients.
pub trait LogControl: Send + Sync + Debug {
    /// The settings in use.
    fn settings(&self) -> LogSettings;

    /// Changes a setting. False if it has no such value, which can only be a format; nothing has changed then.
    fn change(&self, change: &LogChange) -> bool;
}
