//! Routes the requests of a sequence to the version that has the sequence's state.

use std::sync::Arc;

use hippocamp_backend::{CorrelationId, Result, Sequence, Use};

use crate::{LoadedModel, ModelRef, Models};

/// Chooses the version for a request for which `found` was found, and begins a use of it, so that it is not drained before
/// the request is queued.
pub(crate) fn begin_use(
    models: &impl Models,
    found: ModelRef,
    version: Option<u64>,
    sequence: Option<&Sequence>,
) -> Result<(ModelRef, Option<Use>)> {
    let mut model = with_state(models, found, version, sequence)?;
    loop {
        if let Ok(in_use) = model.begin_use() {
            return Ok((model, in_use));
        }
        // The version was drained after it was found.
        let found = models.serving(&model.name, version)?;
        model = with_state(models, found, version, sequence)?;
    }
}

/// Chooses the version for a request for which `found` was found. A request of a running sequence goes to the newest
/// version, serving or draining, that has the sequence's state; if the client named a version, only that one is considered.
/// A request that begins a sequence or belongs to none goes to a serving version.
fn with_state(
    models: &impl Models,
    found: ModelRef,
    version: Option<u64>,
    sequence: Option<&Sequence>,
) -> Result<ModelRef> {
    let name = &found.name;
    let continued = sequence.filter(|sequence| !sequence.start).map(|sequence| &sequence.correlation_id);
    if let Some(id) = continued.filter(|_| !found.sequences.is_empty() || models.has_draining(name))
        && let Some(model) = newest_with_sequence(models, name, version, id)
    {
        return Ok(model.into());
    }
    // This includes a version that began to drain after it was found.
    if models.is_draining(&found) {
        return models.serving(name, version);
    }
    Ok(found)
}

/// The newest version that has the sequence; `None` if there is none or only one version exists. In the latter case the
/// sequence batcher reports what is wrong with the request.
fn newest_with_sequence(
    models: &impl Models,
    name: &str,
    version: Option<u64>,
    id: &CorrelationId,
) -> Option<Arc<LoadedModel>> {
    let serving = models.serving_versions(name);
    if serving.len() <= 1 && !models.has_draining(name) {
        return None;
    }
    let has_sequence = |model: &&Arc<LoadedModel>| {
        version.is_none_or(|version| model.version == version)
            && model.sequences.iter().any(|scheduler| scheduler.has_sequence(id))
    };
    let newest = serving.iter().rev().find(has_sequence).cloned();
    newest.or_else(|| models.draining_with_sequence(name, version, id))
}
