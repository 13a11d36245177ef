//! Models to be loaded, and the order in which that is possible.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_repository::{Dependencies, check_name, find};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;

use crate::load::{LoadFailure, composing, not_found};
use crate::{InferenceServer, LoadOverrides};

/// A model to be loaded.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) overrides: LoadOverrides,
    /// Somebody asked for it by name: it is loaded again if it is loaded already. Otherwise an ensemble is composed of it,
    /// and it is left alone if it serves what its folder holds.
    pub(crate) explicit: bool,
    /// It is an ensemble that depends on itself; the last on the way back to it.
    pub(crate) cycle: Option<String>,
}

impl Job {
    pub(crate) fn explicit(name: String, overrides: LoadOverrides) -> Job {
        Job { name, overrides, explicit: true, cycle: None }
    }

    fn implied(name: String) -> Job {
        Job { explicit: false, ..Job::explicit(name, LoadOverrides::default()) }
    }
}

/// Jobs of which some wait for others.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    by_name: BTreeMap<String, Job>,
    dependencies: Dependencies,
    refused: BTreeMap<String, Result<(), LoadFailure>>,
}

impl Jobs {
    /// Adds everything that the models are composed of. Reads their configs.
    pub(crate) fn with_composing(server: &InferenceServer, jobs: Vec<Job>) -> Jobs {
        let mut all = Jobs::default();
        let mut open = jobs;
        while let Some(job) = open.pop() {
            if let Err(fault) = check_name(&job.name) {
                error!("refused to load model '{}': not a model's name, {fault}", job.name.escape_debug());
                let failure = LoadFailure::Config(not_found(&job.name));
                all.refused.insert(job.name, Err(failure));
                continue;
            }
            let composing = composing_of(server, &job);
            for name in composing.iter().flatten() {
                let known =
                    all.by_name.contains_key(name) || all.refused.contains_key(name) || *name == job.name;
                if !known && !open.iter().any(|job| job.name == *name) {
                    open.push(Job::implied(name.clone()));
                }
            }
            match composing {
                Some(composing) => all.dependencies.set(&job.name, composing),
                // No repository has it. Whoever asked for it is told; an ensemble finds out when it is built.
                None if !job.explicit => continue,
                None => {}
            }
            all.by_name.insert(job.name.clone(), job);
        }
        for (name, job) in &mut all.by_name {
            job.cycle = all.dependencies.cycle(name);
        }
        all
    }

    /// Runs every job as soon as those are done that it waits for, whatever came of them.
    pub(crate) async fn run<F, Fut>(self, load: F) -> BTreeMap<String, Result<(), LoadFailure>>
    where
        F: Fn(Job) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(), LoadFailure>> + Send,
    {
        let Jobs { by_name, dependencies, refused } = self;
        // Each is closed when its job is done.
        let mut running: BTreeMap<String, watch::Sender<()>> =
            by_name.keys().map(|name| (name.clone(), watch::Sender::new(()))).collect();
        let before = |job: &Job| -> Vec<watch::Receiver<()>> {
            // One that depends on itself waits for nothing; it is refused in any case.
            let composing = dependencies.composing(&job.name).filter(|_| job.cycle.is_none());
            composing.filter_map(|name| running.get(name)).map(watch::Sender::subscribe).collect()
        };
        let jobs: Vec<_> = by_name.into_values().map(|job| (before(&job), job)).collect();
        let mut tasks = JoinSet::new();
        for (before, job) in jobs {
            let done = running.remove(&job.name);
            let (name, load) = (job.name.clone(), load.clone());
            tasks.spawn(async move {
                for mut earlier in before {
                    while earlier.changed().await.is_ok() {}
                }
                let outcome = load(job).await;
                drop(done);
                (name, outcome)
            });
        }
        let mut outcomes = refused;
        while let Some(done) = tasks.join_next().await {
            // A panic in there was logged where it happened.
            outcomes.extend(done);
        }
        outcomes
    }
}

/// The models that this one is composed of; `None` if it is nowhere to be found.
fn composing_of(server: &InferenceServer, job: &Job) -> Option<BTreeSet<String>> {
    let settings = server.settings();
    let folder = find(&settings.repositories, &job.name, settings.model_config_name.as_deref());
    let json = job.overrides.config.as_deref();
    match (folder, json) {
        (Ok(Some(folder)), json) => Some(composing(Some(&folder), json)),
        (_, Some(json)) => Some(composing(None, Some(json))),
        (Ok(None), None) => None,
        (Err(_), None) => Some(BTreeSet::new()),
    }
}
