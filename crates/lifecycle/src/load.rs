//! Loading: one model at a time each, several models at once, an ensemble behind the models that it is composed of.
//!
//! A new version is made ready off to the side (`make.rs`) and only then routed to (`install.rs`). The one it replaces
//! answers until its last request is done (`retire.rs`). A load that fails changes nothing but the reason in the index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use hippocamp_backend::Error;
use hippocamp_loading::LoadFailure;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::job::Job;
use crate::jobs::Jobs;
use crate::lifecycle::Lifecycle;
use crate::overrides::LoadOverrides;
use crate::turn::HeldTurn;

impl Lifecycle {
    /// Loads a model and routes to it, and loads what it is composed of before. Goes on to the end even if whoever asked
    /// does not wait for it.
    pub async fn load_model(
        self: &Arc<Self>,
        name: String,
        overrides: LoadOverrides,
    ) -> Result<(), LoadFailure> {
        let lifecycle = Arc::clone(self);
        let task = tokio::spawn(async move {
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

    /// Loads models, each behind those that it is composed of, otherwise several at once.
    pub async fn load_models(self: &Arc<Self>, jobs: Vec<Job>) -> BTreeMap<String, Result<(), LoadFailure>> {
        let lifecycle = Arc::clone(self);
        let jobs =
            tokio::task::spawn_blocking(move || Jobs::with_composing(lifecycle.repositories(), jobs)).await;
        let Ok(jobs) = jobs else { return BTreeMap::new() };
        self.run_jobs(jobs).await
    }

    /// Loads just these. Whoever unloads one of them, or loads it again, waits until all are done that are tied to it.
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
            // A panic in there was logged where it happened.
            outcomes.extend(done.unwrap_or_default());
        }
        outcomes
    }

    /// Waits until it is the turn of these models, and holds it. In the order of their names, so that two who do so never wait
    /// for each other.
    pub(crate) async fn turns_of(&self, names: BTreeSet<String>) -> Vec<HeldTurn> {
        let mut turns = Vec::new();
        for name in names {
            let claim = self.models.lock().entry(&name).turn.claim();
            turns.push(claim.wait().await);
        }
        turns
    }

    /// The caller has the model's turn.
    async fn load_one(self: &Arc<Self>, job: Job) -> Result<(), LoadFailure> {
        let name = job.name.clone();
        let _permit = self.load_permits.acquire().await;
        let begin = Instant::now();
        let outcome = self.on_loading_thread(&name, move |lifecycle| lifecycle.load_now(&job)).await;
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

    /// Logs why a model was not loaded, and forgets it if it was never more than a name.
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
