//! Builds ensembles from models that are installed in the same step.

use hippocamp_loading::{LoadFailure, Started};
use hippocamp_repository::Dependencies;

use crate::ensemble_build::{build, circular};
use crate::models::Models;
use crate::ready::{Ready, ReadyModel};

/// The dependencies after the installation of the new models. An ensemble that depends on itself is an error, returned with
/// its name.
pub(crate) fn dependencies_with(
    models: &Models,
    new: &[ReadyModel],
) -> Result<Dependencies, (String, LoadFailure)> {
    let mut dependencies = models.dependencies.clone();
    for ReadyModel { name, ready, .. } in new {
        dependencies.set(name, ready.composing());
    }
    for ReadyModel { name, ready, .. } in new {
        if let (Some(source), Some(last)) = (ready.ensemble(), dependencies.cycle(name)) {
            let error = circular(name, &last);
            return Err((name.clone(), LoadFailure::Composing { versions: source.versions(), error }));
        }
    }
    Ok(dependencies)
}

/// The versions of each new model, in the order of `new`. Those of a plain model are moved out of `new`; those of an
/// ensemble are built from the new versions of its models. To make that possible, the new versions are entered as serving
/// during this call and removed before it returns. The caller holds the lock of the models, so nobody sees that.
pub(crate) fn build_together(
    models: &mut Models,
    new: &mut [ReadyModel],
) -> Result<Vec<Vec<Started>>, (String, LoadFailure)> {
    let mut before = Vec::new();
    let mut failure = None;
    for ReadyModel { name, ready, .. } in new {
        let started = match ready {
            Ready::Model(started) => Ok(std::mem::take(started)),
            Ready::Ensemble(source) => build(source, models)
                .map_err(|error| LoadFailure::Composing { versions: source.versions(), error }),
        };
        match started {
            Ok(started) => {
                before.push((name.clone(), std::mem::replace(&mut models.entry(name).serving, started)));
            }
            Err(error) => {
                failure = Some((name.clone(), error));
                break;
            }
        }
    }
    let taken_back =
        before.into_iter().map(|(name, before)| std::mem::replace(&mut models.entry(&name).serving, before));
    let built = taken_back.collect();
    failure.map_or(Ok(built), Err)
}
