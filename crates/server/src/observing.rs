//! Connects the traces of requests, and the access log, to where they go, as the flags say.

#[cfg_attr(feature = "opentelemetry", path = "observing/with_opentelemetry.rs")]
#[cfg_attr(not(feature = "opentelemetry"), path = "observing/without_opentelemetry.rs")]
mod opentelemetry;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hippocamp_access_log::AccessLog;
use hippocamp_core::{InferenceServer, Settings};
use hippocamp_metrics::{Kind, Page};
use hippocamp_net::Network;
use hippocamp_trace::{
    Mode, NoSink, ParentRule, SettingValues, StartSettings, TraceFile, TraceSink, Tracing,
};
use tracing::warn;

use crate::args::Args;

/// How long the end of the server may wait for traces to be written or sent.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// Where traces go, and what comes with it.
struct Goal {
    sink: Arc<dyn TraceSink>,
    parents: ParentRule,
    /// Settings that clients can read.
    shown: SettingValues,
}

/// What observes the requests of this process. Writes or sends what is left when dropped.
pub(crate) struct Observing {
    pub(crate) tracing: Arc<Tracing>,
    pub(crate) access_log: Option<Arc<AccessLog>>,
}

impl Observing {
    /// Starts it as the flags say.
    pub(crate) fn start(args: &Args) -> anyhow::Result<Observing> {
        let (start, warnings) = args.trace.start().map_err(anyhow::Error::msg)?;
        for warning in warnings {
            warn!("{warning}");
        }
        let Goal { sink, parents, shown } = match start.mode {
            Mode::Triton => file(&start)?,
            Mode::OpenTelemetry => opentelemetry::goal(&start)?,
        };
        let tracing = Arc::new(Tracing::new(&start, parents, shown, sink));
        Ok(Observing { tracing, access_log: args.logging.access_log()? })
    }

    /// The settings of the server with those of traces.
    pub(crate) fn settings(&self, settings: Settings) -> Settings {
        Settings { tracing: Arc::clone(&self.tracing), ..settings }
    }

    /// Connects it with the server and its ports.
    pub(crate) fn attach(&self, server: &InferenceServer, network: &Network) {
        let tracing = Arc::clone(&self.tracing);
        server.add_metrics(move |page| write_metrics(&tracing, page));
        if let Some(log) = &self.access_log {
            let counted = Arc::clone(log);
            server.add_metrics(move |page| write_log_metrics(&counted, page));
            network.log_access(Arc::clone(log));
        }
    }
}

impl Drop for Observing {
    fn drop(&mut self) {
        self.tracing.close(CLOSING_TIME);
        if let Some(log) = &self.access_log {
            log.close(CLOSING_TIME);
        }
    }
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

/// Writes the metrics of the access log.
fn write_log_metrics(log: &AccessLog, page: &mut Page) {
    let help = "Lines of the access log that were dropped because too many waited to be written";
    page.family("nv_server_access_log_dropped", help, Kind::Counter).sample(&[], log.dropped());
}

/// Writes the metrics of traces.
fn write_metrics(tracing: &Tracing, page: &mut Page) {
    let help = "Traces that were lost: dropped because too many waited, or not taken by the collector";
    let mut family = page.family("nv_server_traces_lost", help, Kind::Counter);
    family.sample(&[("reason", "dropped")], tracing.dropped());
    family.sample(&[("reason", "failed")], tracing.failed());
}
