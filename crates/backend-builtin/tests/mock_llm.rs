//! Tests of `mock_llm` and its parameters.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Batch, Event, FailureReason, InputTensor, OutputTensor, ParameterValue};
use hippocamp_batching::conformance::{Example, Subject};
use hippocamp_statistics::ModelStatistics;
use hippocamp_tensor::{Shape, push_element};
use kit::{Loaded, input, load};

const MOCK: &str = r#"
    backend: "mock_llm"
    input { name: "PROMPT" data_type: TYPE_STRING dims: 1 }
    input { name: "STREAM" data_type: TYPE_BOOL dims: 1 optional: true }
    output { name: "TEXT" data_type: TYPE_STRING dims: 1 }
    model_transaction_policy { decoupled: true }"#;

fn text(content: &str) -> Bytes {
    let mut wire = Vec::new();
    push_element(&mut wire, content.as_bytes());
    wire.into()
}

fn inputs(prompt: &str, stream: bool) -> Vec<Option<InputTensor>> {
    vec![input(&[1], text(prompt)), input(&[1], Bytes::copy_from_slice(&[u8::from(stream)]))]
}

fn example(n: usize, _: usize) -> Example {
    let prompt = format!("prompt {n}");
    Example {
        inputs: inputs(&prompt, n.is_multiple_of(2)),
        responses: vec![vec![Some((Shape::from([1]), text(&prompt)))]],
    }
}

/// The events of a request with these parameters.
fn run(stream: bool, parameters: &[(&'static str, ParameterValue)]) -> Vec<Event> {
    let model = load(MOCK).unwrap();
    let statistics: Arc<ModelStatistics> = Arc::default();
    let (mut request, mut receiver) = model.request(inputs("hello", stream), &statistics);
    for (name, value) in parameters {
        request.parameters.set(*name, value.clone());
    }
    model.instance().execute(&mut Batch::from_iter([request]));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut events = Vec::new();
        while let Some(event) = receiver.next().await {
            events.push(event);
        }
        events
    })
}

fn texts(events: &[Event]) -> Vec<(Shape, Bytes)> {
    let outputs = events.iter().filter_map(|event| match event {
        Event::Response { response, .. } => Some(&response.outputs[0]),
        _ => None,
    });
    outputs.map(|OutputTensor { shape, data, .. }| (shape.clone(), data.to_host().unwrap())).collect()
}

#[test]
fn keeps_every_promise() {
    let Loaded { model, config, interface } = load(MOCK).unwrap();
    let mut subject = Subject::new(&*model, config, interface, &example);
    subject.failing = Some(vec![None, None]);
    subject.verify();
}

#[test]
fn a_stream_repeats_the_prompt_and_has_an_end_of_its_own() {
    let events = run(true, &[("REPETITION", ParameterValue::Int64(3))]);
    assert_eq!(texts(&events), vec![(Shape::from([1]), text("hello")); 3]);
    assert!(matches!(events.last(), Some(Event::End)));
    let none = run(true, &[("REPETITION", ParameterValue::Int64(0))]);
    assert!(matches!(none[..], [Event::End]));
}

#[test]
fn without_a_stream_there_is_one_response() {
    let events = run(false, &[("REPETITION", ParameterValue::Int64(3))]);
    assert!(matches!(events[..], [Event::Response { last: true, .. }]), "{events:?}");
}

#[test]
fn it_may_fail_at_the_end_and_be_empty() {
    let parameters = [
        ("REPETITION", ParameterValue::String("2".into())),
        ("FAIL_LAST", ParameterValue::Bool(true)),
        ("OUTPUT_0_DIM", ParameterValue::Bool(true)),
    ];
    let events = run(true, &parameters);
    assert_eq!(texts(&events), vec![(Shape::from([0]), Bytes::new()); 2]);
    let Some(Event::Failed(error)) = events.last() else { panic!("{events:?}") };
    assert_eq!(error.message(), "An Error Occurred");
}

#[test]
fn a_client_that_hangs_up_stops_it() {
    let model = load(MOCK).unwrap();
    let statistics: Arc<ModelStatistics> = Arc::default();
    let (mut request, receiver) = model.request(inputs("hello", true), &statistics);
    request.parameters.set("DELAY", ParameterValue::Int64(i64::MAX));
    drop(receiver);
    model.instance().execute(&mut Batch::from_iter([request]));
    let counters = statistics.snapshot();
    assert_eq!(counters.failures[FailureReason::Canceled as usize], 1);
    assert_eq!(counters.responses[0].cancel.count, 1);
}

#[test]
fn bad_parameters_are_told() {
    let events = run(true, &[("DELAY", ParameterValue::Bool(true))]);
    let [Event::Failed(error)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        error.message(),
        "parameter 'DELAY' of a request to model 'm' was expected to be a number, got Bool(true)"
    );
    let events = run(true, &[("REPETITION", ParameterValue::Int64(i64::MAX))]);
    assert!(matches!(events[..], [Event::Failed(_)]), "{events:?}");
    let events = run(false, &[("FAIL_LAST", ParameterValue::Double(0.5))]);
    assert!(matches!(events[..], [Event::Failed(_)]), "{events:?}");
}

#[test]
fn wrong_configs_are_refused() {
    let error = load(&MOCK.replace("TYPE_BOOL", "TYPE_INT32")).err().unwrap();
    let expected = "unable to load model 'm', backend 'mock_llm' expects 'STREAM' to be of TYPE_BOOL";
    assert_eq!(error.message(), expected);
    assert!(load(&MOCK.replace("\"TEXT\"", "\"TXT\"")).is_err());
}
