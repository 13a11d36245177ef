//! [`Lifecycle`] itself: its state, its settings and the queries on it. The operations are in the other files.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use hippocamp_backend::{Error, Result};
use hippocamp_loading::{Loader, Started};
use hippocamp_repository::{Dependencies, Fingerprint};
use hippocamp_serving::{ModelRef, Routes};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::draining::DrainingVersions;
use crate::entry::LoadCounts;
use crate::models::Models;
use crate::overrides::LoadOverrides;
use crate::settings::{LifecycleSettings, Repositories};
use crate::state::VersionState;

/// Loads, replaces and unloads models, and keeps the state of every model that was loaded or failed to load.
///
/// Inference requests find models through its [`Routes`] and take none of its locks.
#[derive(Debug)]
pub struct Lifecycle {
    pub(crate) loader: Loader,
    pub(crate) settings: LifecycleSettings,
    pub(crate) routes: Routes,
    pub(crate) draining: DrainingVersions,
    pub(crate) models: Mutex<Models>,
    /// One permit for each model that may be loaded at the same time.
    pub(crate) load_permits: Semaphore,
    /// The observer of ended models, if one was set.
    pub(crate) ends: OnceLock<Weak<dyn EndObserver>>,
}

/// An observer that is called when models have ended.
pub trait EndObserver: std::fmt::Debug + Send + Sync {
    /// Versions of these models were unloaded or replaced, and their memory is free.
    fn ended(&self, names: &[String]);
}

/// The states of a model's versions, by version number.
pub type VersionStates = BTreeMap<u64, VersionState>;

impl Lifecycle {
    /// A lifecycle without any model.
    pub fn new(loader: Loader, settings: LifecycleSettings) -> Lifecycle {
        let threads = settings.load_threads.max(1);
        Lifecycle {
            loader,
            settings,
            routes: Routes::default(),
            draining: DrainingVersions::default(),
            models: Mutex::default(),
            load_permits: Semaphore::new(threads),
            ends: OnceLock::new(),
        }
    }

    /// Spawns a task that outlives the request that it is spawned for, on the runtime of background work.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        match &self.settings.background {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        }
    }

    /// Sets the observer of ended models. Only the first call has an effect.
    pub fn observe_ends(&self, observer: Weak<dyn EndObserver>) {
        drop(self.ends.set(observer));
    }

    pub fn repositories(&self) -> &Repositories {
        &self.settings.repositories
    }

    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// The routes by which requests find loaded models.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// The draining versions, which requests of running sequences still find.
    pub fn draining(&self) -> &DrainingVersions {
        &self.draining
    }

    /// Finds the given version of a model, or with `None` the highest that serves. Takes no lock if it is found. Otherwise
    /// the error says why the version does not serve.
    pub fn find(&self, name: &str, version: Option<u64>) -> Result<ModelRef> {
        self.routes.find(name, version).map_err(|error| match version {
            Some(version) if self.models.lock().knows(name, version) => Error::unavailable(format!(
                "Request for unknown model: '{name}' version {version} is not at ready state"
            )),
            _ => error,
        })
    }

    /// Whether any version of the model serves.
    pub fn serves(&self, name: &str) -> bool {
        !self.models.lock().serving(name).is_empty()
    }

    /// The states of all known versions, by model name.
    pub fn states(&self) -> BTreeMap<String, VersionStates> {
        self.models.lock().states()
    }

    /// The fingerprint of the content that each model was loaded from, by model name. A model that was never loaded, or was
    /// loaded with overrides, has a fingerprint that matches no folder, so that a comparison with the repositories shows it
    /// as changed.
    pub fn loaded(&self) -> BTreeMap<String, Fingerprint> {
        self.models.lock().loaded()
    }

    /// The composing models of every wanted ensemble.
    pub fn dependencies(&self) -> Dependencies {
        self.models.lock().dependencies.clone()
    }

    /// The numbers of successful and failed loads, by model name.
    pub fn load_counts(&self) -> BTreeMap<String, LoadCounts> {
        self.models.lock().entries.iter().map(|(name, entry)| (name.clone(), entry.loads)).collect()
    }

    /// Whether a version failed to load, or a model that the settings ask for is missing.
    pub fn any_failure(&self, passed_over: &dyn Fn(&str) -> bool) -> bool {
        self.models.lock().any_failure(passed_over)
    }

    /// Whether a model that the settings ask for is missing.
    pub fn any_missing(&self) -> bool {
        !self.models.lock().missing.is_empty()
    }

    /// Whether any model serves.
    pub fn any_serving(&self) -> bool {
        self.models.lock().any_serving()
    }

    /// Notes that a model that the settings ask for could not be loaded. It counts as missing until it is loaded.
    pub fn set_missing(&self, name: &str) {
        self.models.lock().missing.insert(name.to_owned());
    }

    /// Notes that the model was asked for by name, so that it stays loaded when the ensembles that use it are unloaded.
    pub fn set_explicit(&self, name: &str) {
        if let Some(entry) = self.models.lock().entries.get_mut(name) {
            entry.explicit = true;
        }
    }

    /// The overrides of a load request. If it has none, the config from an earlier load request is used, unless the config
    /// in the repository was written since.
    pub async fn with_given_config(self: &Arc<Self>, name: &str, overrides: LoadOverrides) -> LoadOverrides {
        if overrides.config.is_some() || !overrides.files.is_empty() {
            return overrides;
        }
        let given = self.models.lock().entries.get(name).and_then(|entry| entry.origin.given.clone());
        let Some(given) = given else { return overrides };
        let (lifecycle, name) = (Arc::clone(self), name.to_owned());
        let json = tokio::task::spawn_blocking(move || given.json_if_newer(lifecycle.repositories(), &name));
        // A panic in the task was logged.
        LoadOverrides { config: json.await.ok().flatten(), ..overrides }
    }

    /// Unloads all models and waits until their instances have finished their requests. The caller must not load models
    /// after this.
    pub async fn end_all(&self) {
        self.routes.clear();
        self.draining.clear();
        let serving = self.models.lock().take_all();
        // All models are dropped before the first wait, because an ensemble keeps its models alive.
        let stopped: Vec<_> = serving.into_iter().map(|Started { stopped, .. }| stopped).collect();
        for stopped in stopped {
            stopped.wait().await;
        }
    }
}
