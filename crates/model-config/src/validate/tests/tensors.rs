//! Inputs and outputs.

use super::*;

#[test]
fn tensors_are_described_fully_and_once() {
    assert_eq!(
        faults_of(
            "input { name: \"x\" data_type: TYPE_FP32 dims: 1 format: FORMAT_NHWC is_shape_tensor: true }"
        ),
        [
            "2:15: model input 'x' is specified more than once for m",
            "2:85: shape tensors are only supported for TensorRT platform for m",
            "2:56: model input NHWC/NCHW require 3 dims for m",
        ]
    );
    assert_eq!(
        faults_of("output { name: \"z\" data_type: TYPE_FP32 dims: [ 2, 3 ] reshape { shape: [ 5 ] } }"),
        ["2:56: model output 'z' has different size for dims and reshape for m"]
    );
    assert_eq!(
        faults_of("output { name: \"z\" data_type: TYPE_FP32 dims: 1 is_non_linear_format_io: true }"),
        ["2:74: Non-linear IO format is only supported for the TensorRT platform for m"]
    );
}

#[test]
fn batch_tensors_need_their_sources() {
    let text = "batch_input { kind: BATCH_ELEMENT_COUNT target_name: \"n\" data_type: TYPE_INT64 }\n\
                batch_input { target_name: \"n\" data_type: TYPE_INT32 source_input: \"q\" }\n\
                batch_output { target_name: [ \"y\", \"y\", \"q\" ] source_input: \"x\" }\n\
                batch_output { target_name: [ \"y\" ] }";
    assert_eq!(
        faults_of(text),
        [
            "2:1: batch input kind 'BATCH_ELEMENT_COUNT' expects 1 source input, got 0 for m",
            "2:69: batch input data type must be TYPE_INT32 or TYPE_FP32 for m",
            "3:68: unknown source input name 'q' for m",
            "4:36: target output name 'y' can only be specified once for m",
            "4:41: unknown target output name 'q' for m",
            "5:1: batch output kind 'BATCH_SCATTER_WITH_INPUT_SHAPE' expects 1 source input, got 0 for m",
        ]
    );
}
