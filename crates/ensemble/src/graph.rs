//! The graph of an ensemble: steps and the tensors between them.
//!
//! A step runs once a request, or once for each response of a decoupled step before it. Steps and tensors that exist
//! equally often form a *stage*: the root stage belongs to the request, and each decoupled step begins another stage
//! with its outputs. All inputs of a step are in one stage, and so are all outputs of the ensemble.

use std::sync::Arc;

use hippocamp_backend::WantedOutputs;
use hippocamp_model_config::Interface;
use hippocamp_tensor::Place;
use tokio::sync::mpsc;

use crate::StepModel;
use crate::fan_out::StepFanOut;
use crate::limit::Limit;
use crate::plan::Plan;

/// The index of the stage of the request itself.
pub(crate) const ROOT: usize = 0;

#[derive(Debug)]
pub(crate) struct Graph {
    /// The name of the ensemble.
    pub(crate) name: Arc<str>,
    /// The interface of the ensemble, decoupled if a step is.
    pub(crate) interface: Interface,
    /// The steps in topological order, otherwise in the order of the config.
    pub(crate) steps: Vec<Step>,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) stages: Vec<Stage>,
    /// The index of the tensor of each input of the ensemble.
    pub(crate) inputs: Vec<usize>,
    /// The index of the tensor of each output of the ensemble.
    pub(crate) outputs: Vec<usize>,
    /// The plan for requests of all outputs in host memory.
    pub(crate) whole: Arc<Plan>,
    /// Dropped last, after the models, because its receiver waits until these are released.
    pub(crate) _alive: mpsc::Sender<()>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) model: Arc<dyn StepModel>,
    pub(crate) stage: usize,
    /// The index of the step in its stage.
    pub(crate) slot: usize,
    /// The tensor of each input of the model; `None` for an optional input that is not mapped.
    pub(crate) inputs: Vec<Option<usize>>,
    /// Where the model reads each input best.
    pub(crate) input_places: Vec<Place>,
    /// The tensor of each output of the model; `None` for an output that is not mapped.
    pub(crate) outputs: Vec<Option<usize>>,
    /// The stage of its outputs: its own, or a new one if its model is decoupled.
    pub(crate) feeds: usize,
    /// All steps that it depends on, directly or not, in order.
    pub(crate) upstream: Vec<usize>,
    /// The limit of its requests in flight. All rows of a fan-out count as one.
    pub(crate) limit: Option<Limit>,
    /// How it runs for each row of some of its inputs; `None` if it runs once.
    pub(crate) fan_out: Option<StepFanOut>,
}

impl Step {
    /// Whether each response begins a new branch.
    pub(crate) fn opens_branches(&self) -> bool {
        self.feeds != self.stage
    }
}

#[derive(Debug)]
pub(crate) struct Tensor {
    pub(crate) stage: usize,
    /// The index of the tensor in its stage.
    pub(crate) slot: usize,
    /// The steps that read it; a step that reads it twice is listed twice.
    pub(crate) consumers: Vec<usize>,
}

/// Steps and tensors that exist equally often in a request.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    pub(crate) steps: Vec<usize>,
    pub(crate) tensors: Vec<usize>,
}

impl Graph {
    /// Where the first step that reads an input of the ensemble reads it best.
    pub(crate) fn input_place(&self, input: usize) -> Place {
        let tensor = self.inputs.get(input).copied();
        let readers = self.steps.iter().flat_map(|step| step.inputs.iter().zip(&step.input_places));
        let mut places =
            readers.filter(|(read, _)| tensor.is_some() && **read == tensor).map(|(_, place)| *place);
        places.next().unwrap_or_default()
    }

    /// The steps that have to run for the requested outputs.
    pub(crate) fn plan(&self, wanted: &WantedOutputs) -> Arc<Plan> {
        if (0..self.outputs.len()).all(|output| wanted.place(output) == Some(Place::Host)) {
            return Arc::clone(&self.whole);
        }
        Arc::new(Plan::new(&self.steps, self.tensors.len(), &self.outputs, wanted))
    }
}
