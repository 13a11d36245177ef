//! Runs load jobs: different models in parallel, loads of the same model one at a time, and an ensemble after the models
//! that it is composed of.
//!
//! A new version is loaded while the old one serves (`make.rs`), and then requests are routed to it (`install.rs`). The old
//! one drains: it finishes the requests that it has (`retire.rs`). A failed load changes only the reason in the index.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::Error;
use hippocamp_loading::LoadFailure;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::job::Job;
use crate::jobs::Jobs;
use crate::lifecycle::Lifecycle;
use crate::overrides::LoadOverrides;
use crate::turn::HeldTurn;

/// After so long a load is said to go on, and again each time that it has taken twice as long.
const SLOW: Duration = Duration::from_secs(15);

impl Lifecycle {
    /// Loads a model, after its composing models if it is an ensemble, and routes requests to it. The load continues even if
    /// the returned future is dropped.
    pub async fn load_model(
        self: &Arc<Self>,
        name: String,
        overrides: LoadOverrides,
    ) -> Result<(), LoadFailure> {
        let lifecycle = Arc::clone(self);
        let task = self.spawn(async move {
            let mut outcomes = lifecycle.load_models(vec![Job::explicit(name.clone(), overrides)]).await;
            outcomes.remove(&name)
        });
        let lost = |why: String| Err(LoadFailure::Config(Error::internal(why)));
        match task.await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => lost("the load was given up".to_owned()),
            Err(e) => lost(format!("loading failed: {e}")),
        }
    }

    /// Loads models and the models that they are composed of. Independent models are loaded in parallel. Returns the results
    /// by model name.
    pub async fn load_models(self: &Arc<Self>, jobs: Vec<Job>) -> BTreeMap<String, Result<(), LoadFailure>> {
        let lifecycle = Arc::clone(self);
        let jobs =
            tokio::task::spawn_blocking(move || Jobs::with_composing(lifecycle.repositories(), jobs)).await;
        let Ok(jobs) = jobs else { return BTreeMap::new() };
        self.run_jobs(jobs).await
    }

    /// Runs exactly the given jobs and returns the results by model name. Other loads and unloads of a model wait until all
    /// jobs of its group have finished.
    pub async fn run_jobs(self: &Arc<Self>, jobs: Jobs) -> BTreeMap<String, Result<(), LoadFailure>> {
        let (groups, mut outcomes) = jobs.into_groups();
        let mut tasks = JoinSet::new();
        for group in groups {
            let lifecycle = Arc::clone(self);
            tasks.spawn(async move {
                let _turns = lifecycle.turns_of(group.names()).await;
                let load = move |job| {
                    let lifecycle = Arc::clone(&lifecycle);
                    async move { lifecycle.load_one(job).await }
                };
                group.run(load).await
            });
        }
        while let Some(done) = tasks.join_next().await {
            // A panic in the task was logged where it happened.
            outcomes.extend(done.unwrap_or_default());
        }
        outcomes
    }

    /// Locks these models for a load or unload. They are locked in the order of their names, so that two callers cannot
    /// deadlock.
    pub(crate) async fn turns_of(&self, names: BTreeSet<String>) -> Vec<HeldTurn> {
        let mut turns = Vec::new();
        for name in names {
            let claim = self.models.lock().entry(&name).turn.claim();
            turns.push(claim.wait().await);
        }
        turns
    }

    /// Runs one job. The caller holds the model's turn.
    async fn load_one(self: &Arc<Self>, job: Job) -> Result<(), LoadFailure> {
        let name = job.name.clone();
        let _permit = self.load_permits.acquire().await;
        let begin = Instant::now();
        let load = self.on_loading_thread(&name, move |lifecycle| lifecycle.load_now(&job));
        let outcome = while_slow(load, SLOW, |s| {
            info!(model = name, s, "still loading: what loads it has not returned");
        })
        .await;
        let ms = begin.elapsed().as_millis();
        match &outcome {
            Ok(None) => {}
            Ok(Some(_)) => info!(model = name, ms, "loaded"),
            Err(failure) => self.log_failure(&name, failure),
        }
        if let Some(retired) = outcome? {
            self.retire_later(retired);
        }
        Ok(())
    }

    /// Logs why a load failed. Drops the model's record if no repository has the model and it was never loaded.
    pub(crate) fn log_failure(&self, name: &str, failure: &LoadFailure) {
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

    /// Runs a load on a thread of its own: it may take seconds, and a backend may recurse deeply.
    pub(crate) async fn on_loading_thread<T: Send + 'static>(
        self: &Arc<Self>,
        name: &str,
        load: impl FnOnce(&Lifecycle) -> Result<T, LoadFailure> + Send + 'static,
    ) -> Result<T, LoadFailure> {
        let (done, result) = tokio::sync::oneshot::channel();
        let lifecycle = Arc::clone(self);
        let thread = std::thread::Builder::new().name(format!("load {name}"));
        let started = thread.spawn(move || drop(done.send(load(&lifecycle))));
        if let Err(e) = started {
            let error = Error::unavailable(format!("no thread could be started to load it: {e}"));
            return Err(LoadFailure::Config(error));
        }
        let lost = || Error::internal("the loading thread ended without a word");
        result.await.unwrap_or_else(|_| Err(LoadFailure::Config(lost())))
    }
}

/// The outcome of a load, and `say` how many seconds it has taken while it takes long.
async fn while_slow<T>(load: impl Future<Output = T>, mut after: Duration, mut say: impl FnMut(u64)) -> T {
    let (mut load, begin) = (pin!(load), tokio::time::Instant::now());
    loop {
        match tokio::time::timeout_at(begin + after, &mut load).await {
            Ok(outcome) => return outcome,
            Err(_) => say(after.as_secs()),
        }
        after *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_load_that_takes_long_is_told_while_it_does() {
        assert_eq!(while_slow(async { 7 }, SLOW, |_| unreachable!("it does not take long")).await, 7);
        let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
        let load = async {
            for _ in 0..3 {
                assert_eq!(said.recv().await, Some(0));
            }
            8
        };
        assert_eq!(while_slow(load, Duration::from_millis(1), |s| say.send(s).unwrap()).await, 8);
    }
}
