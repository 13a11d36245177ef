//! Rebuilds the ensembles that are composed of a model when that model is loaded, replaced or removed.

use std::collections::BTreeSet;

use hippocamp_backend::Error;
use tracing::{error, info};

use crate::changes::Changes;
use crate::ensemble_build::build;
use crate::models::Models;
use crate::replace::{end, replace};
use crate::state::{State, UNLOADED, VersionState};

/// Rebuilds the ensembles that are composed of `name`. If a rebuild fails, the ensemble continues to serve with its old
/// models, or ends if these were unloaded.
pub(crate) fn rebuild_dependents(models: &mut Models, name: &str, changes: &mut Changes) {
    let mut renewed = BTreeSet::from([name.to_owned()]);
    for ensemble in models.dependencies.dependents(name) {
        let Some(source) = models.entries.get(&ensemble).and_then(|entry| entry.ensemble.clone()) else {
            continue;
        };
        if source.composing().is_disjoint(&renewed) {
            continue;
        }
        match build(&source, models) {
            Ok(started) => {
                info!(model = ensemble, "built anew, because '{name}' was loaded");
                models.missing.remove(&ensemble);
                replace(models, &ensemble, started, None, changes);
                changes.routes.push((ensemble.clone(), models.entry(&ensemble).route()));
                renewed.insert(ensemble);
            }
            Err(error) if renewed.iter().any(|name| models.serving(name).is_empty()) => {
                info!(model = ensemble, "unloaded, because '{name}' was: {error}");
                end(models, &ensemble, &unloaded(&error), changes);
                renewed.insert(ensemble);
            }
            Err(error) => {
                let serves = !models.serving(&ensemble).is_empty();
                let consequence =
                    if serves { "it goes on with the former version" } else { "it is still not available" };
                error!(
                    model = ensemble,
                    "ensemble '{ensemble}' does not fit the '{name}' loaded now, {consequence}: {error}"
                );
                for state in models.entry(&ensemble).states.values_mut() {
                    match state.state {
                        State::Ready => state.reason = error.reason(),
                        // The ensemble ended because one of its models was unloaded. That is still the reason.
                        _ if state.reason.starts_with(UNLOADED) => state.reason = unloaded(&error),
                        _ => *state = VersionState::new(State::Unavailable, error.reason()),
                    }
                }
            }
        }
    }
}

/// The reason that the index shows for an ensemble that ended because one of its models was unloaded.
fn unloaded(error: &Error) -> String {
    format!("{UNLOADED}: {error}")
}
