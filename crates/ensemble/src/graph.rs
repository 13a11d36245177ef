//! The steps of an ensemble and the tensors between them, as the run of a request needs them.
//!
//! A step runs once a request, or once for each response of the decoupled step that it comes after. The steps and tensors
//! that live equally often are a *stage*: the first is the request's own, and each decoupled step opens another with the
//! tensors that it makes. All inputs of a step lie in one stage, and so do all outputs of the ensemble.

use std::sync::Arc;

use hippocamp_backend::WantedOutputs;
use hippocamp_model_config::Interface;
use tokio::sync::mpsc;

use crate::StepModel;
use crate::limit::Limit;
use crate::plan::Plan;

/// The stage of the request itself.
pub(crate) const ROOT: usize = 0;

#[derive(Debug)]
pub(crate) struct Graph {
    /// Of the ensemble.
    pub(crate) name: Arc<str>,
    /// Of the ensemble. `decoupled` is what its steps make of it.
    pub(crate) interface: Interface,
    /// Every step behind all that it depends on, otherwise in the order of the config.
    pub(crate) steps: Vec<Step>,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) stages: Vec<Stage>,
    /// The tensor of each input of the ensemble.
    pub(crate) inputs: Vec<usize>,
    /// The tensor of each output of the ensemble.
    pub(crate) outputs: Vec<usize>,
    /// What runs if every output is asked for.
    pub(crate) whole: Arc<Plan>,
    /// Dropped last, after the models: whoever waits for the end wants them gone by then.
    pub(crate) _alive: mpsc::Sender<()>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) model: Arc<dyn StepModel>,
    pub(crate) stage: usize,
    /// Its place in the stage.
    pub(crate) slot: usize,
    /// The tensor of each input of the model; `None` for an optional one that is not mapped.
    pub(crate) inputs: Vec<Option<usize>>,
    /// The tensor of each output of the model; `None` for one that nothing is mapped to.
    pub(crate) outputs: Vec<Option<usize>>,
    /// The stage of its outputs: its own, or another if its model is decoupled.
    pub(crate) feeds: usize,
    /// All steps that it depends on, directly or not, in order.
    pub(crate) upstream: Vec<usize>,
    /// How many of its requests may be in flight.
    pub(crate) limit: Option<Limit>,
}

impl Step {
    /// Whether each of its responses opens a branch of its own.
    pub(crate) fn opens_branches(&self) -> bool {
        self.feeds != self.stage
    }
}

#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) stage: usize,
    /// Its place in the stage.
    pub(crate) slot: usize,
    /// The steps that read it; twice the one that reads it twice.
    pub(crate) consumers: Vec<usize>,
}

/// What lives equally often.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(crate) steps: Vec<usize>,
    pub(crate) tensors: Vec<usize>,
}

impl Graph {
    /// What has to run for the outputs that a request asks for.
    pub(crate) fn plan(&self, wanted: &WantedOutputs) -> Arc<Plan> {
        if (0..self.outputs.len()).all(|output| wanted.contains(output)) {
            return Arc::clone(&self.whole);
        }
        Arc::new(Plan::new(&self.steps, self.tensors.len(), &self.outputs, wanted))
    }
}
