//! Sets up the log: its destination, level and format.

mod file;
mod lines;
mod switches;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::sync::Arc;

use anyhow::Context;
use hippocamp_core::LogControl;
use tracing::{error, info};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::args::LoggingArgs;
use file::LogFile;
use lines::Lines;
use switches::{Switches, Wanted};

/// The log of this process.
#[derive(Debug)]
pub(crate) struct Log {
    /// `None` for standard error.
    file: Option<Arc<LogFile>>,
    switches: Arc<Switches>,
}

impl Log {
    /// The settings, for clients.
    pub(crate) fn control(&self) -> Arc<dyn LogControl> {
        Arc::clone(&self.switches) as Arc<dyn LogControl>
    }

    /// Reopens the log file after it was renamed.
    pub(crate) fn reopen(&self) {
        let Some(file) = &self.file else {
            info!("SIGHUP: the log goes to standard error, there is no file to be opened anew");
            return;
        };
        let path = file.path().display();
        match file.reopen() {
            Ok(()) => info!("SIGHUP: log file '{path}' was opened anew"),
            Err(why) => {
                error!("SIGHUP: failed to open log file '{path}', the former is written to still: {why}");
            }
        }
    }
}

/// Starts logging; to be called once a process.
pub(crate) fn init(args: &LoggingArgs) -> anyhow::Result<Log> {
    let opened = args.file().map(|path| {
        let file = LogFile::open(path);
        file.with_context(|| format!("failed to open log file '{}'", path.display())).map(Arc::new)
    });
    let file = opened.transpose()?;
    let writer = match &file {
        None => BoxMakeWriter::new(std::io::stderr),
        Some(file) => BoxMakeWriter::new(Arc::clone(file)),
    };
    let to_terminal = file.is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = fmt::layer().with_ansi(to_terminal).with_writer(writer);
    let switches = Arc::new(Switches::new(args));
    let lines = lines.event_format(Lines(Arc::clone(&switches)));
    let lines = lines.with_filter(Wanted(Arc::clone(&switches)));
    tracing_subscriber::registry().with(lines).try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(Log { file, switches })
}

/// Logs a panic as one line; its message may contain text that a client sent.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("it does not say why");
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let thread = std::thread::current().name().unwrap_or("without a name").to_owned();
    // Captured only if RUST_BACKTRACE is set.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    error!(thread, backtrace, "panicked at {place}: {message}");
}
