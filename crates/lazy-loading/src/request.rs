//! Finds models for requests when they are not loaded.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Error, Result};
use hippocamp_serving::LoadedModel;
use tokio::sync::watch;

use crate::footprint::folder_here;
use crate::lazy_loading::{LazyLoading, Outcome};

/// What happens to a request for a model that is not loaded.
enum Asked {
    /// The request waits for a load, which was begun for it or for another request.
    Wait(watch::Receiver<Option<Outcome>>),
    /// The last load failed, and it is too early to try again.
    Refused(Error),
    /// The model is not loaded on request.
    Unknown,
}

impl LazyLoading {
    /// Finds a model for a request after the normal look-up failed with `error`. A model that may be loaded lazily is loaded
    /// first, and this returns when it serves or with the error of the load. For other models it returns `error`. Dropping
    /// the future ends the wait, not the load.
    pub async fn find_or_load(
        &self,
        name: &str,
        version: Option<u64>,
        error: Error,
    ) -> Result<Arc<LoadedModel>> {
        if let Some(version) = version
            && !self.has_version(name, version).await
        {
            return Err(if self.knows(name) { no_version(name, version) } else { error });
        }
        if self.lifecycle.serves(name) {
            return self.lifecycle.find(name, version).map(|model| Arc::clone(&model));
        }
        let mut outcome = match self.join_load(name) {
            Asked::Wait(outcome) => outcome,
            Asked::Refused(error) => return Err(error),
            Asked::Unknown => return Err(error),
        };
        let lost = || Error::internal(format!("the load of model '{name}' ended without a word"));
        let outcome = outcome.wait_for(Option::is_some).await.map_err(|_| lost())?;
        // The versions come with the result and are not looked up again: the model may be evicted before this task runs.
        let versions = outcome.clone().unwrap_or_else(|| Err(lost()))?;
        let mut versions = versions.into_iter().rev();
        let found = versions.find(|model| version.is_none_or(|version| model.version == version));
        found.ok_or_else(|| version.map_or(error, |version| no_version(name, version)))
    }

    fn knows(&self, name: &str) -> bool {
        self.state.lock().models.get(name).is_some()
    }

    /// Joins the running load of a model, or begins one.
    fn join_load(&self, name: &str) -> Asked {
        let mut state = self.state.lock();
        if let Some(loading) = state.loading.get(name) {
            return Asked::Wait(loading.subscribe());
        }
        let Some(model) = state.models.get(name) else { return Asked::Unknown };
        if let Some(error) = model.failure.as_ref().and_then(|failure| failure.refuses(Instant::now())) {
            return Asked::Refused(error);
        }
        let Some(this) = self.this.upgrade() else { return Asked::Unknown };
        let (sender, receiver) = watch::channel(None);
        state.loading.insert(name.to_owned(), sender);
        // The load continues even if no request waits any more, because the next request will probably come soon.
        self.lifecycle.spawn(this.load_for_requests(name.to_owned()));
        Asked::Wait(receiver)
    }

    /// Whether a load on request would make this version of a model available.
    pub async fn can_load(&self, name: &str, version: Option<u64>) -> bool {
        {
            let state = self.state.lock();
            let Some(model) = state.models.get(name) else { return false };
            if model.failure.as_ref().is_some_and(|failure| failure.refuses(Instant::now()).is_some()) {
                return false;
            }
        }
        let is_unloaded = !self.lifecycle.serves(name);
        match version {
            Some(version) => is_unloaded && self.has_version(name, version).await,
            None => true,
        }
    }

    /// Whether a lazily loaded model has this version, as far as that is known without asking a remote store.
    async fn has_version(&self, name: &str, version: u64) -> bool {
        if !self.knows(name) {
            return false;
        }
        let (lifecycle, name) = (Arc::clone(&self.lifecycle), name.to_owned());
        let look = move || match folder_here(lifecycle.repositories(), &name) {
            // An ensemble needs no folder for its version.
            Some(folder) => folder.versions.is_empty() || folder.versions.contains(&version),
            None => true,
        };
        tokio::task::spawn_blocking(look).await.unwrap_or(false)
    }
}

/// The error of a version that a model does not have, as if the model were loaded.
#[cold]
fn no_version(name: &str, version: u64) -> Error {
    Error::not_found(format!("Request for unknown model: '{name}' version {version} is not found"))
}
