//! Orders load jobs: an ensemble is loaded after the models that it is composed of.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_loading::{LoadFailure, not_found};
use hippocamp_repository::{Dependencies, check_name};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;

use crate::composition::composing_of_all;
use crate::job::Job;
use crate::settings::Repositories;

/// Load jobs and the dependencies between them.
#[derive(Debug, Default)]
pub struct Jobs {
    by_name: BTreeMap<String, Job>,
    dependencies: Dependencies,
    refused: BTreeMap<String, Result<(), LoadFailure>>,
}

impl Jobs {
    /// The given jobs and one for each composing model that they need, directly or indirectly. Reads the configs, so it may
    /// block.
    pub(crate) fn with_composing(repositories: &Repositories, jobs: Vec<Job>) -> Jobs {
        let mut all = Jobs::default();
        let mut open = jobs;
        while !open.is_empty() {
            let composing = composing_of_all(repositories, &open);
            open = all.add(open.into_iter().zip(composing));
        }
        for (name, job) in &mut all.by_name {
            job.cycle = all.dependencies.cycle(name);
        }
        all
    }

    /// Exactly the given jobs, ordered by `dependencies`.
    pub fn among(jobs: Vec<Job>, dependencies: &Dependencies) -> Jobs {
        let mut all = Jobs { dependencies: dependencies.clone(), ..Jobs::default() };
        for mut job in jobs {
            job.cycle = dependencies.cycle(&job.name);
            all.by_name.insert(job.name.clone(), job);
        }
        all
    }

    /// Adds jobs, each with the composing models of its model. Returns jobs for the composing models that have none yet.
    fn add(&mut self, jobs: impl Iterator<Item = (Job, Option<BTreeSet<String>>)>) -> Vec<Job> {
        let mut new = BTreeSet::new();
        for (job, composing) in jobs {
            if let Err(fault) = check_name(&job.name) {
                error!(model = job.name, "refused to load model '{}': not a model's name, {fault}", job.name);
                let failure = LoadFailure::Config(not_found(&job.name));
                self.refused.insert(job.name, Err(failure));
                continue;
            }
            new.extend(composing.iter().flatten().cloned());
            match composing {
                Some(composing) => self.dependencies.set(&job.name, composing),
                // No repository has the model. If it was asked for by name, its job reports that; otherwise the build of the
                // ensemble fails.
                None if !job.explicit => continue,
                None => {}
            }
            self.by_name.insert(job.name.clone(), job);
        }
        new.retain(|name| !self.by_name.contains_key(name) && !self.refused.contains_key(name));
        new.into_iter().map(Job::implied).collect()
    }

    /// Splits the jobs into groups that do not depend on each other. Also returns the jobs that were refused for an invalid
    /// model name.
    pub(crate) fn into_groups(self) -> (Vec<Group>, BTreeMap<String, Result<(), LoadFailure>>) {
        let Jobs { mut by_name, dependencies, refused } = self;
        let mut tied: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for name in by_name.keys() {
            for (part, _) in dependencies.composing(name).filter_map(|part| by_name.get_key_value(part)) {
                tied.entry(name).or_default().insert(part);
                tied.entry(part).or_default().insert(name);
            }
        }
        let mut seen = BTreeSet::new();
        let mut groups = Vec::new();
        for name in by_name.keys() {
            let mut names = BTreeSet::new();
            let mut open = vec![name.as_str()];
            while let Some(name) = open.pop() {
                if seen.insert(name) {
                    names.insert(name.to_owned());
                    open.extend(tied.get(name).into_iter().flatten());
                }
            }
            if !names.is_empty() {
                groups.push(names);
            }
        }
        let group = |names: BTreeSet<String>| {
            let mut group = Group::default();
            for name in names {
                group.dependencies.set(&name, dependencies.composing(&name).map(str::to_owned).collect());
                group.by_name.extend(by_name.remove_entry(&name));
            }
            group
        };
        (groups.into_iter().map(group).collect(), refused)
    }
}

/// Jobs that are connected by dependencies.
#[derive(Debug, Default)]
pub(crate) struct Group {
    by_name: BTreeMap<String, Job>,
    dependencies: Dependencies,
}

impl Group {
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.by_name.keys().cloned().collect()
    }

    /// Runs every job as soon as the jobs that it depends on have finished, whether they succeeded or not. Returns the
    /// results by model name.
    pub(crate) async fn run<F, Fut>(self, load: F) -> BTreeMap<String, Result<(), LoadFailure>>
    where
        F: Fn(Job) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(), LoadFailure>> + Send,
    {
        let Group { by_name, dependencies } = self;
        // Each sender is dropped when its job has finished, which wakes the jobs that wait for it.
        let mut running: BTreeMap<String, watch::Sender<()>> =
            by_name.keys().map(|name| (name.clone(), watch::Sender::new(()))).collect();
        let before = |job: &Job| -> Vec<watch::Receiver<()>> {
            // An ensemble that depends on itself waits for no job: its load fails in any case.
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
        let mut outcomes = BTreeMap::new();
        while let Some(done) = tasks.join_next().await {
            // A panic in the task was logged where it happened.
            outcomes.extend(done);
        }
        outcomes
    }
}
