//! The step in which models begin to serve, are replaced, or end: under the lock of the models, so that states and routes
//! never tell different stories.
//!
//! 1. The versions of an ensemble are built of what serves, or will serve by the same step (`together.rs`). If that fails,
//!    nothing changes.
//! 2. Each new model takes the place of what serves under its name (`replace.rs`).
//! 3. Each other ensemble that is made of it is built anew, or ends with it (`dependents.rs`).
//! 4. All routes change at once (`changes.rs`).
//!
//! What was replaced comes back, to be retired (`retire.rs`) when the lock is free again.

use std::collections::BTreeSet;
use std::sync::Arc;

use hippocamp_loading::{LoadFailure, Started};

use crate::changes::Changes;
use crate::dependents::rebuild_dependents;
use crate::ensemble_build::{build, circular};
use crate::ensemble_source::EnsembleSource;
use crate::entry::{Origin, Retired};
use crate::lifecycle::Lifecycle;
use crate::models::Models;
use crate::ready::{Ready, ReadyModel};
use crate::replace::{end, replace};
use crate::together::{build_together, dependencies_with};

impl Lifecycle {
    /// Lets one model serve that was made ready, and takes `origin` if that succeeds. `explicit` says that somebody asked
    /// for it by name.
    pub(crate) fn install(
        &self,
        name: &str,
        ready: Ready,
        origin: &mut Origin,
        explicit: bool,
    ) -> Result<Vec<Retired>, LoadFailure> {
        let mut models = self.models.lock();
        models.missing.remove(name);
        models.entry(name).explicit |= explicit;
        let started = match ready {
            Ready::Model(started) => {
                models.entry(name).ensemble = None;
                models.dependencies.set(name, BTreeSet::new());
                started
            }
            Ready::Ensemble(source) => build_alone(&mut models, name, source)?,
        };
        let mut changes = Changes::default();
        replace(&mut models, name, started, Some(std::mem::take(origin)), &mut changes);
        changes.routes.push((name.to_owned(), models.entry(name).route()));
        rebuild_dependents(&mut models, name, &mut changes);
        Ok(self.publish(changes))
    }

    /// Lets models serve that were made ready together, and ends others, in one step: nobody sees some of it. Each ensemble
    /// comes behind what it is made of. If an ensemble cannot be built of the others, nothing changes, and its name is
    /// returned.
    pub(crate) fn install_together(
        &self,
        mut new: Vec<ReadyModel>,
        removed: &[String],
    ) -> Result<Vec<Retired>, (String, LoadFailure)> {
        let mut models = self.models.lock();
        let dependencies = dependencies_with(&models, &new)?;
        let built = build_together(&mut models, &mut new)?;
        models.dependencies = dependencies;
        let mut changes = Changes::default();
        let mut names = Vec::new();
        for (ReadyModel { name, ready, origin }, started) in new.into_iter().zip(built) {
            models.missing.remove(&name);
            let entry = models.entry(&name);
            entry.explicit = true;
            entry.ensemble = ready.ensemble().cloned();
            replace(&mut models, &name, started, Some(origin), &mut changes);
            changes.routes.push((name.clone(), models.entry(&name).route()));
            names.push(name);
        }
        for name in removed {
            remove_one(&mut models, name, &mut changes);
        }
        // An ensemble that is made of several of them is built several times. The last time counts, and no request finds
        // the others.
        names.iter().chain(removed).for_each(|name| rebuild_dependents(&mut models, name, &mut changes));
        changes.retired.reverse();
        Ok(self.publish(changes))
    }

    /// Ends a model, and the ensembles that are made of it: these come back when it does.
    pub(crate) fn remove(&self, name: &str) -> Vec<Retired> {
        let mut models = self.models.lock();
        let mut changes = Changes::default();
        remove_one(&mut models, name, &mut changes);
        rebuild_dependents(&mut models, name, &mut changes);
        // The ensembles first: they hold on to the model.
        changes.retired.reverse();
        self.publish(changes)
    }

    /// Called under the lock of the models.
    fn publish(&self, changes: Changes) -> Vec<Retired> {
        changes.publish(&self.routes, &self.draining)
    }
}

/// Ends a model that is not wanted any more.
fn remove_one(models: &mut Models, name: &str, changes: &mut Changes) {
    models.missing.remove(name);
    models.dependencies.set(name, BTreeSet::new());
    let entry = models.entry(name);
    (entry.ensemble, entry.explicit) = (None, false);
    end(models, name, "", changes);
}

/// Builds an ensemble of what serves. If that fails and nothing of it serves, it is built as soon as the models are there
/// that it needs.
fn build_alone(
    models: &mut Models,
    name: &str,
    source: Arc<EnsembleSource>,
) -> Result<Vec<Started>, LoadFailure> {
    let failure = |error| LoadFailure::Composing { versions: source.versions(), error };
    let mut dependencies = models.dependencies.clone();
    dependencies.set(name, source.composing());
    if let Some(last) = dependencies.cycle(name) {
        return Err(failure(circular(name, &last)));
    }
    let built = build(&source, models).map_err(failure);
    let entry = models.entry(name);
    if built.is_ok() || entry.serving.is_empty() {
        entry.ensemble = Some(source);
        models.dependencies = dependencies;
    }
    built
}
