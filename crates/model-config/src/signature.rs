//! The signature of a model file: its inputs and outputs, as its backend reads them.

use std::collections::BTreeSet;

use hippocamp_proto::inference::{ModelConfig, model_config::SchedulingChoice};
use hippocamp_tensor::DataType;

/// The inputs and outputs of a model file, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    pub inputs: Vec<SignatureTensor>,
    pub outputs: Vec<SignatureTensor>,
}

/// One tensor of a model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureTensor {
    pub name: String,
    pub data_type: DataType,
    /// The complete shape, a batch dimension included. -1 is a free size; `None` if not even the rank is known.
    pub dims: Option<Vec<i64>>,
    /// The model has a value of its own for it, as ONNX models have for initializers.
    pub optional: bool,
}

impl Signature {
    pub(crate) fn input(&self, name: &str) -> Option<&SignatureTensor> {
        self.inputs.iter().find(|tensor| tensor.name == name)
    }

    pub(crate) fn output(&self, name: &str) -> Option<&SignatureTensor> {
        self.outputs.iter().find(|tensor| tensor.name == name)
    }

    /// The inputs that have to be fed.
    pub(crate) fn required_inputs(&self) -> impl Iterator<Item = &SignatureTensor> {
        self.inputs.iter().filter(|tensor| !tensor.optional)
    }
}

/// The model inputs that the server fills by itself: controls and states of sequences, and what describes a batch.
pub fn server_inputs(config: &ModelConfig) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> =
        config.batch_input.iter().flat_map(|batch| &batch.target_name).map(String::as_str).collect();
    if let Some(SchedulingChoice::SequenceBatching(batching)) = &config.scheduling_choice {
        let controls = batching.control_input.iter().filter(|control| !control.control.is_empty());
        names.extend(controls.map(|control| control.name.as_str()));
        names.extend(batching.state.iter().map(|state| state.input_name.as_str()));
    }
    names
}

/// The model outputs that the server keeps for itself, unless the config lists them as well.
pub fn state_outputs(config: &ModelConfig) -> BTreeSet<&str> {
    match &config.scheduling_choice {
        Some(SchedulingChoice::SequenceBatching(batching)) => {
            batching.state.iter().map(|state| state.output_name.as_str()).collect()
        }
        _ => BTreeSet::new(),
    }
}
