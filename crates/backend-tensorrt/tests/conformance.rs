//! Runs the conformance kit on plans of every version of the double.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use bytes::Bytes;
use hippocamp_backend::{Device, InputTensor};
use hippocamp_batching::conformance::{Example, Subject};
use hippocamp_tensor::Shape;
use kit::{Loaded, Setup, VERSIONS, floats, input, integers};

fn verify(
    model: &Loaded,
    example: &(dyn Fn(usize, usize) -> Example + Sync),
    failing: Option<Vec<Option<InputTensor>>>,
    refused: Option<Vec<Option<InputTensor>>>,
) {
    let mut subject = Subject::new(&*model.model, model.config.clone(), model.interface.clone(), example);
    (subject.device, subject.failing, subject.refused) = (Device::Gpu(0), failing, refused);
    subject.verify();
}

fn example(rows: usize, columns: usize, n: usize) -> Example {
    let (count, shape) = ((rows * columns) as i32, [rows as i64, columns as i64]);
    let values = move || (0..count).map(move |i| i * 3 + n as i32);
    let output = |data: Bytes| Some((Shape::from(shape), data));
    Example {
        inputs: vec![input(&shape, integers(values())), input(&shape, floats(values().map(|v| v as f32)))],
        responses: vec![vec![
            output(integers(values().map(|v| 2 * v + 1))),
            output(floats(values().map(|v| -v as f32))),
        ]],
    }
}

const PLAN: &str = "
    profiles 2
    input a INT32 -1,16 device data 1,16:2,16:2,16 1,16:8,16:8,16
    input b FLOAT -1,16 device data 1,16:2,16:2,16 1,16:8,16:8,16
    output y INT32 a.0,16 device data
    output z FLOAT b.0,16 device data
    affine a y 2 1
    affine b z -1 0
    refuse 8";

#[test]
fn two_inputs_two_outputs_two_profiles() {
    for version in 0..VERSIONS.len() {
        let (_setup, model) = Setup::with_plan(version, PLAN, "max_batch_size: 7").unwrap();
        let failing = None;
        verify(&model, &|n, rows| example(rows, 16, n), failing, None);
    }
}

#[test]
fn a_model_that_refuses_a_shape_and_fails_at_a_run() {
    let plan = "
        input a INT32 -1,-1 device data 1,1:4,16:8,32
        output y INT32 a.0,a.1 device data
        affine a y 3 0
        refuse 5";
    for version in 0..VERSIONS.len() {
        let (_setup, model) = Setup::with_plan(version, plan, "max_batch_size: 4").unwrap();
        let example = |n: usize, rows: usize| {
            let (shape, values) = ([rows as i64, 3], move || (0..3 * rows as i32).map(move |i| i + n as i32));
            let output = Some((Shape::from(shape), integers(values().map(|v| 3 * v))));
            Example { inputs: vec![input(&shape, integers(values()))], responses: vec![vec![output]] }
        };
        // 33 columns are more than the profile takes; they share no batch with 3.
        verify(&model, &example, Some(vec![input(&[1, 33], integers(0..33))]), None);
    }
}

#[test]
fn a_model_without_batches() {
    let plan = "
        input a INT32 4 device data
        output y INT32 4 device data
        affine a y 1 1";
    for version in 0..VERSIONS.len() {
        let (_setup, model) = Setup::with_plan(version, plan, "").unwrap();
        let example = |n: usize, _: usize| {
            let output = Some((Shape::from([4]), integers((0..4).map(|v| v * n as i32 + 1))));
            let values = integers((0..4).map(|v| v * n as i32));
            Example { inputs: vec![input(&[4], values)], responses: vec![vec![output]] }
        };
        verify(&model, &example, None, None);
    }
}
