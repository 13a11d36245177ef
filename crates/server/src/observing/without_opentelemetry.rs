//! Stands in for the export where it was not built in.

use anyhow::bail;
use hippocamp_trace::StartSettings;

use super::Goal;

pub(super) fn goal(_: &StartSettings) -> anyhow::Result<Goal> {
    bail!(
        "--trace-config=mode=opentelemetry needs a hippocamp with the feature 'opentelemetry', which this one is built without"
    )
}
