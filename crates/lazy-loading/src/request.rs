//! Requests for models that are not loaded.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::{Error, Result};
use hippocamp_serving::LoadedModel;
use tokio::sync::watch;

use crate::footprint::folder_here;
use crate::lazy_loading::{LazyLoading, Outcome};

/// What a request for a model that is not loaded meets.
enum Asked {
    /// A load that was begun for it or for another request.
    Wait(watch::Receiver<Option<Outcome>>),
    /// The last load failed, and it is too early to try again.
    Refused(Error),
    /// It is not loaded for requests.
    Unknown,
}

impl LazyLoading {
    /// Finds a model for a request that did not find it, for the reason `error`. A model that may be loaded lazily is loaded
    /// first: then this returns when it serves, or with the reason why it does not. To drop the future ends the waiting, not
    /// the load.
    pub async fn find_or_load(
        &self,
        name: &str,
        version: Option<u64>,
        error: Error,
    ) -> Result<Arc<LoadedModel>> {
        if let Some(version) = version
            && !self.has_version(name, version).await
        {
            return Err(error);
        }
        if self.lifecycle.serves(name) {
            return self.lifecycle.find(name, version);
        }
        let mut outcome = match self.join_load(name) {
            Asked::Wait(outcome) => outcome,
            Asked::Refused(error) => return Err(error),
            Asked::Unknown => return Err(error),
        };
        let lost = || Error::internal(format!("the load of model '{name}' ended without a word"));
        let outcome = outcome.wait_for(Option::is_some).await.map_err(|_| lost())?;
        // Not by another look-up: the model may be evicted again before this task has its turn.
        let versions = outcome.clone().unwrap_or_else(|| Err(lost()))?;
        let mut versions = versions.into_iter().rev();
        versions.find(|model| version.is_none_or(|version| model.version == version)).ok_or(error)
    }

    /// Joins the load of a model that is under way, or begins one.
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
        // It goes on to the end even if nobody waits for it any more: the next request is not far.
        tokio::spawn(this.load_for_requests(name.to_owned()));
        Asked::Wait(receiver)
    }

    /// Whether a request for a model that does not serve in that version would be answered, after a load.
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

    /// Whether a model that may be loaded lazily has a folder for that version, as far as that can be told at once.
    async fn has_version(&self, name: &str, version: u64) -> bool {
        if self.state.lock().models.get(name).is_none() {
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
