//! Runs the conformance kit on models of every kind.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use bytes::Bytes;
use hippocamp_backend::InputTensor;
use hippocamp_batching::conformance::{Example, MakeExample};
use hippocamp_batching::testing::{self, content, pass, sums_and_differences};
use hippocamp_tensor::{DataType, Shape};
use kit::graph::{Graph, element, signature, tensor};
use kit::{Loaded, input, load, load_saved, numbers};

type Make<'a> = &'a MakeExample<'a>;

fn verify<'a>(
    model: &'a Loaded,
    example: Make<'a>,
    empty: Option<Make<'a>>,
    refused: Option<Vec<Option<InputTensor>>>,
) {
    testing::verify(model, example, |subject| {
        subject.empty = empty;
        subject.refused = refused;
    });
}

/// Sum and difference of two rows.
fn add_sub() -> Graph {
    Graph::new()
        .placeholder("INPUT0", element::INT32, Some(&[-1, 16]))
        .placeholder("INPUT1", element::INT32, Some(&[-1, 16]))
        .node("OUTPUT0", "AddV2", &["INPUT0", "INPUT1"])
        .of("T", element::INT32)
        .node("OUTPUT1", "Sub", &["INPUT0", "INPUT1"])
        .of("T", element::INT32)
}

#[test]
fn two_inputs_two_outputs() {
    verify(&load(&add_sub(), "max_batch_size: 8").unwrap(), &sums_and_differences, None, None);
}

#[test]
fn a_saved_model() {
    let port = |name: &str| tensor(name, element::INT32, Some(&[-1, 16]));
    let inputs = [("INPUT0", port("INPUT0:0")), ("INPUT1", port("INPUT1:0"))];
    let outputs = [("OUTPUT0", port("OUTPUT0:0")), ("OUTPUT1", port("OUTPUT1:0"))];
    let model = add_sub().saved(&["serve"], &[("serving_default", signature(&inputs, &outputs))]);
    verify(&load_saved(&model, "max_batch_size: 8").unwrap(), &sums_and_differences, None, None);
}

/// Each type with its number in TensorFlow.
const ELEMENTS: [(DataType, i32); 14] = [
    (DataType::Fp32, 1),
    (DataType::Fp64, 2),
    (DataType::Int32, 3),
    (DataType::Uint8, 4),
    (DataType::Int16, 5),
    (DataType::Int8, 6),
    (DataType::Bytes, 7),
    (DataType::Int64, 9),
    (DataType::Bool, 10),
    (DataType::Bf16, 14),
    (DataType::Uint16, 17),
    (DataType::Fp16, 19),
    (DataType::Uint32, 22),
    (DataType::Uint64, 23),
];

#[test]
fn every_type_in_batches_and_without() {
    for (data_type, number) in ELEMENTS {
        let text = |batch: i32| {
            let kind = data_type.config_name();
            format!(
                "max_batch_size: {batch} input {{ name: \"x\" data_type: {kind} dims: -1 }} \
                 output {{ name: \"y\" data_type: {kind} dims: -1 }}"
            )
        };
        let graph = |dims: &[i64]| {
            let graph = Graph::new().placeholder("x", number, Some(dims));
            graph.node("y", "Identity", &["x"]).of("T", number)
        };
        let batched = |n: usize, rows: usize| pass(&[rows as i64, 5], content(data_type, n, 5 * rows));
        let no_columns = |_: usize, rows: usize| pass(&[rows as i64, 0], Bytes::new());
        verify(&load(&graph(&[-1, -1]), &text(8)).unwrap(), &batched, Some(&no_columns), None);
        let plain = |n: usize, _: usize| pass(&[(n % 7 + 1) as i64], content(data_type, n, n % 7 + 1));
        let nothing = |_: usize, _: usize| pass(&[0], Bytes::new());
        verify(&load(&graph(&[-1]), &text(0)).unwrap(), &plain, Some(&nothing), None);
    }
}

#[test]
fn outputs_that_are_shared_with_the_library() {
    const COLUMNS: usize = 40_000;
    let graph = Graph::new().placeholder("x", element::INT32, Some(&[-1, COLUMNS as i64]));
    let graph = graph.node("y", "Neg", &["x"]).of("T", element::INT32);
    let model = load(&graph, "max_batch_size: 6").unwrap();
    let example = |n: usize, rows: usize| {
        let (values, shape) =
            ((0..(rows * COLUMNS) as i32).map(|i| i + n as i32), [rows as i64, COLUMNS as i64]);
        let output = Some((Shape::from(shape), numbers(values.clone().map(|v| -v))));
        Example { inputs: vec![input(&shape, numbers(values))], responses: vec![vec![output]] }
    };
    verify(&model, &example, None, None);
}

/// An index that the table does not have fails its own request, and not those that it is batched with.
#[test]
fn a_model_that_can_fail() {
    let graph = Graph::new()
        .placeholder("i", element::INT64, Some(&[-1, 2]))
        .constant("table", element::INT32, &[3], &numbers([10, 20, 30]))
        .constant("axis", element::INT32, &[], &numbers([0]))
        .node("y", "GatherV2", &["table", "i", "axis"])
        .of("Tparams", element::INT32)
        .of("Tindices", element::INT64)
        .of("Taxis", element::INT32);
    let model = load(&graph, "max_batch_size: 4").unwrap();
    let example = |n: usize, rows: usize| {
        let (picks, shape) = ((0..2 * rows).map(|i| (n + i) % 3), [rows as i64, 2]);
        let output = Some((Shape::from(shape), numbers(picks.clone().map(|p| 10 * (p as i32 + 1)))));
        Example {
            inputs: vec![input(&shape, numbers(picks.map(|p| p as i64)))],
            responses: vec![vec![output]],
        }
    };
    verify(&model, &example, None, Some(vec![input(&[1, 2], numbers([0i64, 3]))]));
}

/// A graph with a variable: inputs and outputs are copied, and each instance has a session of its own.
#[test]
fn a_model_that_keeps_something() {
    let graph = Graph::new()
        .placeholder("x", element::FLOAT, Some(&[-1, 40_000]))
        .node("variable", "VarHandleOp", &[])
        .of("dtype", element::FLOAT)
        .shape("shape", None)
        .node("kept", "AssignVariableOp", &["variable", "x"])
        .of("dtype", element::FLOAT)
        .node("y", "ReadVariableOp", &["variable", "^kept"])
        .of("dtype", element::FLOAT);
    let text = "max_batch_size: 4 input { name: \"x\" data_type: TYPE_FP32 dims: 40000 } \
                output { name: \"y\" data_type: TYPE_FP32 dims: 40000 }";
    let model = load(&graph, text).unwrap();
    let example = |n: usize, rows: usize| {
        let shape = [rows as i64, 40_000];
        let values = numbers((0..rows * 40_000).map(|i| (i + n) as f32));
        Example {
            inputs: vec![input(&shape, values.clone())],
            responses: vec![vec![Some((Shape::from(shape), values))]],
        }
    };
    verify(&model, &example, None, None);
}
