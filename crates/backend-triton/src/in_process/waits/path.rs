//! Which versions a call runs through, and which instance it is made by.

use std::sync::Arc;

use hippocamp_backend::{InProcessServer, ServedModel};
use hippocamp_model_config::{ModelConfig, ensemble_scheduling};
use hippocamp_proto::inference::model_config::SchedulingChoice;
use smallvec::SmallVec;

/// Where the config of a version is, and the number of the version, as versions of a model share their config. No two versions that
/// serve have the same.
pub(super) type Place = (usize, u64);

/// A version on the way of a call.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) name: Arc<str>,
    pub(super) place: Place,
    /// Its responses are sent in the order of the requests.
    pub(super) is_ordered: bool,
}

/// What a request asks.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    name: Arc<str>,
    version: u64,
    config: Arc<ModelConfig>,
}

impl Step {
    /// Whether requests to that model and version may be those of the step.
    pub(super) fn is_of(&self, (name, version): (&str, u64)) -> bool {
        *self.name == *name && self.place.1 == version
    }
}

pub(super) fn place(config: &ModelConfig, version: u64) -> Place {
    (std::ptr::from_ref(config).addr(), version)
}

impl From<ServedModel> for Called {
    fn from(ServedModel { name, version, config, .. }: ServedModel) -> Called {
        Called { name, version, config }
    }
}

impl Called {
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The versions that execute a call: of an ensemble those of its steps. A step that does not serve any more fails the call.
    pub(super) fn steps(&self, server: &dyn InProcessServer) -> SmallVec<[Step; 1]> {
        let mut found: SmallVec<[Step; 1]> = SmallVec::new();
        let mut open: SmallVec<[Called; 1]> = SmallVec::new();
        open.push(self.clone());
        // No ensemble is a step of itself, but their steps may be replaced while this looks.
        for _ in 0..MOST_STEPS {
            let Some(Called { name, version, config }) = open.pop() else { break };
            let Some(ensemble) = ensemble_scheduling(&config) else {
                let (place, is_ordered) = (place(&config, version), is_ordered(&config));
                found.push(Step { name, place, is_ordered });
                continue;
            };
            let steps = ensemble.step.iter();
            let models =
                steps.map(|step| server.model(&step.model_name, u64::try_from(step.model_version).ok()));
            open.extend(models.flatten().map(Called::from));
        }
        found
    }
}

const MOST_STEPS: usize = 1000;

fn is_ordered(config: &ModelConfig) -> bool {
    matches!(&config.scheduling_choice, Some(SchedulingChoice::DynamicBatching(dynamic)) if dynamic.preserve_ordering)
}

/// The begin of the names of threads that belong to an instance, before its number.
const PREFIX: &str = "py";

/// A thread's name that says which instance it belongs to. The kernel keeps 15 bytes, and gives threads the name of that which has
/// started them.
pub(super) fn thread_name(number: u64, instance: &str) -> String {
    format!("{PREFIX}{number} {instance}")
}

/// The number of the instance that the calling thread belongs to.
pub(super) fn instance_of_this_thread() -> Option<u64> {
    let name = rustix::thread::name().ok()?;
    let (number, _) = name.to_str().ok()?.strip_prefix(PREFIX)?.split_once(' ')?;
    number.parse().ok()
}
