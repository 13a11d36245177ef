//! Requests of different lengths in one execution: ragged, and padded with a mask.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use bytes::Bytes;
use hippocamp_backend::{InputTensor, Response};
use hippocamp_tensor::Shape;
use kit::onnx::{Graph, element};
use kit::{execute, execute_together, input, load, numbers, refused};

/// SUM: the sum of each request's elements, separated by their ends. DOUBLED: twice each element.
fn ragged_sums() -> Graph {
    let zero = || numbers([0f32]);
    Graph::default()
        .node("CumSum", &["x", "axis"], &["running"])
        .node_with("Concat", &["zero", "running"], &["sums"], &[("axis", 0)])
        .node_with("Cast", &["ends"], &["places"], &[("to", element::INT64)])
        .node("Gather", &["sums", "places"], &["at_ends"])
        .node("Slice", &["at_ends", "one", "all"], &["after"])
        .node("Slice", &["at_ends", "none", "but_last"], &["before"])
        .node("Sub", &["after", "before"], &["SUM"])
        .node("Add", &["x", "x"], &["DOUBLED"])
        .initializer("axis", element::INT32, &[], &numbers([0i32]))
        .initializer("zero", element::FLOAT, &[1], &zero())
        .initializer("one", element::INT64, &[1], &numbers([1i64]))
        .initializer("all", element::INT64, &[1], &numbers([i64::MAX]))
        .initializer("none", element::INT64, &[1], &numbers([0i64]))
        .initializer("but_last", element::INT64, &[1], &numbers([-1i64]))
        .input("x", element::FLOAT, Some(&[-1]))
        .input("ends", element::FLOAT, Some(&[-1]))
        .output("SUM", element::FLOAT, Some(&[-1]))
        .output("DOUBLED", element::FLOAT, Some(&[-1]))
}

const RAGGED: &str = r#"
    max_batch_size: 16
    input { name: "x" data_type: TYPE_FP32 dims: -1 allow_ragged_batch: true }
    output { name: "SUM" data_type: TYPE_FP32 dims: 1 reshape { shape: [ ] } }
    output { name: "DOUBLED" data_type: TYPE_FP32 dims: -1 }
    batch_input { kind: BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO target_name: "ends" data_type: TYPE_FP32 source_input: "x" }
    batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "DOUBLED" source_input: "x" }"#;

fn outputs(response: &Response) -> Vec<(Shape, Bytes)> {
    response.outputs.iter().map(|output| (output.shape.clone(), output.data.to_host().unwrap())).collect()
}

#[test]
fn a_ragged_batch_is_answered_like_its_requests_alone() {
    let model = load(ragged_sums(), RAGGED).unwrap();
    let mut instance = model.instance();
    let requests = || {
        [&[1f32, 2., 3.][..], &[10.], &[], &[4., 5.]]
            .map(|values: &[f32]| vec![input(&[1, values.len() as i64], numbers(values.iter().copied()))])
    };
    let together = execute_together(&mut *instance, &model.interface, requests().into());
    let sums = [6f32, 10., 0., 9.];
    for ((request, response), sum) in requests().into_iter().zip(together).zip(sums) {
        let response = outputs(&response.unwrap());
        assert_eq!(response[0], (Shape::from([1, 1]), numbers([sum])));
        assert_eq!(response[1].0, request[0].as_ref().unwrap().shape);
        let alone = execute(&mut *instance, &model.interface, request).unwrap();
        assert_eq!(outputs(&alone), response);
    }
}

#[test]
fn batch_inputs_are_held_against_the_file() {
    let reason = refused(ragged_sums(), &RAGGED.replace("target_name: \"ends\"", "target_name: \"endings\""));
    assert!(reason.contains("unexpected inference input 'endings', allowed inputs are: ends, x"), "{reason}");
    let reason = refused(
        ragged_sums(),
        &RAGGED.replace("\"ends\" data_type: TYPE_FP32", "\"ends\" data_type: TYPE_INT32"),
    );
    let expected =
        "configuration expects datatype TYPE_INT32 for batch input 'ends', model provides TYPE_FP32";
    assert!(reason.contains(expected), "{reason}");
}

/// MEAN: of the elements that the mask selects. CENTRED: each element minus the mean.
fn masked_mean() -> Graph {
    Graph::default()
        .node("Mul", &["x", "mask"], &["kept"])
        .node("ReduceSum", &["kept", "axes"], &["sum"])
        .node("ReduceSum", &["mask", "axes"], &["count"])
        .node("Div", &["sum", "count"], &["MEAN"])
        .node("Sub", &["x", "MEAN"], &["CENTRED"])
        .initializer("axes", element::INT64, &[1], &numbers([1i64]))
        .input("x", element::FLOAT, Some(&[-1, -1]))
        .input("mask", element::FLOAT, Some(&[-1, -1]))
        .output("MEAN", element::FLOAT, Some(&[-1, 1]))
        .output("CENTRED", element::FLOAT, Some(&[-1, -1]))
}

const PADDED: &str = r#"
    max_batch_size: 16
    input { name: "x" data_type: TYPE_FP32 dims: -1 }
    input { name: "mask" data_type: TYPE_FP32 dims: -1 optional: true }
    output { name: "MEAN" data_type: TYPE_FP32 dims: 1 }
    output { name: "CENTRED" data_type: TYPE_FP32 dims: -1 }
    parameters { key: "padding.buckets" value { string_value: "4,8" } }
    parameters { key: "padding.input.x" value { string_value: "value=1000" } }
    parameters { key: "padding.input.mask" value { string_value: "value=0 fill=1" } }
    parameters { key: "padding.output.CENTRED" value { string_value: "" } }"#;

#[test]
fn a_padded_batch_is_answered_like_its_requests_alone() {
    for more in ["", "parameters { key: \"padding.length\" value { string_value: \"bucket\" } }"] {
        let model = load(masked_mean(), &format!("{PADDED} {more}")).unwrap();
        let mut instance = model.instance();
        let request = |rows: i64, length: i64, masked: bool| -> Vec<Option<InputTensor>> {
            let count = rows * length;
            let mask = masked.then(|| input(&[rows, length], numbers(vec![1f32; count as usize]))).flatten();
            vec![input(&[rows, length], numbers((0..count).map(|i| i as f32))), mask]
        };
        let requests =
            || vec![request(1, 5, false), request(2, 8, true), request(1, 6, false), request(3, 7, true)];
        let together = execute_together(&mut *instance, &model.interface, requests());
        for (request, response) in requests().into_iter().zip(together) {
            let alone = execute(&mut *instance, &model.interface, request.clone()).unwrap();
            let response = response.unwrap();
            assert_eq!(outputs(&response), outputs(&alone));
            assert_eq!(response.outputs[1].shape, request[0].as_ref().unwrap().shape);
        }
        let mean = execute(&mut *instance, &model.interface, request(1, 3, false)).unwrap();
        assert_eq!(mean.outputs[0].data, numbers([1f32]), "padding takes no part in the mean");
    }
}
