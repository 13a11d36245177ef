//! The one step in which a model that was made ready begins to serve, or one that is unloaded ends, together with the
//! ensembles that are made of it. Under the lock of the models, so that states and routes never tell different stories.

use std::collections::BTreeSet;
use std::sync::Arc;

use hippocamp_backend::Error;
use hippocamp_loading::faults::about;
use hippocamp_model_config::FaultKind;
use hippocamp_repository::Dependencies;
use tracing::{error, info};

use crate::elders::Elder;
use crate::ensembles::EnsembleSource;
use crate::index::{State, UNLOADED, VersionState};
use crate::load::{LoadFailure, Started};
use crate::models::{Models, Origin, Retired};
use crate::{InferenceServer, LoadedModel, kept};

/// What was made ready.
#[derive(Debug)]
pub(crate) enum Ready {
    Model(Vec<Started>),
    /// Built when it is installed, of the models that serve then.
    Ensemble(Arc<EnsembleSource>),
}

/// A model that was made ready, and is not installed yet.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) ready: Ready,
    pub(crate) origin: Origin,
}

/// What has to be routed to anew, and what is let go.
#[derive(Debug, Default)]
struct Changes {
    routes: Vec<(String, Vec<Arc<LoadedModel>>)>,
    retired: Vec<Retired>,
    /// Versions that were replaced and may have sequences.
    elders: Vec<Arc<Elder>>,
    /// Models that ended, with the sequences that run on them.
    ended: Vec<String>,
    /// Models that ended long ago, and of which nothing is known any more.
    forgotten: Vec<String>,
}

impl InferenceServer {
    /// Versions that serve already stay as they are: they go on serving.
    pub(crate) fn mark_loading(&self, name: &str, versions: &[u64]) {
        let mut models = self.models.lock();
        let states = &mut models.entry(name).states;
        for &version in versions {
            let state = states.entry(version).or_insert_with(|| VersionState::new(State::Loading, ""));
            if state.state != State::Ready {
                *state = VersionState::new(State::Loading, "");
            }
        }
    }

    pub(crate) fn mark_failed(&self, name: &str, failure: &LoadFailure) {
        let mut models = self.models.lock();
        let entry = models.entry(name);
        let counted = !matches!(failure, LoadFailure::Changed);
        entry.loads.failed += u64::from(counted);
        let failed = match failure {
            LoadFailure::Changed => return,
            LoadFailure::Versions(failed) => failed.clone(),
            LoadFailure::Composing { versions, error } => {
                versions.iter().map(|&version| (version, error.clone())).collect()
            }
            LoadFailure::Config(error) => {
                // No version was tried. Those that serve go on, and the index says what came of the attempt.
                for state in entry.states.values_mut().filter(|s| s.state == State::Ready) {
                    state.reason = error.reason();
                }
                return;
            }
        };
        let forgotten = models.remember(name);
        let entry = models.entry(name);
        for &version in failed.keys() {
            entry.states.entry(version).or_insert_with(|| VersionState::new(State::Loading, ""));
        }
        for (version, state) in &mut entry.states {
            match (failed.get(version), state.state) {
                (Some(error), State::Ready) => state.reason = error.reason(),
                (Some(error), _) => *state = VersionState::new(State::Unavailable, error.reason()),
                (None, State::Loading) => *state = VersionState::new(State::Unavailable, UNLOADED),
                (None, _) => {}
            }
        }
        let route = entry.route();
        self.routes.set(vec![(name.to_owned(), route)]);
        if let Some(forgotten) = forgotten {
            self.routes.forget(&forgotten);
        }
    }

    /// Lets a model serve that was made ready, and builds the ensembles anew that are made of it. What was replaced is
    /// returned, to be let go. Takes `origin` if it succeeds.
    pub(crate) fn install(
        &self,
        name: &str,
        ready: Ready,
        origin: &mut Origin,
        explicit: bool,
    ) -> Result<Vec<Retired>, LoadFailure> {
        let mut models = self.models.lock();
        models.missing.remove(name);
        let entry = models.entry(name);
        entry.explicit |= explicit;
        let started = match ready {
            Ready::Model(started) => {
                entry.ensemble = None;
                models.dependencies.set(name, BTreeSet::new());
                started
            }
            Ready::Ensemble(source) => build_first(&mut models, name, source)?,
        };
        let mut changes = Changes::default();
        replace(&mut models, name, started, Some(std::mem::take(origin)), &mut changes);
        changes.routes.push((name.to_owned(), models.entry(name).route()));
        rebuild_dependents(&mut models, name, &mut changes);
        Ok(self.apply(changes))
    }

    /// Lets models serve that were made ready together, and ends others, in one step: nobody sees some of it. Each ensemble
    /// comes behind what it is made of. What was replaced is returned, to be let go. If an ensemble cannot be built of the
    /// others, nothing changes, and its name is returned.
    pub(crate) fn install_together(
        &self,
        mut made: Vec<Made>,
        removed: &[String],
    ) -> Result<Vec<Retired>, (String, LoadFailure)> {
        let mut models = self.models.lock();
        let dependencies = dependencies_with(&models, &made)?;
        let built = build_together(&mut models, &mut made)?;
        models.dependencies = dependencies;
        let mut changes = Changes::default();
        let mut names = Vec::new();
        for (Made { name, ready, origin }, started) in made.into_iter().zip(built) {
            models.missing.remove(&name);
            let entry = models.entry(&name);
            entry.explicit = true;
            entry.ensemble = match ready {
                Ready::Ensemble(source) => Some(source),
                Ready::Model(_) => None,
            };
            replace(&mut models, &name, started, Some(origin), &mut changes);
            changes.routes.push((name.clone(), models.entry(&name).route()));
            names.push(name);
        }
        for name in removed {
            models.missing.remove(name);
            models.dependencies.set(name, BTreeSet::new());
            let entry = models.entry(name);
            (entry.ensemble, entry.explicit) = (None, false);
            end(&mut models, name, "", &mut changes);
        }
        // Also those that are made of several: the last time counts, and nobody is routed to the others.
        names.iter().chain(removed).for_each(|name| rebuild_dependents(&mut models, name, &mut changes));
        changes.retired.reverse();
        Ok(self.apply(changes))
    }

    /// Ends a model, and the ensembles that are made of it: these come back when it does.
    pub(crate) fn remove(&self, name: &str) -> Vec<Retired> {
        let mut models = self.models.lock();
        models.missing.remove(name);
        models.dependencies.set(name, BTreeSet::new());
        let entry = models.entry(name);
        (entry.ensemble, entry.explicit) = (None, false);
        let mut changes = Changes::default();
        end(&mut models, name, "", &mut changes);
        rebuild_dependents(&mut models, name, &mut changes);
        // The ensembles first: they hold on to the model.
        changes.retired.reverse();
        self.apply(changes)
    }

    /// From here on requests find what the changes say. Returns what is let go.
    fn apply(&self, changes: Changes) -> Vec<Retired> {
        // Before the routes: no request of a sequence finds neither.
        for elder in &changes.elders {
            self.elders.add(elder);
        }
        self.routes.set(changes.routes);
        for name in &changes.ended {
            self.elders.forget(name);
        }
        for name in &changes.forgotten {
            self.routes.forget(name);
        }
        changes.retired
    }
}

/// The dependencies as they are with these models.
fn dependencies_with(models: &Models, made: &[Made]) -> Result<Dependencies, (String, LoadFailure)> {
    let mut dependencies = models.dependencies.clone();
    for Made { name, ready, .. } in made {
        let composing = match ready {
            Ready::Model(_) => BTreeSet::new(),
            Ready::Ensemble(source) => source.composing(),
        };
        dependencies.set(name, composing);
    }
    for Made { name, ready, .. } in made {
        if let (Ready::Ensemble(source), Some(last)) = (ready, dependencies.cycle(name)) {
            let error = circular(name, &last);
            return Err((name.clone(), LoadFailure::Composing { versions: source.versions(), error }));
        }
    }
    Ok(dependencies)
}

/// Builds the ensembles among these of what the others will be: each serves for the time of this call, under the lock, and
/// is taken back. Returns the versions of each, in their order.
fn build_together(
    models: &mut Models,
    made: &mut [Made],
) -> Result<Vec<Vec<Started>>, (String, LoadFailure)> {
    let mut before = Vec::new();
    let mut failure = None;
    for Made { name, ready, .. } in made.iter_mut() {
        let started = match ready {
            Ready::Model(started) => Ok(std::mem::take(started)),
            Ready::Ensemble(source) => source
                .build(models)
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

/// Builds an ensemble that was read from its config just now. If that fails and nothing of it serves, it is built as soon
/// as the models are there that it needs.
fn build_first(
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
    let built = source.build(models).map_err(failure);
    let entry = models.entry(name);
    if built.is_ok() || entry.serving.is_empty() {
        entry.ensemble = Some(source);
        models.dependencies = dependencies;
    }
    built
}

#[cold]
pub(crate) fn circular(name: &str, last: &str) -> Error {
    let text = format!("circular dependency between ensembles: {name} -> ... -> {last} -> {name}");
    about(Error::invalid_arg(text), "ensemble_scheduling", FaultKind::Other)
}

/// Builds the ensembles anew that are made of `name`. One that cannot be goes on serving with the models that it has; if
/// these are unloaded, it ends.
fn rebuild_dependents(models: &mut Models, name: &str, changes: &mut Changes) {
    let mut renewed = BTreeSet::from([name.to_owned()]);
    for ensemble in models.dependencies.dependents(name) {
        let Some(source) = models.entries.get(&ensemble).and_then(|entry| entry.ensemble.clone()) else {
            continue;
        };
        if source.composing().is_disjoint(&renewed) {
            continue;
        }
        match source.build(models) {
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
                        // Somebody unloaded what it needs; that is still why.
                        _ if state.reason.starts_with(UNLOADED) => state.reason = unloaded(&error),
                        _ => *state = VersionState::new(State::Unavailable, error.reason()),
                    }
                }
            }
        }
    }
}

/// The reason of an ensemble that ended because a model did.
fn unloaded(error: &Error) -> String {
    format!("{UNLOADED}: {error}")
}

/// Lets these versions serve instead of those that do.
fn replace(
    models: &mut Models,
    name: &str,
    started: Vec<Started>,
    origin: Option<Origin>,
    changes: &mut Changes,
) {
    let entry = models.entry(name);
    for state in entry.states.values_mut().filter(|s| s.state == State::Ready) {
        *state = VersionState::new(State::Unloading, "");
    }
    for version in &started {
        entry.states.insert(version.model.version, VersionState::new(State::Ready, ""));
    }
    // A failure of a version that is no longer served does not count any more.
    for state in entry.states.values_mut().filter(|s| s.is_failure()) {
        *state = VersionState::new(State::Unavailable, UNLOADED);
    }
    let versions = kept::succeed(std::mem::take(&mut entry.serving), &started);
    let elders: Vec<_> = versions.iter().filter_map(|version| Elder::of(version, &started)).collect();
    entry.serving = started;
    entry.loads.succeeded += u64::from(origin.is_some());
    let origin = origin.map(|origin| std::mem::replace(&mut entry.origin, origin)).unwrap_or_default();
    models.recall(name);
    let weak = elders.iter().map(Arc::downgrade).collect();
    changes.retired.push(Retired { name: name.to_owned(), versions, origin, elders: weak });
    changes.elders.extend(elders);
}

/// Lets nothing of a model serve any more. An empty reason: because somebody asked for it.
fn end(models: &mut Models, name: &str, reason: &str, changes: &mut Changes) {
    let entry = models.entry(name);
    for state in entry.states.values_mut() {
        *state = match state.state {
            State::Ready => VersionState::new(State::Unloading, reason),
            _ if reason.is_empty() => VersionState::new(State::Unavailable, UNLOADED),
            _ => VersionState::new(State::Unavailable, reason),
        };
    }
    let versions = std::mem::take(&mut entry.serving);
    let origin = std::mem::take(&mut entry.origin);
    changes.routes.push((name.to_owned(), Vec::new()));
    changes.ended.push(name.to_owned());
    changes.retired.push(Retired { name: name.to_owned(), versions, origin, elders: Vec::new() });
    changes.forgotten.extend(models.remember(name));
}
