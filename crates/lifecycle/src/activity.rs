//! The models that serve, for whoever decides which of them can be unloaded.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::entry::Entry;
use crate::lifecycle::Lifecycle;
use crate::models::Models;
use hippocamp_loading::Started;
use hippocamp_serving::Executor;

/// A model that serves.
#[derive(Clone, Debug)]
pub struct ServingModel {
    pub name: String,
    /// The models that it is composed of, if it is an ensemble.
    pub composing: BTreeSet<String>,
    /// When a request found it last, in nanoseconds on a clock that begins with the process.
    pub last_use: u64,
    pub activity: Activity,
}

/// What a model does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    Idle,
    /// Requests run on it.
    Running,
    /// It has the state of sequences, in a version that serves or in one that is draining.
    Sequences,
}

impl Lifecycle {
    /// Every model that serves, by name.
    pub fn serving_models(&self) -> Vec<ServingModel> {
        let models = self.models.lock();
        let steps = steps(&models);
        let serving = models.entries.iter().filter(|(_, entry)| !entry.serving.is_empty());
        let model = |(name, entry): (&String, &Entry)| ServingModel {
            name: name.clone(),
            composing: models.dependencies.composing(name).map(str::to_owned).collect(),
            last_use: entry.serving.iter().map(|s| s.model.last_use.get()).max().unwrap_or(0),
            activity: if self.draining.of(name) || has_sequences(entry) {
                Activity::Sequences
            } else if is_running(entry, &steps) {
                Activity::Running
            } else {
                Activity::Idle
            },
        };
        serving.map(model).collect()
    }
}

/// How often ensembles that serve hold on to a model, by its address.
fn steps(models: &Models) -> HashMap<*const (), usize> {
    let mut steps = HashMap::new();
    for started in models.entries.values().flat_map(|entry| &entry.serving) {
        if let Executor::Ensemble(ensemble) = &started.model.executor {
            for model in ensemble.models() {
                *steps.entry(Arc::as_ptr(model).cast::<()>()).or_default() += 1;
            }
        }
    }
    steps
}

/// Whether anybody holds on to a version beside the list of models, the routes and ensembles.
fn is_running(entry: &Entry, steps: &HashMap<*const (), usize>) -> bool {
    entry.serving.iter().any(|Started { model, .. }| {
        let owners = 2 + steps.get(&Arc::as_ptr(model).cast::<()>()).copied().unwrap_or(0);
        Arc::strong_count(model) > owners || model.pending() > 0
    })
}

fn has_sequences(entry: &Entry) -> bool {
    let mut schedulers = entry.serving.iter().flat_map(|started| &started.model.sequences);
    schedulers.any(|scheduler| scheduler.has_sequences())
}
