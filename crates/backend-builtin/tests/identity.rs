//! Tests of `identity` and `fail`.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use bytes::Bytes;
use hippocamp_backend::{Event, ParameterValue};
use hippocamp_batching::conformance::{Example, Subject};
use hippocamp_tensor::{DataType, Shape, push_element};
use kit::{Loaded, input, load, numbers};

fn verify(loaded: &Loaded, example: &(dyn Fn(usize, usize) -> Example + Sync), empty: bool) {
    let Loaded { model, config, interface } = loaded;
    let mut subject = Subject::new(&**model, config.clone(), interface.clone(), example);
    let no_elements = |_: usize, _: usize| pass(&Shape::from([0]), &Bytes::new());
    if empty {
        subject.empty = Some(&no_elements);
    }
    subject.verify();
}

/// A request with two inputs that are returned.
fn pass(shape: &Shape, data: &Bytes) -> Example {
    let tensor = || Some((shape.clone(), data.clone()));
    Example {
        inputs: vec![input(shape, data.clone()), input(shape, data.clone())],
        responses: vec![vec![tensor(), tensor()]],
    }
}

fn config(data_type: DataType, max_batch_size: u32) -> String {
    let tensor = |kind: &str, name: &str| {
        format!("{kind} {{ name: \"{name}\" data_type: {} dims: -1 }}", data_type.config_name())
    };
    [
        format!("backend: \"identity\" max_batch_size: {max_batch_size}"),
        tensor("input", "INPUT0"),
        tensor("input", "INPUT1"),
        tensor("output", "OUTPUT0"),
        tensor("output", "OUTPUT1"),
    ]
    .join("\n")
}

#[test]
fn keeps_every_promise_for_every_type() {
    for data_type in DataType::ALL {
        let size = data_type.byte_size().unwrap_or(0);
        let content = |n: usize, elements: usize| -> Bytes {
            if data_type != DataType::Bytes {
                return (0..elements * size).map(|i| (i * 7 + n) as u8).collect::<Vec<_>>().into();
            }
            let mut content = Vec::new();
            (0..elements).for_each(|i| push_element(&mut content, format!("{n}:{i}").as_bytes()));
            content.into()
        };
        verify(
            &load(&config(data_type, 8)).unwrap(),
            &|n, rows| pass(&Shape::from([rows as i64, 3]), &content(n, 3 * rows)),
            false,
        );
        verify(&load(&config(data_type, 0)).unwrap(), &|n, _| pass(&Shape::from([5]), &content(n, 5)), true);
    }
}

#[test]
fn gives_the_request_its_own_bytes_back() {
    let (data, model) = (numbers([1, 2]), load(&config(DataType::Int32, 0)).unwrap());
    let (events, _) = model.run(vec![input(&[2], data.clone()), input(&[2], data.clone())]);
    let [Event::Response { response, last: true }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(response.outputs[0].data.to_host().unwrap().as_ptr(), data.as_ptr());
}

#[test]
fn every_response_carries_parameters() {
    let model = load(&config(DataType::Int32, 0)).unwrap();
    let (events, _) = model.run(vec![input(&[1], numbers([1])), input(&[1], numbers([1]))]);
    let [Event::Response { response, .. }] = events.as_slice() else { panic!("{events:?}") };
    let parameters: Vec<_> = response.parameters.iter().collect();
    let text = ParameterValue::String("an example string parameter".into());
    assert_eq!(
        parameters,
        [
            ("param0", &text),
            ("param1", &ParameterValue::Int64(42)),
            ("param2", &ParameterValue::Bool(false)),
            ("param3", &ParameterValue::Double(123.123)),
        ]
    );
}

#[test]
fn reports_a_batch_of_0_where_there_is_no_batch_dimension() {
    let data = || input(&[1], numbers([1]));
    let (_, counters) = load(&config(DataType::Int32, 0)).unwrap().run(vec![data(), data()]);
    assert_eq!((counters.execution_count, counters.inference_count), (1, 0));
    let data = || input(&[3, 1], numbers([1, 2, 3]));
    let (_, counters) = load(&config(DataType::Int32, 4)).unwrap().run(vec![data(), data()]);
    assert_eq!((counters.execution_count, counters.inference_count), (1, 3));
    assert_eq!(counters.batches.keys().collect::<Vec<_>>(), [&3]);
}

#[test]
fn a_missing_optional_input_gives_zeros() {
    let text = r#"
        backend: "identity"
        input { name: "INPUT0" data_type: TYPE_FP32 dims: [ 2 ] optional: true }
        input { name: "INPUT1" data_type: TYPE_STRING dims: [ 3, -1 ] optional: true }
        output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 2 ] }
        output { name: "OUTPUT1" data_type: TYPE_STRING dims: [ 3, -1 ] }"#;
    let (events, _) = load(text).unwrap().run(vec![None, None]);
    let [Event::Response { response, .. }] = events.as_slice() else { panic!("{events:?}") };
    let [zeros, strings] = response.outputs.as_slice() else { panic!("{response:?}") };
    assert_eq!((&zeros.shape, &zeros.data.to_host().unwrap()[..]), (&Shape::from([2]), &[0; 8][..]));
    assert_eq!((&strings.shape, &strings.data.to_host().unwrap()[..]), (&Shape::from([3, 1]), &[0; 12][..]));
}

#[test]
fn zeros_that_fit_into_no_memory_are_an_error() {
    let text = r#"
        backend: "identity"
        input { name: "INPUT0" data_type: TYPE_FP32 dims: [ 4000000000, 4000000000 ] optional: true }
        output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ 4000000000, 4000000000 ] }"#;
    let error = load(text).unwrap().error(vec![None]);
    assert_eq!(error, "Internal: there is no memory for input 'INPUT0' of shape [4000000000,4000000000]");
}

#[test]
fn wrong_configs_are_refused_by_name() {
    let tensors = |input: &str, output: &str| {
        format!(
            "backend: \"identity\" input {{ name: \"INPUT0\" data_type: {input} }} \
             output {{ name: \"OUTPUT{output} }}"
        )
    };
    let refused = |text: &str| load(text).err().unwrap().reason();
    assert_eq!(
        refused(&tensors("TYPE_FP32 dims: 1", "7\" data_type: TYPE_FP32 dims: 1")),
        "Invalid argument: unable to load model 'm', an output OUTPUTn was expected to have an input INPUTn, \
         'OUTPUT7' has none"
    );
    assert_eq!(
        refused(&tensors("TYPE_FP32 dims: 1", "0\" data_type: TYPE_FP32 dims: 2")),
        "Invalid argument: unable to load model 'm', 'INPUT0' and 'OUTPUT0' were expected to have the same type and dims, \
         got [1] and [2]"
    );
    // Dims as the model sees them count.
    let reshaped =
        tensors("TYPE_FP32 dims: 4 reshape { shape: [ 2, 2 ] }", "0\" data_type: TYPE_FP32 dims: [ 2, 2 ]");
    assert!(load(&reshaped).is_ok());
    let delay = "parameters { key: \"execute_delay_ms\" value { string_value: \"soon\" } }";
    assert_eq!(
        refused(&format!("{} {delay}", tensors("TYPE_FP32 dims: 1", "0\" data_type: TYPE_FP32 dims: 1"))),
        "Invalid argument: parameter 'execute_delay_ms' of model 'm' was expected to be a whole number, got 'soon'"
    );
}

#[test]
fn fail_fails() {
    let text = r#"
        backend: "fail"
        input { name: "IN" data_type: TYPE_INT32 dims: 1 }
        output { name: "OUT" data_type: TYPE_INT32 dims: 1 }"#;
    let model = load(text).unwrap();
    let request = || vec![input(&[1], numbers([1]))];
    assert_eq!(model.error(request()), "Invalid argument: boom from the model");
    let (_, counters) = model.run(request());
    assert_eq!((counters.success.count, counters.fail.count), (0, 1));
}
