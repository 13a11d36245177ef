//! Which models serve and whether they are in use, for the choice of eviction candidates.

use std::collections::BTreeSet;

use crate::entry::Entry;
use crate::lifecycle::Lifecycle;

/// A model that serves.
#[derive(Clone, Debug)]
pub struct ServingModel {
    pub name: String,
    /// The models that it is composed of, if it is an ensemble.
    pub composing: BTreeSet<String>,
    /// The time of the last request for it, in nanoseconds since the process started.
    pub last_use: u64,
    pub activity: Activity,
}

/// What a model does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    Idle,
    /// Requests run on it.
    Running,
    /// Sequences are active on it, in a serving or a draining version.
    Sequences,
}

impl Lifecycle {
    /// Every model that serves, by name.
    pub fn serving_models(&self) -> Vec<ServingModel> {
        let models = self.models.lock();
        let serving = models.entries.iter().filter(|(_, entry)| !entry.serving.is_empty());
        let model = |(name, entry): (&String, &Entry)| ServingModel {
            name: name.clone(),
            composing: models.dependencies.composing(name).map(str::to_owned).collect(),
            last_use: entry.serving.iter().map(|s| s.model.last_use.get()).max().unwrap_or(0),
            activity: if self.draining.of(name) || has_sequences(entry) {
                Activity::Sequences
            } else if is_running(entry) {
                Activity::Running
            } else {
                Activity::Idle
            },
        };
        serving.map(model).collect()
    }
}

/// Whether requests are running on or queued for a version of the model. Requests of an ensemble count for the ensemble
/// until they reach this model's queue.
fn is_running(entry: &Entry) -> bool {
    entry.serving.iter().any(|started| started.model.is_used())
}

fn has_sequences(entry: &Entry) -> bool {
    let mut schedulers = entry.serving.iter().flat_map(|started| &started.model.sequences);
    schedulers.any(|scheduler| scheduler.has_sequences())
}
