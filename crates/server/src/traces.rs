//! Connects the traces of requests to where they go, as the flags say.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hippocamp_metrics::{Kind, Page};
use hippocamp_trace::{Mode, NoSink, ParentRule, StartSettings, TraceFile, TraceSink, Tracing};

use crate::args::TraceArgs;

/// How long the end of the server may wait for traces to be written or sent.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// The settings that the flags make, and warnings about the flags.
pub(crate) fn start(args: &TraceArgs) -> anyhow::Result<(Arc<Tracing>, Vec<String>)> {
    let (start, warnings) = args.start().map_err(anyhow::Error::msg)?;
    let sink = sink(&start).context("failed to start the thread of traces")?;
    Ok((Arc::new(Tracing::new(&start, ParentRule::default(), Vec::new(), sink)), warnings))
}

fn sink(start: &StartSettings) -> anyhow::Result<Arc<dyn TraceSink>> {
    Ok(match start.mode {
        Mode::Triton if start.file.is_empty() => Arc::new(NoSink),
        Mode::Triton => Arc::new(TraceFile::start(PathBuf::from(&start.file))?),
        Mode::OpenTelemetry => Arc::new(NoSink),
    })
}

/// Writes or sends what is left when dropped.
pub(crate) struct Closing(pub(crate) Arc<Tracing>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close(CLOSING_TIME);
    }
}

/// Writes the metrics of traces.
pub(crate) fn write_metrics(tracing: &Tracing, page: &mut Page) {
    let help = "Traces that were dropped because too many waited to be written or sent";
    page.family("nv_server_traces_dropped", help, Kind::Counter).sample(&[], tracing.dropped());
}
