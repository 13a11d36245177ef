//! Applies one transaction: changes to models that are connected by ensembles.
//!
//! If a serving ensemble is part of the transaction, all models are loaded first and then installed in one step, or none is,
//! so that a request never sees half of an edit. Otherwise each model changes by itself, so that a broken model does not
//! block the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use hippocamp_loading::LoadFailure;
use hippocamp_repository::{Action, Dependencies, Fingerprint, Outcome, Transaction};
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::job::Job;
use crate::jobs::Jobs;
use crate::lifecycle::Lifecycle;
use crate::ready::ReadyModel;

impl Lifecycle {
    /// Applies the transaction. `contents` is the expected fingerprint of each model's folder; `dependencies` are those that
    /// the configs in the repositories state.
    pub async fn transact(
        self: &Arc<Self>,
        transaction: &Transaction,
        contents: &BTreeMap<String, Fingerprint>,
        dependencies: &Dependencies,
    ) -> Outcome {
        let mut jobs = Vec::new();
        let mut removed = Vec::new();
        for action in &transaction.actions {
            match action {
                Action::Load(name) => {
                    let Some(content) = contents.get(name) else { continue };
                    let mut job = Job::settled(name.clone(), *content);
                    job.cycle = dependencies.cycle(name);
                    jobs.push(job);
                }
                Action::Unload(name) => removed.push(name.clone()),
                // The transactions come from watched repositories, where no model is asked for by name.
                Action::Missing(_) => {}
            }
        }
        let serves_as_ensemble = {
            let models = self.models.lock();
            transaction.tied.iter().any(|name| models.serves_as_ensemble(name))
        };
        if serves_as_ensemble && transaction.actions.len() > 1 {
            self.change_together(jobs, removed).await
        } else {
            self.change_each(jobs, removed, dependencies).await
        }
    }

    async fn change_each(
        self: &Arc<Self>,
        jobs: Vec<Job>,
        removed: Vec<String>,
        dependencies: &Dependencies,
    ) -> Outcome {
        let outcomes = self.run_jobs(Jobs::among(jobs, dependencies)).await;
        for name in removed {
            // The model ends before this function returns, or the same unload would be planned again. Its last requests
            // finish on a task.
            let (_, retired) = self.end_model(&name).await;
            let lifecycle = Arc::clone(self);
            tokio::spawn(async move { lifecycle.retire_unloaded(&name, retired).await });
        }
        let outcomes = outcomes.into_values().map(|outcome| outcome.err().as_ref().map_or(Outcome::Done, of));
        worst(outcomes)
    }

    async fn change_together(self: &Arc<Self>, jobs: Vec<Job>, removed: Vec<String>) -> Outcome {
        let names: BTreeSet<String> =
            jobs.iter().map(|job| job.name.clone()).chain(removed.clone()).collect();
        let _turns = self.turns_of(names.clone()).await;
        let begin = Instant::now();
        let order: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
        let mut made = BTreeMap::new();
        let mut failed = Vec::new();
        for (name, outcome) in self.make_all(jobs).await {
            match outcome {
                Ok(ready) => drop(made.insert(name, ready)),
                Err(failure) => failed.push((name, failure)),
            }
        }
        if failed.is_empty() {
            let made = order.iter().filter_map(|name| made.remove(name)).collect();
            match self.install_together(made, &removed) {
                Ok(retired) => {
                    let ms = begin.elapsed().as_millis();
                    info!(models = order.join(", "), removed = removed.join(", "), ms, "changed in one step");
                    self.retire_later(retired);
                    return Outcome::Done;
                }
                Err((name, failure)) => {
                    self.mark_failed(&name, &failure);
                    failed.push((name, failure));
                }
            }
        }
        for (name, failure) in &failed {
            self.log_failure(name, failure);
        }
        let outcome = worst(failed.iter().map(|(_, failure)| of(failure)));
        if outcome == Outcome::Failed {
            let names: Vec<String> = names.into_iter().collect();
            error!("these change together or not at all, and stay as they are: {}", names.join(", "));
            return Outcome::FailedTogether;
        }
        outcome
    }

    /// Loads the models without installing them, in parallel up to the limit on parallel loads.
    async fn make_all(self: &Arc<Self>, jobs: Vec<Job>) -> Vec<(String, Result<ReadyModel, LoadFailure>)> {
        let mut tasks = JoinSet::new();
        for job in jobs {
            let lifecycle = Arc::clone(self);
            tasks.spawn(async move {
                let _permit = lifecycle.load_permits.acquire().await;
                let name = job.name.clone();
                let made =
                    lifecycle.on_loading_thread(&name, move |lifecycle| lifecycle.load_aside(&job)).await;
                (name, made)
            });
        }
        tasks.join_all().await
    }
}

fn of(failure: &LoadFailure) -> Outcome {
    match failure {
        LoadFailure::Changed => Outcome::Changed,
        LoadFailure::Config(_) | LoadFailure::Versions(_) | LoadFailure::Composing { .. } => Outcome::Failed,
    }
}

/// The overall outcome. `Changed` outranks `Failed`, because a load may have failed on a half-written change.
fn worst(outcomes: impl Iterator<Item = Outcome>) -> Outcome {
    outcomes.fold(Outcome::Done, |worst, outcome| match (worst, outcome) {
        (Outcome::Changed, _) | (_, Outcome::Changed) => Outcome::Changed,
        (Outcome::Failed, _) | (_, Outcome::Failed) => Outcome::Failed,
        _ => Outcome::Done,
    })
}
