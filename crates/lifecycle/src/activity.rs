//! The models that serve, for whoever decides which of them can be unloaded.

use std::collections::BTreeSet;

use crate::entry::Entry;
use crate::lifecycle::Lifecycle;

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

/// Whether requests use a version. Those that an ensemble hands to it are counted with the ensemble, or wait here.
fn is_running(entry: &Entry) -> bool {
    entry.serving.iter().any(|started| started.model.is_used())
}

fn has_sequences(entry: &Entry) -> bool {
    let mut schedulers = entry.serving.iter().flat_map(|started| &started.model.sequences);
    schedulers.any(|scheduler| scheduler.has_sequences())
}
