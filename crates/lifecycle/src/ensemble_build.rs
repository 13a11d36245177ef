//! Builds the versions of an ensemble from its source and the serving models.

use std::sync::Arc;

use hippocamp_backend::{Error, Result};
use hippocamp_loading::Started;
use hippocamp_loading::faults::{Collected, about};
use hippocamp_model_config::{Fault, FaultKind, Faults, Step};
use hippocamp_serving::LoadedModel;

use crate::ensemble_source::EnsembleSource;
use crate::models::Models;
use crate::state::VersionState;

/// Builds every version of the ensemble from the models that serve now.
pub(crate) fn build(source: &EnsembleSource, models: &Models) -> Result<Vec<Started>> {
    composing_are_known(source, models)?;
    let mut faults = Collected::default();
    let steps = source.steps().enumerate();
    let found =
        steps.map(|(index, (step, name))| faults.take(model_of(source.name(), index, step, name, models)));
    let steps: Vec<_> = found.flatten().collect();
    faults.into_result()?;
    source.build_versions(&steps)
}

/// Returns an error if a composing model is unknown or was unloaded.
fn composing_are_known(source: &EnsembleSource, models: &Models) -> Result<()> {
    let missing = source.composing().into_iter().filter(|name| match models.states_of(name) {
        Some(states) => models.serving(name).is_empty() && states.values().all(VersionState::is_gone),
        None => true,
    });
    let missing: Vec<String> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "ensemble {} contains models that are not available or ambiguous: {}",
        source.name(),
        missing.join(", ")
    );
    let mut faults = Faults::new("config");
    let is_missing = |name: &str| missing.iter().any(|missing| missing == name);
    for (index, (step, _)) in source.steps().enumerate().filter(|(_, (_, name))| is_missing(name)) {
        let path = format!("ensemble_scheduling.step[{index}].model_name");
        let kind = FaultKind::UnknownModel { wanted: step.model_name.clone() };
        faults.faults.push(Fault::new(path, message.clone(), kind));
    }
    Err(Error::invalid_arg(message).with_source(faults))
}

/// The version of the model `name` that `step`, the step number `index`, asks for.
fn model_of(
    ensemble: &str,
    index: usize,
    step: &Step,
    name: &str,
    models: &Models,
) -> Result<Arc<LoadedModel>> {
    let serving = models.serving(name);
    let Some(latest) = serving.iter().max_by_key(|started| started.model.version) else {
        return Err(nothing_serves(ensemble, index, name, models));
    };
    let Ok(wanted @ 1..) = u64::try_from(step.model_version) else {
        return Ok(Arc::clone(&latest.model));
    };
    let found = serving.iter().find(|started| started.model.version == wanted);
    found.map(|started| Arc::clone(&started.model)).ok_or_else(|| {
        let error = Error::invalid_arg(format!(
            "ensemble '{ensemble}' depends on '{name}' whose required version {wanted} is not loaded."
        ));
        about(error, &format!("ensemble_scheduling.step[{index}].model_version"), FaultKind::Other)
    })
}

#[cold]
fn nothing_serves(ensemble: &str, index: usize, name: &str, models: &Models) -> Error {
    let failed = models.states_of(name).into_iter().flatten();
    let failed = failed.filter(|(_, state)| state.is_failure());
    let failed = failed
        .map(|(v, state)| format!("version {v} is at UNAVAILABLE state: {};", state.reason))
        .collect::<Vec<_>>();
    let why = if failed.is_empty() {
        String::new()
    } else {
        format!(" Model '{name}' loading failed with error: {}", failed.concat())
    };
    let error = Error::invalid_arg(format!(
        "ensemble '{ensemble}' depends on '{name}' which has no loaded version.{why}"
    ));
    let path = format!("ensemble_scheduling.step[{index}].model_name");
    about(error, &path, FaultKind::Composing { model: name.to_owned() })
}

/// The error for an ensemble that depends on itself. `last` is the last model in the cycle before the ensemble.
#[cold]
pub(crate) fn circular(name: &str, last: &str) -> Error {
    let text = format!("circular dependency between ensembles: {name} -> ... -> {last} -> {name}");
    about(Error::invalid_arg(text), "ensemble_scheduling", FaultKind::Other)
}
