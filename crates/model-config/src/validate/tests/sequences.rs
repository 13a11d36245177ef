//! Sequences, their controls and states.

use super::*;

#[test]
fn sequences_take_no_batch_strategy() {
    let text = "parameters { key: \"TRITON_BATCH_STRATEGY_PATH\" value { string_value: \"lib.so\" } }";
    let found = faults_of(&format!("{text} sequence_batching {{ }}"));
    let told = "TRITON_BATCH_STRATEGY_PATH cannot be specified with sequence batcher, using default batching strategy";
    assert!(found.iter().any(|fault| fault.contains(told)), "{found:?}");
    assert_eq!(faults_of(&format!("{text} dynamic_batching {{ }}")), [""; 0]);
}

#[test]
fn controls_are_written_in_one_way() {
    let control = |fields: &str| {
        faults_of(&format!("sequence_batching {{ control_input {{ name: \"c\" control {{ {fields} }} }} }}"))
    };
    assert_eq!(control("int32_false_true: [ 0, 1 ]"), [""; 0]);
    assert_eq!(control("kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_STRING"), [""; 0]);
    let start = "for CONTROL_SEQUENCE_START for m";
    assert_eq!(
        control(""),
        [format!(
            "2:47: sequence batching must specify either 'int32_false_true', 'fp32_false_true' or 'bool_false_true' {start}"
        )]
    );
    assert_eq!(
        control("fp32_false_true: [ 0 ]"),
        [format!("2:74: sequence batching control 'fp32_false_true' must have exactly 2 entries {start}")]
    );
    assert_eq!(
        control("fp32_false_true: [ 0, 1 ] bool_false_true: [ false, true ]"),
        [format!(
            "2:47: sequence batching specifies more than one from 'int32_false_true', 'fp32_false_true' and \
         'bool_false_true' {start}"
        )]
    );
    assert_eq!(
        control("kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_FP32 int32_false_true: [ 0, 1 ]"),
        [
            "2:47: sequence batching must not specify either 'int32_false_true', 'fp32_false_true' or \
         'bool_false_true' for CONTROL_SEQUENCE_CORRID for m",
            "2:98: unexpected data type for control CONTROL_SEQUENCE_CORRID for m. Allowed data types are TYPE_UINT64, \
         TYPE_INT64, TYPE_UINT32, TYPE_INT32 and TYPE_STRING",
        ]
    );
    let twice = "control_input { name: \"c\" control { int32_false_true: [ 0, 1 ] } }";
    assert_eq!(
        faults_of(&format!("sequence_batching {{ {twice} {twice} control_input {{ }} }}")),
        [
            "2:88: sequence batching control tensor 'c' is specified for multiple control kinds for m",
            "2:114: sequence batching specifies multiple CONTROL_SEQUENCE_START tensors for m",
            "2:155: sequence batching control tensor must have a name for m",
        ]
    );
}

#[test]
fn sequence_strategies_have_their_ranges() {
    assert_eq!(faults_of("sequence_batching { oldest { max_candidate_sequences: 4 } }"), [""; 0]);
    assert_eq!(faults_of("sequence_batching { oldest { } }"), [""; 0]);
    assert_eq!(
        faults_of("sequence_batching { oldest { preferred_batch_size: 16 max_candidate_sequences: -1 } }"),
        [
            "2:52: sequence batching preferred batch size must be <= max batch size for m",
            "2:80: sequence batching 'max_candidate_sequences' must not be negative, got -1 for m",
        ]
    );
    for outside in ["1.1", "-0.1", "nan"] {
        assert_eq!(
            faults_of(&format!("sequence_batching {{ direct {{ minimum_slot_utilization: {outside} }} }}")),
            ["2:56: sequence batching minimum slot utilization must be in range (0.0, 1.0] for m"]
        );
    }
}

#[test]
fn states_and_their_first_values_fit() {
    let state = |initial: &str| {
        faults_of(&format!(
            "sequence_batching {{ state {{ input_name: \"i\" output_name: \"o\" data_type: TYPE_FP32 dims: [ 2, -1 ]\n\
             {initial} }} }}"
        ))
    };
    let fine = "initial_state { name: \"s\" data_type: TYPE_FP32 dims: [ 2, 3 ] zero_data: true }";
    assert_eq!(state(fine), [""; 0]);
    assert_eq!(state(""), [""; 0]);
    assert_eq!(
        state(&format!("{fine}{fine}")),
        [
            "3:1: initial_state field for state input 'i' must contain exactly one or zero element. Found '2' elements."
        ]
    );
    assert_eq!(
        state("initial_state { data_type: TYPE_INT32 dims: [ 3, -1 ] }"),
        [
            "3:28: The data type used for 'initial_state' field of state 'i' does not match the state data type.",
            "3:1: Field 'name' must be set when using initial_state for state input 'i'.",
            "3:47: 'initial_state' dim for input name 'i' doesn't match 'state' dim description. 3 != 2",
            "3:50: 'initial_state' field for state input name 'i' contains variable dimensions.",
            "3:1: initial_state setting expects state'i' to have state_data set",
        ]
    );
    assert_eq!(
        state("initial_state { name: \"s\" data_type: TYPE_FP32 dims: [ 2 ] data_file: \"../../x\" }"),
        [
            "3:54: Number of dimensions in 'initial_state' doesn't match the size of 'state' dimensions for state input \
             'i'. 1 != 2",
            "3:71: file '../../x' must be inside of the model directory for m",
        ]
    );
    let bare = faults_of("sequence_batching { state { input_name: \"i\" dims: 0 } }");
    assert_eq!(bare.len(), 3, "{bare:?}");
}
