//! What is counted of requests, for the metrics in TorchServe's names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hippocamp_backend::{ModelId, Outcome, RequestContext, RequestEvent, RequestObserver};
use parking_lot::RwLock;

/// The most names of models that are counted. Names are of models that exist, or were registered.
const MAX_NAMES: usize = 10_000;

/// The names of a model and of its version.
type Key = (Arc<str>, Arc<str>);

/// The counters since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) successes: AtomicU64,
    pub(crate) client_errors: AtomicU64,
    pub(crate) server_errors: AtomicU64,
    /// By model and version, which is `default` if the request named none.
    models: RwLock<BTreeMap<Key, Arc<ModelCounters>>>,
}

/// The requests of one model that were answered.
#[derive(Debug, Default)]
pub(crate) struct ModelCounters {
    pub(crate) requests: AtomicU64,
    /// In microseconds.
    pub(crate) latency_us: AtomicU64,
    /// Of the last request, in microseconds.
    pub(crate) last_us: AtomicU64,
    /// How long requests, and the steps that they consist of, have waited for instances, in nanoseconds.
    pub(crate) waited_ns: AtomicU64,
}

/// Adds how long a request waits to the counters of the name and version that its client has asked for: several names may
/// stand for one version, so the version's own statistics say nothing of them.
#[derive(Debug)]
struct Waits(Arc<ModelCounters>);

impl RequestObserver for Waits {
    fn on_event(&self, _: &ModelId, _: &RequestContext, event: &RequestEvent<'_>) {
        let RequestEvent::Ended { outcome, .. } = event else { return };
        let waited = match outcome {
            Outcome::Success { queued, times } => times.started.saturating_duration_since(*queued),
            Outcome::Cached { queued, looked } => looked.saturating_duration_since(*queued),
            Outcome::Failed { .. } | Outcome::Withdrawn => return,
        };
        self.0.waited_ns.fetch_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    fn of_step(&self) -> Option<Arc<dyn RequestObserver>> {
        Some(Arc::new(Waits(Arc::clone(&self.0))))
    }
}

impl Counters {
    pub(crate) fn answered(&self, status: u16) {
        match status / 100 {
            2 => &self.successes,
            5 => &self.server_errors,
            _ => &self.client_errors,
        }
        .fetch_add(1, Relaxed);
    }

    /// Counts a prediction that was answered.
    pub(crate) fn predicted(&self, model: &str, version: Option<&str>, took: Duration) {
        let version = version.unwrap_or("default");
        let found = self.of(model, version);
        let Some(counters) = found else { return };
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        counters.requests.fetch_add(1, Relaxed);
        counters.latency_us.fetch_add(us, Relaxed);
        counters.last_us.store(us, Relaxed);
    }

    /// What is told of the request of a prediction, in order to count how long it waits.
    pub(crate) fn observer(&self, model: &str, version: Option<&str>) -> Option<Arc<dyn RequestObserver>> {
        let counters = self.of(model, version.unwrap_or("default"))?;
        Some(Arc::new(Waits(counters)))
    }

    fn of(&self, model: &str, version: &str) -> Option<Arc<ModelCounters>> {
        let key = (Arc::from(model), Arc::from(version));
        if let Some(counters) = self.models.read().get(&key) {
            return Some(Arc::clone(counters));
        }
        let mut models = self.models.write();
        (models.len() < MAX_NAMES).then(|| Arc::clone(models.entry(key).or_default()))
    }

    /// The counters of all models that had requests.
    pub(crate) fn models(&self) -> Vec<(Key, Arc<ModelCounters>)> {
        self.models.read().iter().map(|(key, counters)| (key.clone(), Arc::clone(counters))).collect()
    }
}
