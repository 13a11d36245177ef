//! Where the log goes, and what it looks like.

use std::fs::File;
use std::sync::Arc;

use anyhow::Context;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::args::{LogFormat, LoggingArgs};

/// Starts logging, once a process.
pub(crate) fn init(args: &LoggingArgs) -> anyhow::Result<()> {
    let writer = match &args.log_file {
        None => BoxMakeWriter::new(std::io::stderr),
        Some(path) => {
            let file = File::options().create(true).append(true).open(path);
            BoxMakeWriter::new(Arc::new(
                file.with_context(|| format!("failed to open log file '{}'", path.display()))?,
            ))
        }
    };
    let to_terminal = args.log_file.is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match args.log_format {
        LogFormat::Json => Box::new(fmt::layer().json().flatten_event(true).with_writer(writer)),
        LogFormat::Default | LogFormat::Iso8601 => {
            Box::new(fmt::layer().with_target(false).with_ansi(to_terminal).with_writer(writer))
        }
    };
    let most = match args.log_verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let (info, warning, error) = (args.log_info, args.log_warning, args.log_error);
    let verbose = args.log_verbose;
    let wanted = filter_fn(move |event| {
        // The details of libraries are for their developers, unless everything is asked for.
        let ours = event.target().starts_with("hippocamp");
        match *event.level() {
            tracing::Level::ERROR => error,
            tracing::Level::WARN => warning,
            tracing::Level::INFO => info && (ours || verbose > 0),
            _ => ours || verbose > 2,
        }
    });
    tracing_subscriber::registry().with(lines.with_filter(wanted).with_filter(most)).try_init()?;
    Ok(())
}
