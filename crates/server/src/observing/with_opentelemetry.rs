//! A collector of OpenTelemetry.

use std::sync::Arc;

use hippocamp_otlp::{ExportSettings, Exporter};
use hippocamp_trace::StartSettings;

use super::Goal;

pub(super) fn goal(start: &StartSettings) -> anyhow::Result<Goal> {
    let flags = &start.opentelemetry;
    let settings =
        ExportSettings::new(flags, &|name| std::env::var(name).ok()).map_err(anyhow::Error::msg)?;
    let sink = Exporter::start(&settings).map_err(anyhow::Error::msg)?;
    tracing::info!("traces go to {} over {:?}", settings.endpoint, settings.transport);
    Ok(Goal { sink: Arc::new(sink), parents: settings.parents, shown: settings.shown(flags) })
}
