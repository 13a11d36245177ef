//! The load of a model that requests wait for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::Error;
use hippocamp_lifecycle::{Job, Jobs};
use hippocamp_loading::LoadFailure;
use hippocamp_repository::Dependencies;
use hippocamp_serving::LoadedModel;
use tracing::{error, info};

use crate::footprint::{Part, closure};
use crate::lazy_loading::LazyLoading;
use crate::reservation::Reservation;

/// How long a load waits for a model whose files are just being changed, in poll mode.
const CHANGING: Duration = Duration::from_secs(10);
/// How often the files are looked at again meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl LazyLoading {
    /// Loads a model that requests wait for, and tells them what came of it.
    pub(crate) async fn load_for_requests(self: Arc<Self>, name: String) {
        // On a task of its own: if that panics, those who wait are told all the same.
        let (lazy, owned) = (Arc::clone(&self), name.clone());
        let load = tokio::spawn(async move { lazy.load_settled(&owned).await });
        let outcome = load.await.unwrap_or_else(|_| Err(NotLoaded::Gone.refusal(&name)));
        let mut state = self.state.lock();
        match &outcome {
            Ok(_) => state.models.succeeded(&name),
            Err(Refusal { error, lasts: true }) => state.models.failed(&name, error, Instant::now()),
            Err(_) => {}
        }
        // Under the same lock: no request joins a load that has ended.
        if let Some(waiting) = state.loading.remove(&name) {
            waiting.send_replace(Some(outcome.map_err(|refusal| refusal.error)));
        }
    }

    /// Tries again while the files change.
    async fn load_settled(self: &Arc<Self>, name: &str) -> Result<Vec<Arc<LoadedModel>>, Refusal> {
        let begin = Instant::now();
        loop {
            match self.load_once(name).await {
                Ok(versions) => return Ok(versions),
                Err(NotLoaded::Changed) if begin.elapsed() <= CHANGING => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(why) => return Err(why.refusal(name)),
            }
        }
    }

    /// Loads a model with what it is composed of, when there is memory for it.
    async fn load_once(self: &Arc<Self>, name: &str) -> Result<Vec<Arc<LoadedModel>>, NotLoaded> {
        let begin = Instant::now();
        let parts = self.parts(name).await?;
        self.admit(name, &parts)?;
        let reservation = Reservation { asked: name, parts: &parts, reloaded: &BTreeSet::new() };
        // Until the requests that wait hold on to the versions.
        let _guard = self.reserve(reservation).await.map_err(NotLoaded::NoMemory)?;
        let jobs = self.jobs(&parts);
        let mut dependencies = Dependencies::default();
        for part in &parts {
            dependencies.set(&part.name, part.composing.clone());
        }
        let mut outcomes = self.lifecycle.run_jobs(Jobs::among(jobs, &dependencies)).await;
        let bytes = self.account_for_loaded(&parts);
        match outcomes.remove(name) {
            Some(Err(LoadFailure::Changed)) => return Err(NotLoaded::Changed),
            Some(Err(failure)) => return Err(NotLoaded::Failed(failure)),
            _ => {}
        }
        if outcomes.values().any(|outcome| matches!(outcome, Err(LoadFailure::Changed))) {
            return Err(NotLoaded::Changed);
        }
        let versions = self.lifecycle.routes().versions(name);
        if versions.is_empty() {
            return Err(NotLoaded::Gone);
        }
        let ms = begin.elapsed().as_millis();
        let used = self.state.lock().budget.used();
        info!(model = name, bytes, used, ms, "loaded on demand");
        Ok(versions)
    }

    async fn parts(&self, name: &str) -> Result<Vec<Part>, NotLoaded> {
        let (lifecycle, name) = (Arc::clone(&self.lifecycle), name.to_owned());
        let parts = tokio::task::spawn_blocking(move || closure(&lifecycle, &name));
        // A panic in there was logged.
        parts.await.map_err(|_| NotLoaded::Gone)
    }

    /// Refuses an ensemble that is composed of what a client has unloaded.
    fn admit(&self, name: &str, parts: &[Part]) -> Result<(), NotLoaded> {
        let mut state = self.state.lock();
        let composing = parts.iter().filter(|part| part.name != name);
        for part in composing.filter(|part| !self.lifecycle.serves(&part.name)) {
            if !state.models.add_composing(&part.name) {
                return Err(NotLoaded::Unloaded(part.name.clone()));
            }
        }
        Ok(())
    }

    /// The loads of what does not serve yet.
    fn jobs(&self, parts: &[Part]) -> Vec<Job> {
        let state = self.state.lock();
        let unloaded = parts.iter().filter(|part| !self.lifecycle.serves(&part.name));
        let expected = |part: &Part| state.models.get(&part.name).and_then(|model| model.content);
        unloaded.map(|part| Job::for_request(part.name.clone(), expected(part))).collect()
    }

    /// Accounts for what serves now; the memory of what does not is released with the guard. Returns what the parts take.
    pub(crate) fn account_for_loaded(&self, parts: &[Part]) -> u64 {
        let mut bytes = 0u64;
        {
            let mut state = self.state.lock();
            for part in parts.iter().filter(|part| self.lifecycle.serves(&part.name)) {
                bytes = bytes.saturating_add(part.bytes);
                if state.budget.of(&part.name).is_none() {
                    state.budget.hold(&part.name, part.bytes);
                }
                if state.models.get(&part.name).is_some_and(|model| model.by_name) {
                    self.lifecycle.set_explicit(&part.name);
                }
            }
        }
        self.changed.notify_waiters();
        bytes
    }
}

/// Why a model was not loaded.
#[derive(Debug)]
enum NotLoaded {
    Failed(LoadFailure),
    /// Its files are being changed.
    Changed,
    /// A client has unloaded what it is composed of.
    Unloaded(String),
    NoMemory(Error),
    /// It was ended meanwhile.
    Gone,
}

/// What requests are told.
#[derive(Debug)]
struct Refusal {
    error: Error,
    /// To try it again at once would fail alike.
    lasts: bool,
}

impl NotLoaded {
    fn refusal(self, name: &str) -> Refusal {
        let unavailable = |why: String| {
            Error::unavailable(format!("model '{name}' could not be loaded for the request: {why}"))
        };
        let lasts = matches!(self, NotLoaded::Failed(_) | NotLoaded::NoMemory(_));
        let error = match self {
            NotLoaded::Failed(failure) => unavailable(failure.reason()),
            NotLoaded::Changed => {
                unavailable(format!("its files kept changing for {} s", CHANGING.as_secs()))
            }
            NotLoaded::Unloaded(part) => {
                unavailable(format!("it is composed of model '{part}', which was unloaded"))
            }
            NotLoaded::Gone => unavailable("it was unloaded at the same time".to_owned()),
            NotLoaded::NoMemory(error) => {
                error!(model = name, "{error}");
                error
            }
        };
        Refusal { error, lasts }
    }
}
