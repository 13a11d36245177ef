//! Models to be loaded, and the order in which that is possible.

use std::collections::{BTreeMap, BTreeSet};

use hippocamp_repository::{Dependencies, Fingerprint, RepositoryLocation, check_name, find_config};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::error;

use crate::ensembles::step_names;
use crate::load::{LoadFailure, not_found, steps_of};
use crate::{InferenceServer, LoadOverrides};

/// A model to be loaded.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) overrides: LoadOverrides,
    /// Somebody asked for it by name: it is loaded again if it is loaded already. Otherwise an ensemble is composed of it,
    /// and it is left alone if it serves what its folder holds.
    pub(crate) explicit: bool,
    /// What its folder was found to hold. It is not loaded if that is something else by now, or changes meanwhile.
    pub(crate) expected: Option<Fingerprint>,
    /// It is an ensemble that depends on itself; the last on the way back to it.
    pub(crate) cycle: Option<String>,
}

impl Job {
    pub(crate) fn explicit(name: String, overrides: LoadOverrides) -> Job {
        Job { name, overrides, explicit: true, expected: None, cycle: None }
    }

    pub(crate) fn settled(name: String, content: Fingerprint) -> Job {
        Job { expected: Some(content), ..Job::explicit(name, LoadOverrides::default()) }
    }

    /// For a request that waits. It is left alone if it serves by now.
    pub(crate) fn on_demand(name: String, expected: Option<Fingerprint>) -> Job {
        Job { expected, ..Job::implied(name) }
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
        while !open.is_empty() {
            let composing = composing_of_all(server, &open);
            open = all.add(open.into_iter().zip(composing));
        }
        for (name, job) in &mut all.by_name {
            job.cycle = all.dependencies.cycle(name);
        }
        all
    }

    /// These and no others, in the order that these dependencies ask for.
    pub(crate) fn among(jobs: Vec<Job>, dependencies: &Dependencies) -> Jobs {
        let mut all = Jobs { dependencies: dependencies.clone(), ..Jobs::default() };
        for mut job in jobs {
            job.cycle = dependencies.cycle(&job.name);
            all.by_name.insert(job.name.clone(), job);
        }
        all
    }

    /// Adds jobs, each with what its model is composed of. Returns jobs for those of them that are new.
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
                // No repository has it. Whoever asked for it is told; an ensemble finds out when it is built.
                None if !job.explicit => continue,
                None => {}
            }
            self.by_name.insert(job.name.clone(), job);
        }
        new.retain(|name| !self.by_name.contains_key(name) && !self.refused.contains_key(name));
        new.into_iter().map(Job::implied).collect()
    }

    /// Jobs that are tied to each other, each group by itself; and what was refused.
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

/// Jobs that are tied to each other.
#[derive(Debug, Default)]
pub(crate) struct Group {
    by_name: BTreeMap<String, Job>,
    dependencies: Dependencies,
}

impl Group {
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.by_name.keys().cloned().collect()
    }

    /// Runs every job as soon as those are done that it waits for, whatever came of them.
    pub(crate) async fn run<F, Fut>(self, load: F) -> BTreeMap<String, Result<(), LoadFailure>>
    where
        F: Fn(Job) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(), LoadFailure>> + Send,
    {
        let Group { by_name, dependencies } = self;
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
        let mut outcomes = BTreeMap::new();
        while let Some(done) = tasks.join_next().await {
            // A panic in there was logged where it happened.
            outcomes.extend(done);
        }
        outcomes
    }
}

/// Threads that read configs at the same time: those of a store take a round trip each.
const READERS: usize = 16;

/// What each job's model is composed of, in the order of the jobs.
fn composing_of_all(server: &InferenceServer, jobs: &[Job]) -> Vec<Option<BTreeSet<String>>> {
    let any_remote = server.settings().repositories.iter().any(RepositoryLocation::is_remote);
    if !any_remote || jobs.len() == 1 {
        return jobs.iter().map(|job| composing_of(server, job)).collect();
    }
    let each = jobs.len().div_ceil(READERS);
    std::thread::scope(|scope| {
        let read = |jobs: &[Job]| jobs.iter().map(|job| composing_of(server, job)).collect::<Vec<_>>();
        let readers: Vec<_> = jobs.chunks(each.max(1)).map(|jobs| scope.spawn(move || read(jobs))).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect()
    })
}

/// The models that this one will be composed of, from its config as it is now.
pub(crate) fn composing_on_disk(server: &InferenceServer, name: &str) -> BTreeSet<String> {
    composing_of(server, &Job::implied(name.to_owned())).unwrap_or_default()
}

/// The models that this one is composed of; `None` if it is nowhere to be found. A config that cannot be read names none:
/// what is wrong shows when the model is loaded.
pub(crate) fn composing_of(server: &InferenceServer, job: &Job) -> Option<BTreeSet<String>> {
    if check_name(&job.name).is_err() {
        return None;
    }
    let settings = server.settings();
    let json = job.overrides.config.as_deref();
    let (text, namespace) = match find_config(&settings.repositories, &job.name, &settings.scan_options()) {
        Ok(Some(found)) => (found.text, found.namespace),
        Ok(None) if json.is_none() => return None,
        Ok(None) | Err(_) => (None, None),
    };
    let steps = steps_of(text.as_deref(), json);
    Some(step_names(settings, namespace.as_deref(), &steps).into_iter().collect())
}
