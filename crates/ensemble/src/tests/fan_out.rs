//! Tests of steps that run once for each row of a tensor.

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{
    Code, Delivery, ExecutionTimes, InputTensor, OutputTensor, Request, Response, ResponseReceiver, channel,
};
use hippocamp_tensor::{Shape, TensorData};

use super::kit::*;
use crate::Ensemble;

mod errors;
mod in_flight;
mod properties;
mod rows;

/// The config of an ensemble from rows of INT32 to rows, and its parameters.
fn rows_io(inputs: &[&str], outputs: &[&str], parameters: &[(&str, &str)]) -> String {
    let tensor = |kind: &str, name: &str| {
        format!("{kind} {{ name: \"{name}\" data_type: TYPE_INT32 dims: [ -1, 1 ] }} ")
    };
    let inputs: String = inputs.iter().map(|name| tensor("input", name)).collect();
    let outputs: String = outputs.iter().map(|name| tensor("output", name)).collect();
    inputs + &outputs + &settings(parameters)
}

fn settings(parameters: &[(&str, &str)]) -> String {
    let text = |(key, value): &(&str, &str)| {
        format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }} ")
    };
    parameters.iter().map(text).collect()
}

/// An ensemble of one step, of model `m`.
fn mapped(m: &Arc<Fake>, more: &[(&str, &str)]) -> Ensemble {
    let parameters: Vec<_> = [("fan_out.m", "IN")].into_iter().chain(more.iter().copied()).collect();
    ensemble(&rows_io(&["IN"], &["OUT"], &parameters), &step("m", "X=IN", "Y=OUT"), &[m]).unwrap()
}

fn bytes(numbers: &[i32]) -> Bytes {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn rows(numbers: &[i32]) -> InputTensor {
    InputTensor { shape: Shape::from([numbers.len() as i64, 1]), data: bytes(numbers).into() }
}

fn request_of(inputs: Vec<InputTensor>) -> (Request, ResponseReceiver) {
    let (response, receiver) = channel(Delivery::Once, std::time::Instant::now(), Arc::default());
    (Request::new(inputs.into_iter().map(Some).collect(), 1, response), receiver)
}

fn given(numbers: &[i32]) -> (Request, ResponseReceiver) {
    request_of(vec![rows(numbers)])
}

fn all_numbers(data: &TensorData) -> Vec<i32> {
    data.to_host().unwrap().chunks(4).map(number).collect()
}

/// The shape and the numbers of an output.
fn output(response: &Response, index: usize) -> (Vec<i64>, Vec<i32>) {
    let output = response.outputs.iter().find(|output| output.index == index).unwrap();
    (output.shape.to_vec(), all_numbers(&output.data))
}

fn respond(request: Request, shape: &[i64], numbers: &[i32]) {
    let output = OutputTensor { index: 0, shape: shape.into(), data: bytes(numbers).into(), data_type: None };
    let response = Response { outputs: [output].into_iter().collect(), ..Response::default() };
    request.succeed(response, &ExecutionTimes::now());
}

fn refusal(receiver: ResponseReceiver) -> (Code, String) {
    let error = block_on(receiver.only()).unwrap_err();
    (error.code(), error.message().to_owned())
}
