//! Loading, replacing and unloading, one model at a time each, several models at once.
//!
//! A new version is made ready off to the side and only then routed to. The one it replaces answers until its last
//! request is done. A load that fails changes nothing but the reason in the index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Code, Error};
use hippocamp_repository::{Action, Fingerprint, ModelFolder, ScanFault, Wanted, check_name, find, plan};
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::index::{State, UNLOADED, VersionState};
use crate::load::{LoadFailure, Loader, Started, not_found};
use crate::overrides::{ModelFiles, OverrideFolder};
use crate::{InferenceServer, LoadOverrides, LoadedModel};

/// Every model that was ever loaded or tried, by name.
#[derive(Debug, Default)]
pub(crate) struct Models {
    entries: BTreeMap<String, Entry>,
    /// Models that the settings ask for and whose config cannot be used: until they load, something is missing.
    missing: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Entry {
    states: BTreeMap<u64, VersionState>,
    serving: Vec<Started>,
    /// Files that were brought here for this load. They live as long as what serves from them.
    files: Option<ModelFiles>,
    /// Held while the model is loaded or unloaded, so that it is one after the other.
    turn: Arc<AsyncMutex<()>>,
}

impl Models {
    pub(crate) fn any_failure(&self) -> bool {
        let failed = |entry: &Entry| entry.states.values().any(VersionState::is_failure);
        !self.missing.is_empty() || self.entries.values().any(failed)
    }

    /// Whether that version is known, whatever its state.
    pub(crate) fn knows(&self, name: &str, version: u64) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.states.contains_key(&version))
    }

    pub(crate) fn states(&self) -> BTreeMap<String, BTreeMap<u64, VersionState>> {
        let known = self.entries.iter().filter(|(_, entry)| !entry.states.is_empty());
        known.map(|(name, entry)| (name.clone(), entry.states.clone())).collect()
    }

    /// Everything that serves; nothing does any more afterwards.
    pub(crate) fn take_all(&mut self) -> Vec<Started> {
        self.entries.values_mut().flat_map(|entry| std::mem::take(&mut entry.serving)).collect()
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        self.entries.entry(name.to_owned()).or_default()
    }

    /// Forgets a name under which nothing was ever loaded: clients may try any number of them.
    fn forget_if_unknown(&mut self, name: &str) {
        // Two owners: this map and the caller, whose turn it is. More are waiting for theirs.
        let unknown = |e: &Entry| e.states.is_empty() && Arc::strong_count(&e.turn) <= 2;
        if self.entries.get(name).is_some_and(unknown) {
            self.entries.remove(name);
        }
    }
}

/// What was replaced or unloaded, to be let go.
struct Retired {
    name: String,
    versions: Vec<Started>,
    files: Option<ModelFiles>,
}

impl InferenceServer {
    /// Carries out the plan that leads from the models loaded to those wanted. Returns what went wrong, a line each.
    pub(crate) async fn carry_out(
        self: &Arc<Self>,
        loaded: &BTreeMap<String, Fingerprint>,
        present: &BTreeMap<String, Fingerprint>,
        wanted: &Wanted,
    ) -> Vec<String> {
        let mut tasks = JoinSet::new();
        let mut faults = Vec::new();
        for action in plan(loaded, present, wanted) {
            let server = Arc::clone(self);
            match action {
                Action::Load(name) => drop(tasks.spawn(async move {
                    let failure = server.load_model(name.clone(), LoadOverrides::default()).await.err()?;
                    if failure.is_unsupported() {
                        // It can't be served by any attempt; the others shall not wait for it.
                        return None;
                    }
                    let fault = format!("failed to load model '{name}': {}", failure.reason());
                    server.models.lock().missing.insert(name);
                    Some(fault)
                })),
                Action::Unload(name) => drop(tasks.spawn(async move {
                    server.unload_model(name).await;
                    None
                })),
                Action::Missing(name) => {
                    let fault = format!("failed to load model '{name}': no model repository has it");
                    error!("{fault}");
                    faults.push(fault);
                }
            }
        }
        faults.extend(tasks.join_all().await.into_iter().flatten());
        faults
    }

    /// Loads a model and routes to it. Goes on to the end even if whoever asked does not wait for it.
    pub(crate) async fn load_model(
        self: &Arc<Self>,
        name: String,
        overrides: LoadOverrides,
    ) -> Result<(), LoadFailure> {
        if let Err(fault) = check_name(&name) {
            error!("refused to load model '{}': not a model's name, {fault}", name.escape_debug());
            return Err(LoadFailure::Config(not_found(&name)));
        }
        let server = Arc::clone(self);
        let task = tokio::spawn(async move {
            let turn = Arc::clone(&server.models.lock().entry(&name).turn);
            let _turn = turn.lock().await;
            let _permit = server.load_permits.acquire().await;
            let begin = Instant::now();
            let outcome = server.load_on_thread(name.clone(), overrides).await;
            let ms = begin.elapsed().as_millis();
            match &outcome {
                Ok(_) => info!(model = name, ms, "loaded"),
                Err(failure) => {
                    error!("failed to load model '{name}': {}", failure.reason());
                    server.models.lock().forget_if_unknown(&name);
                }
            }
            let retired = outcome?;
            // Does not make the caller wait: the new version serves already.
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.retire(retired).await });
            Ok(())
        });
        task.await
            .unwrap_or_else(|e| Err(LoadFailure::Config(Error::internal(format!("loading failed: {e}")))))
    }

    /// Runs the load on a thread of its own: it may take seconds, and a backend may recurse deeply.
    async fn load_on_thread(
        self: &Arc<Self>,
        name: String,
        overrides: LoadOverrides,
    ) -> Result<Retired, LoadFailure> {
        let (done, result) = tokio::sync::oneshot::channel();
        let server = Arc::clone(self);
        let thread = std::thread::Builder::new().name(format!("load {name}"));
        let started = thread.spawn(move || drop(done.send(server.load_now(&name, &overrides))));
        if let Err(e) = started {
            let error = Error::unavailable(format!("no thread could be started to load it: {e}"));
            return Err(LoadFailure::Config(error));
        }
        let lost = || Error::internal("the loading thread ended without a word");
        result.await.unwrap_or_else(|_| Err(LoadFailure::Config(lost())))
    }

    /// Loads and installs. What was replaced is returned, to be let go.
    fn load_now(&self, name: &str, overrides: &LoadOverrides) -> Result<Retired, LoadFailure> {
        let mut retries = self.settings().model_load_retry_count;
        let (folder, files) = loop {
            match self.folder(name, overrides) {
                Ok(found) => break found,
                // Only a store may do better the next time; a disk would not.
                Err(error) if retries > 0 && error.code() == Code::Unavailable => {
                    error!("failed to load model '{name}', trying again: {error}");
                    retries -= 1;
                }
                Err(error) => {
                    let failure = LoadFailure::Config(error);
                    self.mark_failed(name, &failure);
                    return Err(failure);
                }
            }
        };
        loop {
            let prepared = Loader::prepare(folder.clone(), overrides.config.as_deref());
            let prepared =
                prepared.map_err(LoadFailure::Config).inspect_err(|f| self.mark_failed(name, f))?;
            self.mark_loading(name, &prepared.versions);
            match self.loader.load(prepared) {
                Ok(started) => return Ok(self.install(name, started, files)),
                Err(failure) if retries == 0 => {
                    self.mark_failed(name, &failure);
                    return Err(failure);
                }
                Err(failure) => {
                    error!("failed to load model '{name}', trying again: {}", failure.reason());
                    retries -= 1;
                }
            }
        }
    }

    /// Where the model's files are: in a repository, or in the request.
    fn folder(
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

    /// Versions that serve already stay as they are: they go on serving.
    fn mark_loading(&self, name: &str, versions: &[u64]) {
        let mut models = self.models.lock();
        let states = &mut models.entry(name).states;
        for &version in versions {
            let state = states.entry(version).or_insert_with(|| VersionState::new(State::Loading, ""));
            if state.state != State::Ready {
                *state = VersionState::new(State::Loading, "");
            }
        }
    }

    fn mark_failed(&self, name: &str, failure: &LoadFailure) {
        let mut models = self.models.lock();
        let entry = models.entry(name);
        let failed = match failure {
            LoadFailure::Versions(failed) => failed,
            LoadFailure::Config(error) => {
                // No version was tried. Those that serve go on, and the index says what came of the attempt.
                for state in entry.states.values_mut().filter(|s| s.state == State::Ready) {
                    state.reason = error.reason();
                }
                return;
            }
        };
        for (version, state) in &mut entry.states {
            match (failed.get(version), state.state) {
                (Some(error), State::Ready) => state.reason = error.reason(),
                (Some(error), _) => *state = VersionState::new(State::Unavailable, error.reason()),
                (None, State::Loading) => *state = VersionState::new(State::Unavailable, UNLOADED),
                (None, _) => {}
            }
        }
        let serving = serving(entry);
        // Under the lock, so that states and routes never tell different stories.
        self.routes.set(name, serving);
    }

    fn install(&self, name: &str, started: Vec<Started>, files: Option<ModelFiles>) -> Retired {
        let mut models = self.models.lock();
        models.missing.remove(name);
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
        let versions = std::mem::replace(&mut entry.serving, started);
        let files = std::mem::replace(&mut entry.files, files);
        let serving = serving(entry);
        self.routes.set(name, serving);
        Retired { name: name.to_owned(), versions, files }
    }

    pub(crate) async fn unload_model(self: &Arc<Self>, name: String) {
        let Some(turn) = self.models.lock().entries.get(&name).map(|entry| Arc::clone(&entry.turn)) else {
            return;
        };
        let server = Arc::clone(self);
        let task = tokio::spawn(async move {
            let _turn = turn.lock().await;
            let retired = server.remove(&name);
            if !retired.versions.is_empty() {
                server.retire(retired).await;
                info!(model = name, "unloaded");
            }
        });
        // A panic in there was logged where it happened.
        drop(task.await);
    }

    fn remove(&self, name: &str) -> Retired {
        let mut models = self.models.lock();
        models.missing.remove(name);
        let entry = models.entry(name);
        for state in entry.states.values_mut() {
            *state = match state.state {
                State::Ready => VersionState::new(State::Unloading, ""),
                _ => VersionState::new(State::Unavailable, UNLOADED),
            };
        }
        let versions = std::mem::take(&mut entry.serving);
        let files = entry.files.take();
        self.routes.set(name, Vec::new());
        Retired { name: name.to_owned(), versions, files }
    }

    /// Waits until the last request of what was retired is done, and its memory is free.
    async fn retire(&self, retired: Retired) {
        for Started { model, stopped } in retired.versions {
            let version = model.version;
            drop(model);
            stopped.wait().await;
            let mut models = self.models.lock();
            let state = models.entry(&retired.name).states.get_mut(&version);
            if let Some(state) = state.filter(|s| s.state == State::Unloading) {
                *state = VersionState::new(State::Unavailable, UNLOADED);
            }
        }
        drop(retired.files);
    }
}

fn serving(entry: &Entry) -> Vec<Arc<LoadedModel>> {
    entry.serving.iter().map(|version| Arc::clone(&version.model)).collect()
}
