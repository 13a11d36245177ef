//! Installs loaded models: new versions begin to serve, replace older ones, or a model is removed. Each installation is one
//! step under the lock of [`Models`], so that the states in the index and the routes always agree.
//!
//! 1. The versions of an ensemble are built from the models that serve or are installed in the same step (`together.rs`).
//!    If that fails, nothing changes.
//! 2. Each new model replaces the versions that serve under its name (`replace.rs`).
//! 3. Each other ensemble that is composed of an installed or removed model is rebuilt, or removed too (`dependents.rs`).
//! 4. All routes change at once (`changes.rs`).
//!
//! The replaced versions are returned, so that the caller retires them (`retire.rs`) after the lock is released.

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
    /// Installs one loaded model and routes requests to it. On success `origin` is moved into the model's entry; on failure
    /// it is left untouched. `explicit` is true if the model was asked for by name. Returns the versions to retire.
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

    /// Installs several loaded models and removes others in one step, so that no request sees only part of the change. In
    /// `new`, an ensemble has to come after the models that it is composed of. Returns the versions to retire. If an
    /// ensemble cannot be built, nothing changes, and the error holds its name.
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
        // An ensemble that is composed of several changed models is rebuilt once for each of them. Only the last build is
        // routed to.
        names.iter().chain(removed).for_each(|name| rebuild_dependents(&mut models, name, &mut changes));
        changes.retired.reverse();
        Ok(self.publish(changes))
    }

    /// Removes a model and the ensembles that are composed of it; these are rebuilt when the model is loaded again. Returns
    /// the versions to retire.
    pub(crate) fn remove(&self, name: &str) -> Vec<Retired> {
        let mut models = self.models.lock();
        let mut changes = Changes::default();
        remove_one(&mut models, name, &mut changes);
        rebuild_dependents(&mut models, name, &mut changes);
        // Ensembles are retired first, because they keep references to the model.
        changes.retired.reverse();
        self.publish(changes)
    }

    /// Makes the changes visible to requests. The caller holds the lock of the models.
    fn publish(&self, changes: Changes) -> Vec<Retired> {
        changes.publish(&self.routes, &self.draining)
    }
}

/// Removes a model that nobody asks for any more.
fn remove_one(models: &mut Models, name: &str, changes: &mut Changes) {
    models.missing.remove(name);
    models.dependencies.set(name, BTreeSet::new());
    let entry = models.entry(name);
    (entry.ensemble, entry.explicit) = (None, false);
    end(models, name, "", changes);
}

/// Builds an ensemble from the models that serve now. If that fails and no version of the ensemble serves, its source is
/// kept all the same, so that it is built as soon as the models that it needs are loaded.
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
