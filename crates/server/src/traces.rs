//! Connects the traces of requests, and the access log, to where they go, as the flags say.

#[cfg_attr(feature = "opentelemetry", path = "traces/with_opentelemetry.rs")]
#[cfg_attr(not(feature = "opentelemetry"), path = "traces/without_opentelemetry.rs")]
mod opentelemetry;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hippocamp_access_log::AccessLog;
use hippocamp_metrics::{Kind, Page};
use hippocamp_trace::{
    Mode, NoSink, ParentRule, SettingValues, StartSettings, TraceFile, TraceSink, Tracing,
};

use crate::args::TraceArgs;

/// How long the end of the server may wait for traces to be written or sent.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// Where traces go, and what comes with it.
struct Goal {
    sink: Arc<dyn TraceSink>,
    parents: ParentRule,
    /// Settings that clients can read.
    shown: SettingValues,
}

/// The settings that the flags make, and warnings about the flags.
pub(crate) fn start(args: &TraceArgs) -> anyhow::Result<(Arc<Tracing>, Vec<String>)> {
    let (start, warnings) = args.start().map_err(anyhow::Error::msg)?;
    let Goal { sink, parents, shown } = match start.mode {
        Mode::Triton => file(&start)?,
        Mode::OpenTelemetry => opentelemetry::goal(&start)?,
    };
    Ok((Arc::new(Tracing::new(&start, parents, shown, sink)), warnings))
}

fn file(start: &StartSettings) -> anyhow::Result<Goal> {
    let sink: Arc<dyn TraceSink> = if start.file.is_empty() {
        Arc::new(NoSink)
    } else {
        let file = TraceFile::start(PathBuf::from(&start.file));
        Arc::new(file.context("failed to start the thread of the trace file")?)
    };
    Ok(Goal { sink, parents: ParentRule::default(), shown: Vec::new() })
}

/// Writes or sends what is left when dropped.
pub(crate) struct Closing(pub(crate) Arc<Tracing>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close(CLOSING_TIME);
    }
}

/// Writes what is left of the access log when dropped.
pub(crate) struct ClosingLog(pub(crate) Arc<AccessLog>);

impl Drop for ClosingLog {
    fn drop(&mut self) {
        self.0.close(CLOSING_TIME);
    }
}

/// Writes the metrics of the access log.
pub(crate) fn write_log_metrics(log: &AccessLog, page: &mut Page) {
    let help = "Lines of the access log that were dropped because too many waited to be written";
    page.family("nv_server_access_log_dropped", help, Kind::Counter).sample(&[], log.dropped());
}

/// Writes the metrics of traces.
pub(crate) fn write_metrics(tracing: &Tracing, page: &mut Page) {
    let help = "Traces that were lost: dropped because too many waited, or not taken by the collector";
    let mut family = page.family("nv_server_traces_lost", help, Kind::Counter);
    family.sample(&[("reason", "dropped")], tracing.dropped());
    family.sample(&[("reason", "failed")], tracing.failed());
}
