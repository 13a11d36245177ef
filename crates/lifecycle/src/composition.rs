//! Finds the composing models of ensembles from their configs. These functions read files or ask a store, so they may block.

use std::collections::BTreeSet;

use hippocamp_loading::steps_of;
use hippocamp_model_config::Step;
use hippocamp_repository::{check_name, find_config, find_step};

use crate::job::Job;
use crate::settings::Repositories;

/// The number of threads that read configs in parallel: a config in a store costs a round trip.
const READERS: usize = 16;

/// The composing models of each job's model, in the order of the jobs; `None` for a model that no repository has.
pub(crate) fn composing_of_all(repositories: &Repositories, jobs: &[Job]) -> Vec<Option<BTreeSet<String>>> {
    let any_remote = repositories.any_remote();
    if !any_remote || jobs.len() == 1 {
        return jobs.iter().map(|job| composing_of(repositories, job)).collect();
    }
    let each = jobs.len().div_ceil(READERS);
    std::thread::scope(|scope| {
        let read = |jobs: &[Job]| jobs.iter().map(|job| composing_of(repositories, job)).collect::<Vec<_>>();
        let readers: Vec<_> = jobs.chunks(each.max(1)).map(|jobs| scope.spawn(move || read(jobs))).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap_or_default()).collect()
    })
}

/// The composing models according to the config that the repository holds now; empty if the model is not an ensemble.
pub fn composing_on_disk(repositories: &Repositories, name: &str) -> BTreeSet<String> {
    composing_of(repositories, &Job::implied(name.to_owned())).unwrap_or_default()
}

/// The composing models of a job's model; `None` if no repository has the model. A config that cannot be read gives an empty
/// set; the load reports the error.
pub fn composing_of(repositories: &Repositories, job: &Job) -> Option<BTreeSet<String>> {
    if check_name(&job.name).is_err() {
        return None;
    }
    let json = job.overrides.config.as_deref();
    let (text, namespace) = match find_config(&repositories.locations, &job.name, &repositories.options) {
        Ok(Some(found)) => (found.text, found.namespace),
        Ok(None) if json.is_none() => return None,
        Ok(None) | Err(_) => (None, None),
    };
    let steps = steps_of(text.as_deref(), json);
    Some(step_names(repositories, namespace.as_deref(), &steps).into_iter().collect())
}

/// The names under which the models of these steps are served. With namespaces, a model in the ensemble's own repository is
/// preferred.
pub(crate) fn step_names(
    repositories: &Repositories,
    namespace: Option<&str>,
    steps: &[Step],
) -> Vec<String> {
    let name = |step: &Step| {
        let written = Some(step.model_namespace.as_str()).filter(|written| !written.is_empty());
        find_step(&repositories.locations, written.or(namespace), &step.model_name, &repositories.options)
    };
    steps.iter().map(name).collect()
}
