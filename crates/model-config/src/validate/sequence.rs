//! The sequence batcher: control inputs, states and strategies.

use std::collections::BTreeSet;

use hippocamp_proto::inference::{
    ModelSequenceBatching,
    model_sequence_batching::{
        Control, InitialState, State, StrategyChoice, control::Kind, initial_state::StateData,
    },
};
use hippocamp_tensor::DataType;

use super::{Check, paths};
use crate::{BATCH_STRATEGY, data_type};

const CORRELATION_ID_TYPES: [DataType; 5] =
    [DataType::Uint64, DataType::Int64, DataType::Uint32, DataType::Int32, DataType::Bytes];

impl Check<'_> {
    pub(super) fn sequence_batching(&mut self, batching: &ModelSequenceBatching) {
        if self.config.parameters.contains_key(BATCH_STRATEGY) {
            let message = format!(
                "{BATCH_STRATEGY} cannot be specified with sequence batcher, using default batching strategy"
            );
            self.fault("parameters", message);
        }
        self.control_inputs(batching);
        let mut names = BTreeSet::new();
        for (index, state) in batching.state.iter().enumerate() {
            let path = format!("sequence_batching.state[{index}]");
            if !state.input_name.is_empty() && !names.insert(&state.input_name) {
                let message = format!("State input name '{}' specified more than once.", state.input_name);
                self.fault(&path, message);
            }
            self.state(&path, state);
        }
        match &batching.strategy_choice {
            Some(StrategyChoice::Oldest(oldest)) => {
                self.preferred_sizes(
                    "sequence_batching.oldest.preferred_batch_size",
                    "sequence batching preferred batch size",
                    &oldest.preferred_batch_size,
                );
                // 0 is what a config without the field has: as many as fit into a batch.
                if oldest.max_candidate_sequences < 0 {
                    let message = format!(
                        "sequence batching 'max_candidate_sequences' must not be negative, got {}",
                        oldest.max_candidate_sequences
                    );
                    self.fault_for("sequence_batching.oldest.max_candidate_sequences", &message);
                }
            }
            // Written so that NaN is refused too.
            Some(StrategyChoice::Direct(direct))
                if !(0.0..=1.0).contains(&direct.minimum_slot_utilization) =>
            {
                let message = "sequence batching minimum slot utilization must be in range (0.0, 1.0]";
                self.fault_for("sequence_batching.direct.minimum_slot_utilization", message);
            }
            _ => {}
        }
    }

    fn control_inputs(&mut self, batching: &ModelSequenceBatching) {
        let mut names = BTreeSet::new();
        let mut kinds = BTreeSet::new();
        for (index, input) in batching.control_input.iter().enumerate() {
            let path = format!("sequence_batching.control_input[{index}]");
            if input.name.is_empty() {
                self.fault_for(&path, "sequence batching control tensor must have a name");
            } else if !names.insert(&input.name) {
                let message = format!(
                    "sequence batching control tensor '{}' is specified for multiple control kinds",
                    input.name
                );
                self.fault_for(&path, &message);
            }
            if input.control.len() > 1 {
                let message = format!(
                    "sequence batching control tensor '{}' is specified for multiple control kinds",
                    input.name
                );
                self.fault_for(&path, &message);
            }
            for (index, control) in input.control.iter().enumerate() {
                let path = format!("{path}.control[{index}]");
                let kind = control.kind();
                if !kinds.insert(kind) {
                    let message =
                        format!("sequence batching specifies multiple {} tensors", kind.as_str_name());
                    self.fault_for(&path, &message);
                }
                match kind {
                    Kind::ControlSequenceCorrid => self.correlation_id(&path, control),
                    _ => self.boolean_control(&path, kind, control),
                }
            }
        }
    }

    fn correlation_id(&mut self, path: &str, control: &Control) {
        let kind = Kind::ControlSequenceCorrid.as_str_name();
        let has_values = !control.int32_false_true.is_empty()
            || !control.fp32_false_true.is_empty()
            || !control.bool_false_true.is_empty();
        if has_values {
            let message = format!(
                "sequence batching must not specify either 'int32_false_true', 'fp32_false_true' or \
                 'bool_false_true' for {kind}"
            );
            self.fault_for(path, &message);
        }
        if !data_type(control.data_type).is_some_and(|given| CORRELATION_ID_TYPES.contains(&given)) {
            let message = format!(
                "unexpected data type for control {kind} for {}. Allowed data types are TYPE_UINT64, TYPE_INT64, \
                 TYPE_UINT32, TYPE_INT32 and TYPE_STRING",
                self.name
            );
            self.fault(&format!("{path}.data_type"), message);
        }
    }

    fn boolean_control(&mut self, path: &str, kind: Kind, control: &Control) {
        let kind = kind.as_str_name();
        let given: Vec<(&str, usize)> = [
            ("int32_false_true", control.int32_false_true.len()),
            ("fp32_false_true", control.fp32_false_true.len()),
            ("bool_false_true", control.bool_false_true.len()),
        ]
        .into_iter()
        .filter(|(_, length)| *length > 0)
        .collect();
        match given.as_slice() {
            [] => {
                let message = format!(
                    "sequence batching must specify either 'int32_false_true', 'fp32_false_true' or \
                     'bool_false_true' for {kind}"
                );
                self.fault_for(path, &message);
            }
            [(_, 2)] => {}
            [(field, _)] => {
                let message =
                    format!("sequence batching control '{field}' must have exactly 2 entries for {kind}");
                self.fault_for(&format!("{path}.{field}"), &message);
            }
            _ => {
                let message = format!(
                    "sequence batching specifies more than one from 'int32_false_true', 'fp32_false_true' and \
                     'bool_false_true' for {kind}"
                );
                self.fault_for(path, &message);
            }
        }
    }

    fn state(&mut self, path: &str, state: &State) {
        for (field, name) in [("input_name", &state.input_name), ("output_name", &state.output_name)] {
            if name.is_empty() {
                self.fault_for(path, &format!("sequence batching state must specify '{field}'"));
            }
        }
        let name = &state.input_name;
        if data_type(state.data_type).is_none() {
            let message = format!("sequence batching state '{name}' must specify 'data_type'");
            self.fault_for(&format!("{path}.data_type"), &message);
        }
        if let Some(dim) = state.dims.iter().find(|dim| **dim < 1 && **dim != -1) {
            let message = format!(
                "sequence batching state '{name}' dimension must be integer >= 1, or -1 to indicate a \
                 variable-size dimension, got {dim}"
            );
            self.fault_for(&format!("{path}.dims"), &message);
        }
        match state.initial_state.as_slice() {
            [] => {}
            [initial] => self.initial_state(&format!("{path}.initial_state[0]"), state, initial),
            several => {
                let message = format!(
                    "initial_state field for state input '{name}' must contain exactly one or zero element. Found \
                     '{}' elements.",
                    several.len()
                );
                self.fault(&format!("{path}.initial_state"), message);
            }
        }
    }

    fn initial_state(&mut self, path: &str, state: &State, initial: &InitialState) {
        let name = &state.input_name;
        if initial.data_type != state.data_type {
            let message = format!(
                "The data type used for 'initial_state' field of state '{name}' does not match the state data type."
            );
            self.fault(&format!("{path}.data_type"), message);
        }
        if initial.name.is_empty() {
            let message =
                format!("Field 'name' must be set when using initial_state for state input '{name}'.");
            self.fault(path, message);
        }
        self.initial_dims(&format!("{path}.dims"), state, &initial.dims);
        match &initial.state_data {
            None => {
                let message = format!("initial_state setting expects state'{name}' to have state_data set");
                self.fault(path, message);
            }
            Some(StateData::DataFile(file)) if paths::leaves_model(file, 1) => {
                self.outside(&format!("{path}.data_file"), file);
            }
            Some(_) => {}
        }
    }

    fn initial_dims(&mut self, path: &str, state: &State, dims: &[i64]) {
        let name = &state.input_name;
        if dims.len() != state.dims.len() {
            let message = format!(
                "Number of dimensions in 'initial_state' doesn't match the size of 'state' dimensions for state \
                 input '{name}'. {} != {}",
                dims.len(),
                state.dims.len()
            );
            self.fault(path, message);
            return;
        }
        for (index, (dim, of_state)) in dims.iter().zip(&state.dims).enumerate() {
            let path = format!("{path}[{index}]");
            if *dim < 0 {
                let message = format!(
                    "'initial_state' field for state input name '{name}' contains variable dimensions."
                );
                self.fault(&path, message);
            } else if *of_state != -1 && dim != of_state {
                let message = format!(
                    "'initial_state' dim for input name '{name}' doesn't match 'state' dim description. {dim} != \
                     {of_state}"
                );
                self.fault(&path, message);
            }
        }
    }
}
