//! Batches of requests of different shapes, ragged and padded, against references that go element by element.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_backend::{
    Batch, Delivery, ModelInstance, Request, Response, ResponseReceiver, Result, channel,
};
use hippocamp_backend::{Error, InputTensor};
use hippocamp_batching::{Batched, Compute, Fitting, Inputs, Outputs};
use hippocamp_model_config::{Interface, parse};
use hippocamp_tensor::{Shape, TensorData};
use proptest::prelude::*;

fn interface(text: &str) -> Arc<Interface> {
    Arc::new(Interface::new(&parse(text, "config.pbtxt").unwrap().config).unwrap())
}

/// A tensor of INT32.
#[derive(Clone, Debug, PartialEq)]
struct Tensor {
    shape: Vec<i64>,
    values: Vec<i32>,
}

impl Tensor {
    fn new(shape: &[i64], values: impl IntoIterator<Item = i32>) -> Tensor {
        Tensor { shape: shape.to_vec(), values: values.into_iter().collect() }
    }

    fn bytes(&self) -> Bytes {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>().into()
    }

    fn of(shape: &Shape, data: &[u8]) -> Tensor {
        let (values, rest) = data.as_chunks::<4>();
        assert_eq!(rest, [0; 0]);
        assert_eq!(shape.element_count(), Some(values.len()));
        Tensor::new(shape, values.iter().map(|bytes| i32::from_le_bytes(*bytes)))
    }
}

fn request(inputs: &[Option<Tensor>], rows: usize) -> (Request, ResponseReceiver) {
    let now = Instant::now();
    let (response, receiver) = channel(Delivery::Once, now, Arc::default());
    let inputs = inputs.iter().map(|input| {
        input.as_ref().map(|tensor| {
            // In two segments, if there is enough for two.
            let bytes = tensor.bytes();
            let middle = bytes.len() / 2;
            let data: TensorData = [bytes.slice(..middle), bytes.slice(middle..)].into_iter().collect();
            InputTensor { shape: Shape::from(tensor.shape.as_slice()), data }
        })
    });
    let request = Request::new(inputs.collect(), rows, response);
    (request, receiver)
}

/// What the model saw.
type Seen = std::sync::mpsc::Sender<Vec<Option<Tensor>>>;

/// A model whose output n is its input n, as far as it has one; it tells what it saw. Its batches have a multiple of so many
/// rows.
struct Copying(Seen, usize, usize);

impl Compute for Copying {
    fn run(&mut self, inputs: &Inputs<'_>, outputs: &mut Outputs) -> Result<()> {
        let seen =
            inputs.iter().map(|i| i.as_ref().map(|view| Tensor::of(&view.shape, view.bytes().unwrap())));
        self.0.send(seen.collect()).unwrap();
        for (index, input) in inputs.iter().enumerate().take(self.1) {
            if let Some(view) = input {
                outputs.set(index, view.shape.clone(), Bytes::copy_from_slice(view.bytes()?));
            }
        }
        Ok(())
    }

    fn padded_rows(&self, rows: usize) -> usize {
        rows.next_multiple_of(self.2)
    }
}

type Executed = (Vec<Option<Tensor>>, Vec<Result<Response, Error>>);

/// Executes the requests as one batch: what the model saw, and the responses.
fn execute(interface: &Arc<Interface>, requests: &[(Vec<Option<Tensor>>, usize)]) -> Executed {
    execute_in_multiples_of(1, interface, requests)
}

fn execute_in_multiples_of(
    multiple: usize,
    interface: &Arc<Interface>,
    requests: &[(Vec<Option<Tensor>>, usize)],
) -> Executed {
    let (seen, tell) = std::sync::mpsc::channel();
    let copied = interface.outputs.len();
    let mut instance = Batched::new(Copying(seen, copied, multiple), Arc::clone(interface));
    let (mut batch, receivers): (Batch, Vec<_>) =
        requests.iter().map(|(inputs, rows)| request(inputs, *rows)).unzip();
    instance.execute(&mut batch);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let responses = receivers.into_iter().map(|receiver| runtime.block_on(receiver.only())).collect();
    (tell.recv().unwrap(), responses)
}

fn output(response: &Response, index: usize) -> Tensor {
    let output = response.outputs.iter().find(|output| output.index == index).unwrap();
    Tensor::of(&output.shape, &output.data.to_host().unwrap())
}

const RAGGED: &str = r#"
    name: "m" max_batch_size: 64
    input { name: "x" data_type: TYPE_INT32 dims: [ -1, 2 ] allow_ragged_batch: true }
    output { name: "y" data_type: TYPE_INT32 dims: [ -1, 2 ] }
    batch_input { kind: BATCH_ELEMENT_COUNT target_name: "a" data_type: TYPE_INT32 source_input: "x" }
    batch_input { kind: BATCH_ACCUMULATED_ELEMENT_COUNT target_name: "b" data_type: TYPE_INT32 source_input: "x" }
    batch_input { kind: BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO target_name: "c" data_type: TYPE_INT32 source_input: "x" }
    batch_input { kind: BATCH_MAX_ELEMENT_COUNT_AS_SHAPE target_name: "d" data_type: TYPE_INT32 source_input: "x" }
    batch_input { kind: BATCH_ITEM_SHAPE target_name: "e" data_type: TYPE_INT32 source_input: "x" }
    batch_input { kind: BATCH_ITEM_SHAPE_FLATTEN target_name: [ "f", "g" ] data_type: TYPE_INT32 source_input: "x" }
    batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "y" source_input: "x" }"#;

#[test]
fn the_examples_of_tritons_documents() {
    let interface = interface(RAGGED);
    let x = |rows: i64, width: i64| Some(Tensor::new(&[rows, width, 2], 0..(rows * width * 2) as i32));
    let (seen, _) = execute(&interface, &[(vec![x(2, 3)], 2), (vec![x(1, 2)], 1)]);
    let seen: Vec<Tensor> = seen.into_iter().map(Option::unwrap).collect();
    assert_eq!(seen[0], Tensor::new(&[16], (0..12).chain(0..4)));
    assert_eq!(seen[1], Tensor::new(&[2], [12, 4]));
    assert_eq!(seen[2], Tensor::new(&[2], [12, 16]));
    assert_eq!(seen[3], Tensor::new(&[3], [0, 12, 16]));
    assert_eq!(seen[4].shape, [12]);
    assert_eq!(seen[5], Tensor::new(&[3, 2], [3, 2, 3, 2, 2, 2]));
    assert_eq!(seen[6], Tensor::new(&[6], [3, 2, 3, 2, 2, 2]));
    assert_eq!(seen[7], seen[6], "each target gets the same");
}

#[test]
fn facts_may_be_floating_point_numbers() {
    let interface = interface(&RAGGED.replace("\"b\" data_type: TYPE_INT32", "\"b\" data_type: TYPE_FP32"));
    let x = Some(Tensor::new(&[1, 3, 2], 0..6));
    let (seen, _) = execute(&interface, &[(vec![x.clone()], 1), (vec![x], 1)]);
    let floats = seen[2].as_ref().unwrap().values.iter().map(|bits| f32::from_bits(*bits as u32));
    assert_eq!(floats.collect::<Vec<_>>(), [6.0, 12.0]);
}

#[test]
fn an_output_that_does_not_come_out_even_is_an_error() {
    // The output takes two elements for each of the input's.
    let interface = interface(&RAGGED.replace(
        "output { name: \"y\" data_type: TYPE_INT32 dims: [ -1, 2 ] }",
        "output { name: \"y\" data_type: TYPE_INT32 dims: [ -1, 3 ] }",
    ));
    let x = Some(Tensor::new(&[1, 2, 2], 0..4));
    let (_, responses) = execute(&interface, &[(vec![x], 1)]);
    let error = responses[0].as_ref().unwrap_err();
    assert!(error.message().contains("the model gave shape [4], which is too little"), "{error}");
}

fn ragged_requests() -> impl Strategy<Value = Vec<(usize, usize, i32)>> {
    proptest::collection::vec((1usize..4, 0usize..4, any::<i32>()), 1..6)
}

proptest! {
    #[test]
    fn ragged_batches_are_laid_end_to_end(requests in ragged_requests()) {
        let interface = interface(RAGGED);
        let requests: Vec<(Vec<Option<Tensor>>, usize)> = requests
            .into_iter()
            .map(|(rows, width, seed)| {
                let values = (0..(rows * width * 2) as i32).map(|i| seed.wrapping_add(i));
                (vec![Some(Tensor::new(&[rows as i64, width as i64, 2], values))], rows)
            })
            .collect();
        let (seen, responses) = execute(&interface, &requests);
        let inputs: Vec<&Tensor> = requests.iter().map(|(inputs, _)| inputs[0].as_ref().unwrap()).collect();
        let all: Vec<i32> = inputs.iter().flat_map(|tensor| tensor.values.clone()).collect();
        prop_assert_eq!(seen[0].as_ref().unwrap(), &Tensor::new(&[all.len() as i64], all));
        let ends: Vec<i32> = (1..=inputs.len())
            .map(|n| inputs[..n].iter().map(|tensor| tensor.values.len() as i32).sum())
            .collect();
        prop_assert_eq!(&seen[2].as_ref().unwrap().values, &ends);
        let longest = inputs.iter().map(|tensor| tensor.values.len()).max().unwrap();
        prop_assert_eq!(&seen[4].as_ref().unwrap().shape, &[longest as i64]);
        for (tensor, response) in inputs.iter().zip(&responses) {
            prop_assert_eq!(&output(response.as_ref().unwrap(), 0), *tensor);
        }
    }
}

const PADDED: &str = r#"
    name: "m" max_batch_size: 64
    input { name: "ids" data_type: TYPE_INT32 dims: -1 }
    input { name: "mask" data_type: TYPE_INT32 dims: -1 optional: true }
    input { name: "x" data_type: TYPE_INT32 dims: [ 2, -1, 3 ] }
    output { name: "ids_out" data_type: TYPE_INT32 dims: -1 }
    output { name: "mask_out" data_type: TYPE_INT32 dims: -1 }
    output { name: "x_out" data_type: TYPE_INT32 dims: [ 2, -1, 3 ] }
    parameters { key: "padding.buckets" value { string_value: "3,8" } }
    parameters { key: "padding.input.ids" value { string_value: "value=-7" } }
    parameters { key: "padding.input.mask" value { string_value: "fill=1" } }
    parameters { key: "padding.input.x" value { string_value: "value=9" } }
    parameters { key: "padding.output.ids_out" value { string_value: "" } }
    parameters { key: "padding.output.mask_out" value { string_value: "" } }
    parameters { key: "padding.output.x_out" value { string_value: "dim=1" } }"#;

/// A request of that many rows and that length, with a mask of its own or without.
fn padded_request(rows: usize, length: usize, masked: bool) -> (Vec<Option<Tensor>>, usize) {
    let (r, l) = (rows as i64, length as i64);
    let ids = Tensor::new(&[r, l], (0..rows * length).map(|i| i as i32));
    let mask = masked.then(|| Tensor::new(&[r, l], vec![2; rows * length]));
    let x = Tensor::new(&[r, 2, l, 3], (0..rows * length * 6).map(|i| 1000 + i as i32));
    (vec![Some(ids), mask, Some(x)], rows)
}

/// A tensor of `runs` runs of `length` steps of `step` elements, each run padded to `padded` steps.
fn pad(values: &[i32], length: usize, step: usize, padded: usize, value: i32) -> Vec<i32> {
    let mut all = Vec::new();
    for run in values.chunks(length * step) {
        all.extend_from_slice(run);
        all.extend(vec![value; (padded - length) * step]);
    }
    all
}

proptest! {
    #[test]
    fn padded_batches_are_as_if_each_request_were_alone(
        requests in proptest::collection::vec((1usize..4, 4usize..9, any::<bool>()), 1..6),
        to_edge: bool,
        multiple in 1usize..9,
    ) {
        let to = if to_edge { "bucket" } else { "batch" };
        let length = format!("parameters {{ key: \"padding.length\" value {{ string_value: \"{to}\" }} }}");
        let interface = interface(&format!("{PADDED} {length}"));
        let longest = requests.iter().map(|(_, length, _)| *length).max().unwrap();
        let padded = if to_edge { 8 } else { longest };
        let all: Vec<_> = requests.iter().map(|(rows, length, masked)| padded_request(*rows, *length, *masked)).collect();
        let (seen, responses) = execute_in_multiples_of(multiple, &interface, &all);
        let (mut ids, mut mask, mut x) = (Vec::new(), Vec::new(), Vec::new());
        for ((inputs, rows), (_, length, masked)) in all.iter().zip(&requests) {
            ids.extend(pad(&inputs[0].as_ref().unwrap().values, *length, 1, padded, -7));
            let real = vec![if *masked { 2 } else { 1 }; rows * length];
            mask.extend(pad(&real, *length, 1, padded, 0));
            x.extend(pad(&inputs[2].as_ref().unwrap().values, *length, 3, padded, 9));
        }
        let rows: usize = requests.iter().map(|(rows, _, _)| *rows).sum();
        for all in [&mut ids, &mut mask, &mut x] {
            let row = all[all.len() - all.len() / rows..].to_vec();
            (rows..rows.next_multiple_of(multiple)).for_each(|_| all.extend_from_slice(&row));
        }
        let (rows, l) = (rows.next_multiple_of(multiple) as i64, padded as i64);
        prop_assert_eq!(seen[0].as_ref().unwrap(), &Tensor::new(&[rows, l], ids));
        prop_assert_eq!(seen[1].as_ref().unwrap(), &Tensor::new(&[rows, l], mask));
        prop_assert_eq!(seen[2].as_ref().unwrap(), &Tensor::new(&[rows, 2, l, 3], x));
        for ((inputs, rows), (response, (_, length, masked))) in all.iter().zip(responses.iter().zip(&requests)) {
            let response = response.as_ref().unwrap();
            prop_assert_eq!(&output(response, 0), inputs[0].as_ref().unwrap());
            prop_assert_eq!(&output(response, 2), inputs[2].as_ref().unwrap());
            let real = vec![if *masked { 2 } else { 1 }; rows * length];
            prop_assert_eq!(output(response, 1), Tensor::new(&[*rows as i64, *length as i64], real));
        }
    }

    #[test]
    fn who_fits_with_whom(a in 0usize..12, b in 0usize..12, masked: bool) {
        let fitting = Fitting::new(&interface(PADDED));
        let (first, _a) = { let (inputs, rows) = padded_request(1, a, true); request(&inputs, rows) };
        let (second, _b) = { let (inputs, rows) = padded_request(2, b, masked); request(&inputs, rows) };
        let bucket = |length: usize| match length { 1..=3 => 1, 4..=8 => 2, _ => 100 + length };
        let expected = a > 0 && b > 0 && bucket(a) == bucket(b);
        prop_assert_eq!(fitting.together(&first, &second), expected);
        prop_assert_eq!(fitting.together(&second, &first), expected);
    }
}

#[test]
fn ragged_inputs_fit_whatever_their_shapes() {
    let text = format!("{RAGGED} input {{ name: \"z\" data_type: TYPE_INT32 dims: -1 }}");
    let fitting = Fitting::new(&interface(&text));
    let make = |width: i64, other: i64| {
        let x = Tensor::new(&[1, width, 2], 0..(width * 2) as i32);
        request(&[Some(x), Some(Tensor::new(&[1, other], 0..other as i32))], 1)
    };
    let ((a, _ra), (b, _rb), (c, _rc)) = (make(1, 4), make(3, 4), make(1, 5));
    assert!(fitting.together(&a, &b));
    assert!(!fitting.together(&a, &c), "the other input is not ragged");
    assert!(Fitting::new(&interface(RAGGED)).is_uniform(), "there is nothing to compare");
}

#[test]
fn a_padded_output_of_another_length_is_an_error() {
    // The model's output is its input, which is not padded.
    let text = PADDED.replace(
        "padding.input.x\" value { string_value: \"value=9\"",
        "unused\" value { string_value: \"\"",
    );
    let interface = interface(&text);
    let mut inputs = padded_request(1, 4, true);
    inputs.0[2] = Some(Tensor::new(&[1, 2, 5, 3], 0..30));
    let (_, responses) = execute(&interface, &[inputs]);
    let error = responses[0].as_ref().unwrap_err();
    assert!(error.message().contains("expected to have the padded length 4 in dimension 2"), "{error}");
}

#[test]
fn a_request_without_elements_is_not_padded() {
    let interface = interface(&format!(
        "{PADDED} parameters {{ key: \"padding.length\" value {{ string_value: \"bucket\" }} }}"
    ));
    let (seen, responses) = execute(&interface, &[padded_request(2, 0, false)]);
    assert_eq!(seen[0], Some(Tensor::new(&[2, 0], [])));
    assert_eq!(seen[1], Some(Tensor::new(&[2, 0], [])), "the mask is made as long");
    assert_eq!(output(responses[0].as_ref().unwrap(), 2), Tensor::new(&[2, 2, 0, 3], []));
}
