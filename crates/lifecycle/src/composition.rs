//! What models are composed of, as their configs say. Reads configs, so it may block.

use std::collections::BTreeSet;

use hippocamp_loading::steps_of;
use hippocamp_model_config::Step;
use hippocamp_repository::{check_name, find_config, find_step};

use crate::job::Job;
use crate::settings::Repositories;

/// Threads that read configs at the same time: those of a store take a round trip each.
const READERS: usize = 16;

/// What each job's model is composed of, in the order of the jobs.
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

/// The models that this one will be composed of, from its config as it is now.
pub fn composing_on_disk(repositories: &Repositories, name: &str) -> BTreeSet<String> {
    composing_of(repositories, &Job::implied(name.to_owned())).unwrap_or_default()
}

/// The models that this one is composed of; `None` if it is nowhere to be found. A config that cannot be read names none:
/// what is wrong shows when the model is loaded.
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

/// The names under which the models of these steps are served: with namespaces the one beside the ensemble comes first.
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
