//! What the operations of a model's life work on.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use hippocamp_backend::{Error, Result};
use hippocamp_loading::{Loader, Started};
use hippocamp_repository::{Dependencies, Fingerprint};
use hippocamp_serving::{LoadedModel, Routes};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::draining::DrainingVersions;
use crate::entry::LoadCounts;
use crate::models::Models;
use crate::overrides::LoadOverrides;
use crate::settings::{LifecycleSettings, Repositories};
use crate::state::VersionState;

/// Loads models, lets them serve, replaces and unloads them. Knows the state of every model that was ever loaded or tried.
///
/// Requests see what it does by its [`Routes`] alone, and take none of its locks.
#[derive(Debug)]
pub struct Lifecycle {
    pub(crate) loader: Loader,
    pub(crate) settings: LifecycleSettings,
    pub(crate) routes: Routes,
    pub(crate) draining: DrainingVersions,
    pub(crate) models: Mutex<Models>,
    /// As many as models may be loaded at once.
    pub(crate) load_permits: Semaphore,
    /// Who is told when models have ended.
    pub(crate) ends: OnceLock<Weak<dyn EndObserver>>,
}

/// Who is told when models have ended.
pub trait EndObserver: std::fmt::Debug + Send + Sync {
    /// Versions of these models were unloaded or replaced, and their memory is free.
    fn ended(&self, names: &[String]);
}

/// By version.
pub type VersionStates = BTreeMap<u64, VersionState>;

impl Lifecycle {
    /// Without any model yet.
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

    /// From here on `observer` is told when models have ended. There is one at most: a second one is not told.
    pub fn observe_ends(&self, observer: Weak<dyn EndObserver>) {
        drop(self.ends.set(observer));
    }

    pub fn repositories(&self) -> &Repositories {
        &self.settings.repositories
    }

    pub fn loader(&self) -> &Loader {
        &self.loader
    }

    /// What requests find.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// What requests of sequences find beside that.
    pub fn draining(&self) -> &DrainingVersions {
        &self.draining
    }

    /// The version that was asked for, or the highest that serves. Takes no lock if there is one.
    pub fn find(&self, name: &str, version: Option<u64>) -> Result<Arc<LoadedModel>> {
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

    /// The states of all versions that are known, by model.
    pub fn states(&self) -> BTreeMap<String, VersionStates> {
        self.models.lock().states()
    }

    /// What the repositories would have to hold so that nothing was to be done: the content of each model that serves, and
    /// of one that failed or waits something that no model has.
    pub fn loaded(&self) -> BTreeMap<String, Fingerprint> {
        self.models.lock().loaded()
    }

    /// Which ensembles that are wanted are composed of which models.
    pub fn dependencies(&self) -> Dependencies {
        self.models.lock().dependencies.clone()
    }

    /// How often each model was loaded, and how often that failed.
    pub fn load_counts(&self) -> BTreeMap<String, LoadCounts> {
        self.models.lock().entries.iter().map(|(name, entry)| (name.clone(), entry.loads)).collect()
    }

    /// Whether a version failed to load, or a model that the settings ask for is missing.
    pub fn any_failure(&self) -> bool {
        self.models.lock().any_failure()
    }

    /// Whether a model that the settings ask for is missing.
    pub fn any_missing(&self) -> bool {
        !self.models.lock().missing.is_empty()
    }

    /// Whether any model serves.
    pub fn any_serving(&self) -> bool {
        self.models.lock().any_serving()
    }

    /// A model that the settings ask for could not be loaded: until it is, something is missing.
    pub fn set_missing(&self, name: &str) {
        self.models.lock().missing.insert(name.to_owned());
    }

    /// Notes that the model is wanted by itself, not only because an ensemble is composed of it.
    pub fn set_explicit(&self, name: &str) {
        if let Some(entry) = self.models.lock().entries.get_mut(name) {
            entry.explicit = true;
        }
    }

    /// What a request brought along or, if that is nothing, the config that the model was given by an earlier request and
    /// that is newer than the repository's.
    pub async fn with_given_config(self: &Arc<Self>, name: &str, overrides: LoadOverrides) -> LoadOverrides {
        if overrides.config.is_some() || !overrides.files.is_empty() {
            return overrides;
        }
        let given = self.models.lock().entries.get(name).and_then(|entry| entry.origin.given.clone());
        let Some(given) = given else { return overrides };
        let (lifecycle, name) = (Arc::clone(self), name.to_owned());
        let json = tokio::task::spawn_blocking(move || given.json_if_newer(lifecycle.repositories(), &name));
        // A panic in there was logged.
        LoadOverrides { config: json.await.ok().flatten(), ..overrides }
    }

    /// Lets all models go, and waits until their instances have finished what they run. Nothing is loaded after this.
    pub async fn end_all(&self) {
        self.routes.clear();
        self.draining.clear();
        let serving = self.models.lock().take_all();
        // All are let go before any is waited for: an ensemble holds on to its models.
        let stopped: Vec<_> = serving.into_iter().map(|Started { stopped, .. }| stopped).collect();
        for stopped in stopped {
            stopped.wait().await;
        }
    }
}
