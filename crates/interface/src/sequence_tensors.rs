//! The tensors that a sequence batcher gives to the model and keeps from it: controls and implicit states.

use std::collections::BTreeSet;

use hippocamp_proto::inference::{
    ModelConfig, ModelSequenceBatching,
    model_config::SchedulingChoice,
    model_sequence_batching::{Control, State, control::Kind},
};
use hippocamp_tensor::{DataType, Shape};

use crate::TensorSpec;
use crate::data_type::data_type;

/// How the config wants sequences batched, if it does.
pub fn sequence_batching(config: &ModelConfig) -> Option<&ModelSequenceBatching> {
    match &config.scheduling_choice {
        Some(SchedulingChoice::SequenceBatching(batching)) => Some(batching),
        _ => None,
    }
}

/// The type of a control's tensor; `None` for one that was not validated.
pub fn control_data_type(control: &Control) -> Option<DataType> {
    match control.kind() {
        Kind::ControlSequenceCorrid => data_type(control.data_type),
        _ if !control.int32_false_true.is_empty() => Some(DataType::Int32),
        _ if !control.fp32_false_true.is_empty() => Some(DataType::Fp32),
        _ => Some(DataType::Bool),
    }
}

/// The inputs that the server fills for a model of sequences: every control in the order of the config, then every state.
pub(crate) fn added_inputs(config: &ModelConfig) -> Vec<TensorSpec> {
    let Some(batching) = sequence_batching(config) else { return Vec::new() };
    let controls = batching.control_input.iter().filter_map(|input| {
        let data_type = control_data_type(input.control.first()?)?;
        Some(spec(&input.name, data_type, Shape::from([1])))
    });
    let states = batching.state.iter().filter_map(|state| state_spec(&state.input_name, state));
    controls.chain(states).collect()
}

/// The states that the model gives back, apart from those that clients may have as well.
pub(crate) fn added_outputs(config: &ModelConfig) -> Vec<TensorSpec> {
    let Some(batching) = sequence_batching(config) else { return Vec::new() };
    let listed: BTreeSet<&str> = config.output.iter().map(|output| output.name.as_str()).collect();
    let kept = batching.state.iter().filter(|state| !listed.contains(state.output_name.as_str()));
    kept.filter_map(|state| state_spec(&state.output_name, state)).collect()
}

fn state_spec(name: &str, state: &State) -> Option<TensorSpec> {
    Some(spec(name, data_type(state.data_type)?, Shape::from(state.dims.as_slice())))
}

fn spec(name: &str, data_type: DataType, dims: Shape) -> TensorSpec {
    TensorSpec {
        name: name.into(),
        data_type,
        dims,
        reshape: None,
        optional: false,
        is_shape_tensor: false,
        allow_ragged_batch: false,
        label_filename: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interface;
    use hippocamp_model_config::parse;

    #[test]
    fn controls_and_states_stand_behind_the_clients_own_tensors() {
        let text = r#"
            name: "m" max_batch_size: 2
            input { name: "x" data_type: TYPE_FP32 dims: 1 }
            output { name: "y" data_type: TYPE_FP32 dims: 1 }
            output { name: "seen" data_type: TYPE_FP32 dims: 4 }
            sequence_batching {
              control_input { name: "start" control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } }
              control_input { name: "id" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_STRING } }
              control_input { name: "ready" control { kind: CONTROL_SEQUENCE_READY bool_false_true: [ false, true ] } }
              state { input_name: "a" output_name: "a_next" data_type: TYPE_INT64 dims: [ -1, 3 ] }
              state { input_name: "b" output_name: "seen" data_type: TYPE_FP32 dims: 4 }
            }"#;
        let interface = Interface::new(&parse(text, "config.pbtxt").unwrap().config).unwrap();
        let show = |specs: Vec<TensorSpec>| -> Vec<String> {
            specs.iter().map(|s| format!("{} {} {}", s.name, s.data_type.config_name(), s.dims)).collect()
        };
        let inputs = show(interface.added_inputs);
        let wanted =
            ["start TYPE_FP32 [1]", "id TYPE_STRING [1]", "ready TYPE_BOOL [1]", "a TYPE_INT64 [-1,3]"];
        assert_eq!(inputs[..4], wanted);
        assert_eq!(inputs[4..], ["b TYPE_FP32 [4]"]);
        assert_eq!(show(interface.added_outputs), ["a_next TYPE_INT64 [-1,3]"]);
        assert_eq!(interface.outputs.len(), 2);
    }
}
