//! Loading, replacing and unloading, one model at a time each, several models at once.
//!
//! A new version is made ready off to the side and only then routed to. The one it replaces answers until its last
//! request is done. A load that fails changes nothing but the reason in the index. An ensemble is loaded behind the models
//! that it is composed of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Code, Error};
use hippocamp_loading::{Prepared, prepare};
use hippocamp_repository::{Action, Fingerprint, ModelFolder, ScanFault, Wanted, find, plan};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::ensembles::EnsembleSource;
use crate::index::{State, UNLOADED, VersionState};
use crate::install::{Made, Ready, circular};
use crate::jobs::{Job, Jobs};
use crate::load::{LoadFailure, Loader, all_versions};
use crate::models::{Origin, Retired};
use crate::overrides::{GivenConfig, ModelFiles, OverrideFolder};
use crate::start_fault::StartFault;
use crate::{ControlMode, InferenceServer, LoadOverrides};

impl InferenceServer {
    /// Carries out the plan that leads from the models loaded to those wanted. Returns what went wrong.
    pub(crate) async fn carry_out(
        self: &Arc<Self>,
        loaded: &BTreeMap<String, Fingerprint>,
        present: &BTreeMap<String, Fingerprint>,
        wanted: &Wanted,
    ) -> Vec<StartFault> {
        let mut jobs = Vec::new();
        let mut unloads = JoinSet::new();
        let mut faults = Vec::new();
        for action in plan(loaded, present, wanted) {
            match action {
                Action::Load(name) => jobs.push(match present.get(&name) {
                    // Nobody says that it has settled; if it hasn't, that will be noticed.
                    Some(content) if self.settings().control_mode == ControlMode::Poll => {
                        Job::settled(name, *content)
                    }
                    _ => Job::explicit(name, LoadOverrides::default()),
                }),
                Action::Unload(name) => {
                    let server = Arc::clone(self);
                    unloads.spawn(async move { server.unload_model(name, false).await });
                }
                Action::Missing(name) => {
                    let fault = format!("failed to load model '{name}': no model repository has it");
                    error!(model = name, "{fault}");
                    faults.push(StartFault { model: Some(name), message: fault, errors: Vec::new() });
                }
            }
        }
        if let Some(demand) = &self.on_demand {
            let names = jobs.drain(..).map(|job| job.name).collect();
            self.stand_by(demand, names, present).await;
        }
        let planned: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
        let mut outcomes = self.load_models(jobs).await;
        for name in planned {
            let Some(Err(failure)) = outcomes.remove(&name) else { continue };
            if let LoadFailure::Changed = failure {
                // Whoever watches loads it when it has settled.
                continue;
            }
            self.models.lock().missing.insert(name.clone());
            faults.push(StartFault::of_model(name, failure));
        }
        unloads.join_all().await;
        faults
    }

    /// Loads a model and routes to it, and loads what it is composed of before. Goes on to the end even if whoever asked
    /// does not wait for it.
    pub(crate) async fn load_model(
        self: &Arc<Self>,
        name: String,
        overrides: LoadOverrides,
    ) -> Result<(), LoadFailure> {
        let server = Arc::clone(self);
        let task = tokio::spawn(async move {
            let mut outcomes = server.load_models(vec![Job::explicit(name.clone(), overrides)]).await;
            outcomes.remove(&name)
        });
        let lost = |why: String| Err(LoadFailure::Config(Error::internal(why)));
        match task.await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => lost("the load was given up".to_owned()),
            Err(e) => lost(format!("loading failed: {e}")),
        }
    }

    /// Loads models, each behind those that it is composed of, otherwise several at once.
    async fn load_models(self: &Arc<Self>, jobs: Vec<Job>) -> BTreeMap<String, Result<(), LoadFailure>> {
        let server = Arc::clone(self);
        let jobs = tokio::task::spawn_blocking(move || Jobs::with_composing(&server, jobs)).await;
        let Ok(jobs) = jobs else { return BTreeMap::new() };
        self.run_jobs(jobs).await
    }

    /// Loads just these. Whoever unloads one of them, or loads it again, waits until all are done that are tied to it.
    pub(crate) async fn run_jobs(self: &Arc<Self>, jobs: Jobs) -> BTreeMap<String, Result<(), LoadFailure>> {
        let (groups, mut outcomes) = jobs.into_groups();
        let mut tasks = JoinSet::new();
        for group in groups {
            let server = Arc::clone(self);
            tasks.spawn(async move {
                let _turns = server.turns_of(group.names()).await;
                let load = move |job| {
                    let server = Arc::clone(&server);
                    async move { server.load_one(job).await }
                };
                group.run(load).await
            });
        }
        while let Some(done) = tasks.join_next().await {
            // A panic in there was logged where it happened.
            outcomes.extend(done.unwrap_or_default());
        }
        outcomes
    }

    /// Waits until it is the turn of these models, and holds it. In the order of their names, so that two who do so never wait
    /// for each other.
    pub(crate) async fn turns_of(&self, names: BTreeSet<String>) -> Vec<OwnedMutexGuard<()>> {
        let mut turns = Vec::new();
        for name in names {
            let turn = Arc::clone(&self.models.lock().entry(&name).turn);
            turns.push(turn.lock_owned().await);
        }
        turns
    }

    /// The caller has the model's turn.
    async fn load_one(self: &Arc<Self>, job: Job) -> Result<(), LoadFailure> {
        let name = job.name.clone();
        let _permit = self.load_permits.acquire().await;
        let begin = Instant::now();
        let outcome = self.on_loading_thread(&name, move |server| server.load_now(&job)).await;
        let ms = begin.elapsed().as_millis();
        match &outcome {
            Ok(None) => {}
            Ok(Some(_)) => info!(model = name, ms, "loaded"),
            Err(failure) => self.tell_failure(&name, failure),
        }
        if let Some(retired) = outcome? {
            self.let_go(retired);
        }
        Ok(())
    }

    pub(crate) fn tell_failure(&self, name: &str, failure: &LoadFailure) {
        if let LoadFailure::Changed = failure {
            info!(model = name, "it changed while it was loaded, and will be loaded when that has settled");
            return;
        }
        let backends: Vec<&str> = self.loader.context.backends.names().collect();
        let (reason, hints) = (failure.reason(), failure.hints(&backends));
        error!(model = name, "failed to load model '{name}': {reason}{hints}");
        if self.models.lock().forget_if_unknown(name) {
            self.routes.forget(name);
        }
    }

    /// Has somebody wait for the end of what was replaced. The caller does not: the new version serves already.
    pub(crate) fn let_go(self: &Arc<Self>, retired: Vec<Retired>) {
        let server = Arc::clone(self);
        tokio::spawn(async move { server.retire(retired).await });
    }

    /// Runs a load on a thread of its own: it may take seconds, and a backend may recurse deeply.
    pub(crate) async fn on_loading_thread<T: Send + 'static>(
        self: &Arc<Self>,
        name: &str,
        load: impl FnOnce(&InferenceServer) -> Result<T, LoadFailure> + Send + 'static,
    ) -> Result<T, LoadFailure> {
        let (done, result) = tokio::sync::oneshot::channel();
        let server = Arc::clone(self);
        let thread = std::thread::Builder::new().name(format!("load {name}"));
        let started = thread.spawn(move || drop(done.send(load(&server))));
        if let Err(e) = started {
            let error = Error::unavailable(format!("no thread could be started to load it: {e}"));
            return Err(LoadFailure::Config(error));
        }
        let lost = || Error::internal("the loading thread ended without a word");
        result.await.unwrap_or_else(|_| Err(LoadFailure::Config(lost())))
    }

    /// Loads and installs. What was replaced is returned, to be let go; `None` if the model serves what it should already.
    fn load_now(&self, job: &Job) -> Result<Option<Vec<Retired>>, LoadFailure> {
        let mut retries = self.settings().model_load_retry_count;
        let Some((folder, mut origin)) = self.open(job, &mut retries)? else { return Ok(None) };
        let load = || {
            let ready = self.make(job, &folder, &origin)?;
            self.install(&job.name, ready, &mut origin, job.explicit)
        };
        self.with_retries(&job.name, retries, load).map(Some)
    }

    /// Makes a model ready off to the side, to be installed with others. Changes nothing of what serves.
    pub(crate) fn load_aside(&self, job: &Job) -> Result<Made, LoadFailure> {
        let mut retries = self.settings().model_load_retry_count;
        let opened = self.open(job, &mut retries)?;
        let (folder, origin) = opened.ok_or(LoadFailure::Changed)?;
        let ready = self.with_retries(&job.name, retries, || self.make(job, &folder, &origin))?;
        Ok(Made { name: job.name.clone(), ready, origin })
    }

    /// Finds the model's files. `None` if the model serves just these, and that is enough.
    fn open(&self, job: &Job, retries: &mut u32) -> Result<Option<(ModelFolder, Origin)>, LoadFailure> {
        let (folder, files) = self.fetch(job, retries)?;
        if !job.explicit && self.serves(&job.name, folder.fingerprint) {
            return Ok(None);
        }
        if job.expected.is_some_and(|expected| expected != folder.fingerprint) {
            return Err(LoadFailure::Changed);
        }
        self.models.lock().entry(&job.name).in_repository = job.overrides.files.is_empty();
        let from_repository = job.overrides.config.is_none() && job.overrides.files.is_empty();
        let fingerprint = from_repository.then_some(folder.fingerprint);
        let given = GivenConfig::of(self.settings(), &job.name, &job.overrides);
        Ok(Some((folder, Origin { fingerprint, files, given })))
    }

    /// From the model's files to what can be installed.
    fn make(&self, job: &Job, folder: &ModelFolder, origin: &Origin) -> Result<Ready, LoadFailure> {
        let prepared = prepare(&self.loader.context, folder.clone(), job.overrides.config.as_deref());
        let ready = prepared.map_err(LoadFailure::Config).and_then(|prepared| {
            self.mark_loading(&job.name, &prepared.versions);
            if hippocamp_model_config::is_ensemble(&prepared.config) {
                make_ensemble(job, prepared, &self.loader)
            } else {
                self.loader.load(prepared, self.kept(&job.name)).map(Ready::Model)
            }
        });
        // Files that were brought here for this load do not change. Of others half may have been read before a change
        // and half behind it: that explains a failure, and a success could be a lie.
        if job.expected.is_some() && origin.files.is_none() && !folder.is_unchanged() {
            return Err(LoadFailure::Changed);
        }
        // Where they were brought to is nobody's business, and gone when somebody reads it.
        ready.map_err(|failure| match &origin.files {
            Some(_) => failure.with_text(&|text| without_folder(text, folder)),
            None => failure,
        })
    }

    /// Tries again what may go better the next time: a config won't, and what changed settles first.
    fn with_retries<T>(
        &self,
        name: &str,
        mut retries: u32,
        mut attempt: impl FnMut() -> Result<T, LoadFailure>,
    ) -> Result<T, LoadFailure> {
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(LoadFailure::Changed) => return Err(LoadFailure::Changed),
                Err(failure) if retries == 0 || matches!(failure, LoadFailure::Config(_)) => {
                    self.mark_failed(name, &failure);
                    return Err(failure);
                }
                Err(failure) => {
                    error!(model = name, "failed to load model '{name}', trying again: {}", failure.reason());
                    retries -= 1;
                }
            }
        }
    }

    /// Finds the model's files, and brings them here if they are elsewhere. Only that is tried again: a disk would not do
    /// better the next time.
    fn fetch(&self, job: &Job, retries: &mut u32) -> Result<(ModelFolder, Option<ModelFiles>), LoadFailure> {
        let name = &job.name;
        loop {
            match self.folder(name, &job.overrides) {
                Ok(found) => return Ok(found),
                Err(error) if *retries > 0 && error.code() == Code::Unavailable => {
                    error!(model = name, "failed to load model '{name}', trying again: {error}");
                    *retries -= 1;
                }
                Err(error) => {
                    let failure = LoadFailure::Config(error);
                    self.mark_failed(name, &failure);
                    return Err(failure);
                }
            }
        }
    }

    /// Whether the model serves, and from just that content, or from what a request brought along.
    fn serves(&self, name: &str, content: Fingerprint) -> bool {
        let models = self.models.lock();
        let entry = models.entries.get(name);
        entry
            .is_some_and(|e| !e.serving.is_empty() && e.origin.fingerprint.is_none_or(|from| from == content))
    }

    /// Where the model's files are: in a repository, or in the request.
    pub(crate) fn folder(
        &self,
        name: &str,
        overrides: &LoadOverrides,
    ) -> Result<(ModelFolder, Option<ModelFiles>), Error> {
        if !overrides.files.is_empty() {
            if overrides.config.is_none() {
                return Err(Error::invalid_arg(format!(
                    "override files of model '{name}' came without a 'config' parameter"
                )));
            }
            let files = OverrideFolder::write(name, &overrides.files)?;
            return Ok((files.read(name)?, Some(ModelFiles::Override(files))));
        }
        let settings = self.settings();
        let found =
            find(&settings.repositories, name, &settings.scan_options()).map_err(|fault| match fault {
                ScanFault::Fetch { .. } => Error::unavailable(fault.to_string()),
                fault => Error::internal(fault.to_string()),
            })?;
        let found =
            found.ok_or_else(|| Error::not_found(format!("no model repository has model '{name}'")))?;
        Ok((found.folder, found.files.map(ModelFiles::Snapshot)))
    }

    /// Unloads a model; with `dependents` also what was loaded only because this model is composed of it, if nothing else
    /// is. Returns when the last request is done and the memory free.
    pub(crate) async fn unload_model(self: &Arc<Self>, name: String, dependents: bool) {
        let server = Arc::clone(self);
        let task = tokio::spawn(async move {
            let mut open = vec![name];
            while let Some(name) = open.pop() {
                let composing = server.unload_one(&name).await;
                let models = server.models.lock();
                open.extend(composing.into_iter().filter(|name| {
                    let explicit = models.entries.get(name).is_none_or(|entry| entry.explicit);
                    dependents && !explicit && !models.dependencies.is_used(name)
                }));
            }
        });
        // A panic in there was logged where it happened.
        drop(task.await);
    }

    /// Returns what the model was composed of.
    async fn unload_one(self: &Arc<Self>, name: &str) -> Vec<String> {
        let (composing, retired) = self.end_model(name).await;
        self.see_off(name, retired).await;
        composing
    }

    /// Routes no request to the model any more, when it is its turn. Returns what it was composed of, and what is to be
    /// [seen off](Self::see_off).
    pub(crate) async fn end_model(&self, name: &str) -> (Vec<String>, Vec<Retired>) {
        let turn = self.models.lock().entries.get(name).map(|entry| Arc::clone(&entry.turn));
        let Some(turn) = turn else { return (Vec::new(), Vec::new()) };
        // Let go at the end of this: it may be loaded anew while its last requests run.
        let _turn = turn.lock().await;
        let composing = self.models.lock().dependencies.composing(name).map(str::to_owned).collect();
        (composing, self.remove(name))
    }

    /// Waits for the end of a model that was unloaded.
    pub(crate) async fn see_off(self: &Arc<Self>, name: &str, retired: Vec<Retired>) {
        let served = retired.iter().any(|retired| !retired.versions.is_empty());
        self.retire(retired).await;
        if served {
            info!(model = name, "unloaded");
        }
    }

    /// Waits until the last request of what was retired is done, and its memory is free.
    pub(crate) async fn retire(self: &Arc<Self>, retired: Vec<Retired>) {
        // All are let go before any is waited for: an ensemble holds on to its models.
        let mut waiting = Vec::new();
        let mut files = Vec::new();
        let mut draining = JoinSet::new();
        let names: Vec<String> = retired.iter().map(|retired| retired.name.clone()).collect();
        for Retired { name, versions, origin, elders } in retired {
            files.push(origin.files);
            for elder in elders {
                let server = Arc::clone(self);
                draining.spawn(async move { server.elders.drain(elder).await });
            }
            for version in versions {
                waiting.push((name.clone(), version.model.version, version.stopped));
            }
        }
        for (name, version, stopped) in waiting {
            stopped.wait().await;
            let mut models = self.models.lock();
            let state = models.entries.get_mut(&name).and_then(|entry| entry.states.get_mut(&version));
            if let Some(state) = state.filter(|s| s.state == State::Unloading) {
                let reason = if state.reason.is_empty() { UNLOADED } else { &state.reason };
                *state = VersionState::new(State::Unavailable, reason);
            }
        }
        draining.join_all().await;
        drop(files);
        self.account_for_end(&names);
    }
}

/// A text in which paths begin with the model's name instead of the folder that its files are in for now.
fn without_folder(text: &str, folder: &ModelFolder) -> String {
    text.replace(&*folder.path.to_string_lossy(), &folder.name)
}

/// Checks the config of an ensemble. It is built when it is installed.
fn make_ensemble(job: &Job, prepared: Prepared, loader: &Loader) -> Result<Ready, LoadFailure> {
    let versions = prepared.versions.clone();
    if let Some(last) = &job.cycle {
        return Err(LoadFailure::Composing { versions, error: circular(&job.name, last) });
    }
    match EnsembleSource::new(prepared, &loader.settings, &loader.context, loader.cache.clone()) {
        Ok(source) => Ok(Ready::Ensemble(Arc::new(source))),
        Err(error) => Err(all_versions(&versions, &error)),
    }
}
