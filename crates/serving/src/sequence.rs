//! Which version a request of a sequence goes to: the one that has the sequence's state.

use std::sync::Arc;

use hippocamp_backend::{CorrelationId, Result, Sequence, Use};

use crate::{LoadedModel, Models};

/// The version that a request goes to for which `found` was found, and a use of it: it is not drained before the request is
/// queued.
pub(crate) fn begin_use(
    models: &impl Models,
    found: Arc<LoadedModel>,
    version: Option<u64>,
    sequence: Option<&Sequence>,
) -> Result<(Arc<LoadedModel>, Option<Use>)> {
    let mut model = with_state(models, found, version, sequence)?;
    loop {
        if let Ok(in_use) = model.begin_use() {
            return Ok((model, in_use));
        }
        // It was drained since it was found.
        let found = models.serving(&model.name, version)?;
        model = with_state(models, found, version, sequence)?;
    }
}

/// The version that a request goes to for which `found` was found. If it goes on with a sequence, that is the newest that
/// has the sequence's state, among those of the version that was asked for: one that serves, or one that is draining. If it
/// begins a sequence, or belongs to none, it is one that serves.
fn with_state(
    models: &impl Models,
    found: Arc<LoadedModel>,
    version: Option<u64>,
    sequence: Option<&Sequence>,
) -> Result<Arc<LoadedModel>> {
    let name = &found.name;
    let continued = sequence.filter(|sequence| !sequence.start).map(|sequence| &sequence.correlation_id);
    if let Some(id) = continued.filter(|_| !found.sequences.is_empty() || models.has_draining(name))
        && let Some(model) = newest_with_sequence(models, name, version, id)
    {
        return Ok(model);
    }
    // Also if it began to drain since it was found.
    if models.is_draining(&found) {
        return models.serving(name, version);
    }
    Ok(found)
}

/// `None` also if there is only one version: then the sequence batcher says what is wrong with the request, if anything is.
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
