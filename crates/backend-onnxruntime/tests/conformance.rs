//! Runs the conformance kit on models of every kind.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use bytes::Bytes;
use hippocamp_backend::InputTensor;
use hippocamp_batching::conformance::{Example, MakeExample, Subject};
use hippocamp_batching::testing::{self, content, pass, sums_and_differences};
use hippocamp_tensor::Shape;
use kit::onnx::{ELEMENTS, Graph, element};
use kit::{Loaded, input, load, numbers};

type Make<'a> = &'a MakeExample<'a>;

fn verify<'a>(
    model: &'a Loaded,
    example: Make<'a>,
    empty: Option<Make<'a>>,
    failing: Option<Vec<Option<InputTensor>>>,
) {
    testing::verify(model, example, |subject| {
        subject.empty = empty;
        subject.failing = failing;
    });
}

#[test]
fn two_inputs_two_outputs() {
    let graph = Graph::default()
        .node("Add", &["INPUT0", "INPUT1"], &["OUTPUT0"])
        .node("Sub", &["INPUT0", "INPUT1"], &["OUTPUT1"])
        .input("INPUT0", element::INT32, Some(&[-1, 16]))
        .input("INPUT1", element::INT32, Some(&[-1, 16]))
        .output("OUTPUT0", element::INT32, Some(&[-1, 16]))
        .output("OUTPUT1", element::INT32, Some(&[-1, 16]));
    let model = load(graph, "max_batch_size: 8").unwrap();
    verify(&model, &sums_and_differences, None, None);
}

#[test]
fn every_type_in_batches_and_without() {
    for (number, data_type) in ELEMENTS {
        let text = |batch: i32| {
            let kind = data_type.config_name();
            format!(
                "max_batch_size: {batch} input {{ name: \"x\" data_type: {kind} dims: -1 }} \
                 output {{ name: \"y\" data_type: {kind} dims: -1 }}"
            )
        };
        let graph = |dims: &[i64]| {
            let graph = Graph::default().node("Identity", &["x"], &["y"]);
            graph.input("x", number, Some(dims)).output("y", number, Some(dims))
        };
        let batched = |n: usize, rows: usize| pass(&[rows as i64, 5], content(data_type, n, 5 * rows));
        let no_columns = |_: usize, rows: usize| pass(&[rows as i64, 0], Bytes::new());
        verify(&load(graph(&[-1, -1]), &text(8)).unwrap(), &batched, Some(&no_columns), None);
        let plain = |n: usize, _: usize| pass(&[(n % 7 + 1) as i64], content(data_type, n, n % 7 + 1));
        let nothing = |_: usize, _: usize| pass(&[0], Bytes::new());
        verify(&load(graph(&[-1]), &text(0)).unwrap(), &plain, Some(&nothing), None);
    }
}

#[test]
fn outputs_that_are_shared_with_the_engine() {
    const COLUMNS: usize = 40_000;
    let dims: &[i64] = &[-1, COLUMNS as i64];
    let graph = Graph::default().node("Neg", &["x"], &["y"]).input("x", element::INT32, Some(dims)).output(
        "y",
        element::INT32,
        Some(dims),
    );
    let model = load(graph, "max_batch_size: 6").unwrap();
    let example = |n: usize, rows: usize| {
        let (values, shape) =
            ((0..(rows * COLUMNS) as i32).map(|i| i + n as i32), [rows as i64, COLUMNS as i64]);
        let output = Some((Shape::from(shape), numbers(values.clone().map(|v| -v))));
        Example { inputs: vec![input(&shape, numbers(values))], responses: vec![vec![output]] }
    };
    verify(&model, &example, None, None);
}

#[test]
fn a_model_that_can_fail() {
    let graph = Graph::default()
        .node("Gather", &["table", "i"], &["y"])
        .input("i", element::INT64, Some(&[-1, 2]))
        .initializer("table", element::INT32, &[3], &numbers([10, 20, 30]))
        .output("y", element::INT32, Some(&[-1, 2]));
    let model = load(graph, "max_batch_size: 4").unwrap();
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

#[test]
fn a_model_that_refuses_what_would_end_the_process() {
    let graph = Graph::default()
        .node("Div", &["a", "b"], &["y"])
        .input("a", element::INT32, Some(&[-1, 2]))
        .input("b", element::INT32, Some(&[-1, 2]))
        .output("y", element::INT32, Some(&[-1, 2]));
    let model = load(graph, "max_batch_size: 4").unwrap();
    let example = |n: usize, rows: usize| {
        let (shape, quotients) = ([rows as i64, 2], (0..2 * rows).map(move |i| (n + i) as i32));
        let output = Some((Shape::from(shape), numbers(quotients.clone())));
        let divisors = (0..2 * rows).map(|_| 3i32);
        Example {
            inputs: vec![input(&shape, numbers(quotients.map(|q| 3 * q))), input(&shape, numbers(divisors))],
            responses: vec![vec![output]],
        }
    };
    let mut subject = Subject::new(&*model.model, model.config.clone(), model.interface.clone(), &example);
    subject.refused =
        Some(vec![input(&[1, 2], numbers([6, i32::MIN])), input(&[1, 2], numbers([-1i32, -1]))]);
    subject.verify();
}
