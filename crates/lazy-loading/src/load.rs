//! Loads a model for the requests that wait for it.

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

/// In poll mode, how long a load waits for files that are being changed to settle.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval at which such files are checked again.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl LazyLoading {
    /// Loads a model and sends the result to the requests that wait for it.
    pub(crate) async fn load_for_requests(self: Arc<Self>, name: String) {
        // The load runs on a task of its own, so that the waiting requests get an error even if it panics.
        let (lazy, owned) = (Arc::clone(&self), name.clone());
        let load = tokio::spawn(async move { lazy.load_settled(&owned).await });
        let outcome = load.await.unwrap_or_else(|_| Err(NotLoaded::Gone.refusal(&name)));
        let mut state = self.state.lock();
        match &outcome {
            Ok(_) => state.models.succeeded(&name),
            Err(Refusal { error, needs_backoff: true }) => state.models.failed(&name, error, Instant::now()),
            Err(_) => {}
        }
        // This happens under the same lock, so that no request joins a load that has ended.
        if let Some(waiting) = state.loading.remove(&name) {
            waiting.send_replace(Some(outcome.map_err(|refusal| refusal.error)));
        }
    }

    /// Loads a model, trying again while its files change.
    async fn load_settled(self: &Arc<Self>, name: &str) -> Result<Vec<Arc<LoadedModel>>, Refusal> {
        let begin = Instant::now();
        loop {
            match self.load_once(name).await {
                Ok(versions) => return Ok(versions),
                Err(NotLoaded::Changed) if begin.elapsed() <= CHANGE_TIMEOUT => {
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
                Err(why) => return Err(why.refusal(name)),
            }
        }
    }

    /// Reserves memory for a model and its composing models, and loads them.
    async fn load_once(self: &Arc<Self>, name: &str) -> Result<Vec<Arc<LoadedModel>>, NotLoaded> {
        let begin = Instant::now();
        let parts = self.parts(name).await?;
        self.admit(name, &parts)?;
        let reservation = Reservation { asked: name, parts: &parts, reloaded: &BTreeSet::new() };
        // The guard is held until the waiting requests have references to the versions.
        let _guard = self.reserve(reservation).await.map_err(NotLoaded::NoMemory)?;
        let loaded: Vec<&Part> = parts.iter().filter(|part| !self.lifecycle.serves(&part.name)).collect();
        let jobs = self.jobs(&parts);
        let mut dependencies = Dependencies::default();
        for part in &parts {
            dependencies.set(&part.name, part.composing.clone());
        }
        let measured = self.measure_begin(&loaded);
        let mut outcomes = self.lifecycle.run_jobs(Jobs::among(jobs, &dependencies)).await;
        let bytes = self.account_for_loaded(&parts);
        self.measure_end(measured);
        self.evict_excess_later();
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
        // A panic in the task was logged.
        let mut parts = parts.await.map_err(|_| NotLoaded::Gone)?;
        let state = self.state.lock();
        for part in parts.iter_mut().filter(|part| part.is_on_gpus_only) {
            part.bytes = state.measured.of(&part.name).unwrap_or(part.bytes);
        }
        drop(state);
        Ok(parts)
    }

    /// Makes room if a load has taken more than was reserved for it.
    fn evict_excess_later(self: &Arc<Self>) {
        if self.state.lock().budget.missing_for(0) > 0 {
            let lazy = Arc::clone(self);
            tokio::spawn(async move { lazy.evict_excess().await });
        }
    }

    /// Returns an error if the model is an ensemble with a composing model that a client has unloaded.
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

    /// The load jobs for those parts that do not serve yet.
    fn jobs(&self, parts: &[Part]) -> Vec<Job> {
        let state = self.state.lock();
        let unloaded = parts.iter().filter(|part| !self.lifecycle.serves(&part.name));
        let expected = |part: &Part| state.models.get(&part.name).and_then(|model| model.content);
        unloaded.map(|part| Job::for_request(part.name.clone(), expected(part))).collect()
    }

    /// Enters the parts that serve now into the budget. The memory of the others is released when the guard is dropped.
    /// Returns the bytes of the parts.
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
    /// The model was unloaded during the load.
    Gone,
}

/// The error for the waiting requests.
#[derive(Debug)]
struct Refusal {
    error: Error,
    /// Whether the failure would repeat, so that the next load is delayed by the backoff.
    needs_backoff: bool,
}

impl NotLoaded {
    fn refusal(self, name: &str) -> Refusal {
        let unavailable = |why: String| {
            Error::unavailable(format!("model '{name}' could not be loaded for the request: {why}"))
        };
        let needs_backoff = matches!(self, NotLoaded::Failed(_) | NotLoaded::NoMemory(_));
        let error = match self {
            NotLoaded::Failed(failure) => unavailable(failure.reason()),
            NotLoaded::Changed => {
                unavailable(format!("its files kept changing for {} s", CHANGE_TIMEOUT.as_secs()))
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
        Refusal { error, needs_backoff }
    }
}
