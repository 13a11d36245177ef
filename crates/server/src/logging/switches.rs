//! The settings of the log that clients may change while it is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};

use hippocamp_core::{LogChange, LogControl, LogSettings};
use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Filter};

use crate::args::{LogFormat, LoggingArgs};

/// What is logged, and how.
#[derive(Debug)]
pub(super) struct Switches {
    /// As it was given; empty for standard error.
    file: String,
    info: AtomicBool,
    warning: AtomicBool,
    error: AtomicBool,
    verbose: AtomicU32,
    /// A place in [`FORMATS`].
    format: AtomicU8,
}

/// The formats by the names that clients use, which have a case.
const FORMATS: [(&str, LogFormat); 3] =
    [("default", LogFormat::Default), ("ISO8601", LogFormat::Iso8601), ("json", LogFormat::Json)];

/// The target of what backends of Triton log, and models of its Python backend: their users want it as they want this server's.
const TRITON_BACKEND: &str = "triton_backend";

impl Switches {
    pub(super) fn new(args: &LoggingArgs) -> Switches {
        let place = FORMATS.iter().position(|(_, format)| *format == args.log_format);
        Switches {
            file: args.file().map(|path| path.display().to_string()).unwrap_or_default(),
            info: AtomicBool::new(args.log_info),
            warning: AtomicBool::new(args.log_warning),
            error: AtomicBool::new(args.log_error),
            verbose: AtomicU32::new(args.log_verbose),
            format: AtomicU8::new(place.unwrap_or(0) as u8),
        }
    }

    pub(super) fn format(&self) -> LogFormat {
        self.named_format().1
    }

    fn named_format(&self) -> (&'static str, LogFormat) {
        FORMATS.get(usize::from(self.format.load(Relaxed))).copied().unwrap_or(FORMATS[0])
    }

    fn wants(&self, event: &Metadata<'_>) -> bool {
        let verbose = self.verbose.load(Relaxed);
        // Debug and trace events of libraries are only logged at the highest verbosity.
        let ours = event.target().starts_with("hippocamp") || event.target() == TRITON_BACKEND;
        match *event.level() {
            Level::ERROR => self.error.load(Relaxed),
            Level::WARN => self.warning.load(Relaxed),
            Level::INFO => self.info.load(Relaxed) && (ours || verbose > 0),
            Level::DEBUG => verbose > 0 && (ours || verbose > 2),
            Level::TRACE => verbose > 1 && (ours || verbose > 2),
        }
    }
}

impl LogControl for Switches {
    fn settings(&self) -> LogSettings {
        LogSettings {
            file: self.file.clone(),
            info: self.info.load(Relaxed),
            warning: self.warning.load(Relaxed),
            error: self.error.load(Relaxed),
            verbose_level: self.verbose.load(Relaxed),
            format: self.named_format().0.to_owned(),
        }
    }

    fn change(&self, change: &LogChange) -> bool {
        match change {
            LogChange::Info(on) => self.info.store(*on, Relaxed),
            LogChange::Warning(on) => self.warning.store(*on, Relaxed),
            LogChange::Error(on) => self.error.store(*on, Relaxed),
            LogChange::VerboseLevel(level) => self.verbose.store(*level, Relaxed),
            LogChange::Format(name) => match FORMATS.iter().position(|(known, _)| known == name) {
                Some(place) => self.format.store(place as u8, Relaxed),
                None => return false,
            },
        }
        // Whether an event is wanted is asked once for each place in the code, and remembered there.
        tracing::callsite::rebuild_interest_cache();
        true
    }
}

/// Lets pass what is to be logged now.
pub(super) struct Wanted(pub(super) Arc<Switches>);

impl<S> Filter<S> for Wanted {
    fn enabled(&self, event: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.wants(event)
    }

    fn callsite_enabled(&self, event: &'static Metadata<'static>) -> Interest {
        if self.0.wants(event) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.0.verbose.load(Relaxed) {
            0 => LevelFilter::INFO,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Layer, fmt};

    use super::*;
    use crate::logging::lines::Lines;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Written;

        fn make_writer(&'a self) -> Written {
            self.clone()
        }
    }

    #[test]
    fn a_change_counts_for_what_was_logged_before() {
        let args = LoggingArgs {
            log_verbose: 0,
            log_info: true,
            log_warning: true,
            log_error: true,
            log_format: LogFormat::Default,
            log_file: None,
            access_log: crate::args::AccessLogFormat::Off,
            access_log_file: None,
        };
        let switches = Arc::new(Switches::new(&args));
        let written = Written::default();
        let lines = fmt::layer().with_ansi(false).with_writer(written.clone());
        let lines = lines.event_format(Lines(Arc::clone(&switches)));
        let subscriber =
            tracing_subscriber::registry().with(lines.with_filter(Wanted(Arc::clone(&switches))));
        tracing::subscriber::with_default(subscriber, || {
            for change in [
                LogChange::Info(false),
                LogChange::VerboseLevel(1),
                LogChange::Info(true),
                LogChange::Format("json".to_owned()),
                LogChange::VerboseLevel(0),
            ] {
                tracing::info!("what usually happens");
                tracing::debug!("a detail");
                tracing::info!(target: TRITON_BACKEND, "what a model says usually");
                tracing::debug!(target: TRITON_BACKEND, "a detail of a model");
                tracing::info!(target: "a_library", "what a library says usually");
                assert!(switches.change(&change));
            }
            assert!(!switches.change(&LogChange::Format("JSON".to_owned())), "names have a case");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let of = |lines: Vec<&str>| -> Vec<(bool, bool)> {
            lines.iter().map(|line| (line.contains("detail"), line.starts_with('{'))).collect()
        };
        let (models, own): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.contains("model"));
        let own = own.into_iter().filter(|line| !line.contains("library")).collect();
        let expected =
            [(false, false), (true, false), (false, false), (true, false), (false, true), (true, true)];
        assert_eq!((of(own), of(models)), (expected.to_vec(), expected.to_vec()), "{text}");
    }
}
