//! Tests of both forms of `repeat`.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Batch, Event, FailureReason};
use hippocamp_batching::conformance::{Example, Subject};
use hippocamp_tensor::{Shape, push_element};
use kit::{Loaded, input, load, numbers};

const COUNTING: &str = r#"
    backend: "repeat"
    input { name: "IN" data_type: TYPE_INT32 dims: 1 }
    input { name: "TEXT" data_type: TYPE_STRING dims: 1 optional: true }
    output { name: "OUT" data_type: TYPE_INT32 dims: 1 }
    output { name: "TEXT_OUT" data_type: TYPE_STRING dims: 1 }
    model_transaction_policy { decoupled: true }"#;

const DELAYING: &str = r#"
    backend: "repeat"
    input { name: "IN" data_type: TYPE_INT32 dims: -1 }
    input { name: "DELAY" data_type: TYPE_UINT32 dims: -1 }
    input { name: "WAIT" data_type: TYPE_UINT32 dims: 1 }
    output { name: "OUT" data_type: TYPE_INT32 dims: 1 }
    output { name: "IDX" data_type: TYPE_UINT32 dims: 1 }"#;

fn decoupled(config: &str) -> String {
    format!("{config} model_transaction_policy {{ decoupled: true }}")
}

#[expect(clippy::unnecessary_wraps, reason = "an output that a response has may be missing in another")]
fn one(data: Bytes) -> Option<(Shape, Bytes)> {
    Some((Shape::from([1]), data))
}

fn counting(n: usize, _: usize) -> Example {
    let response = |i: usize| {
        let mut text = Vec::new();
        push_element(&mut text, format!("tok{i}").as_bytes());
        vec![one(numbers([i as i32])), one(text.into())]
    };
    let count = n % 5;
    Example {
        inputs: vec![input(&[1], numbers([count as i32])), None],
        responses: (0..count).map(response).collect(),
    }
}

/// Three elements, the second one with a delay.
fn delaying(n: usize, _: usize) -> Example {
    let values = [7, -1, n as i32];
    let response = |(i, value): (i32, i32)| vec![one(numbers([value])), one(numbers([i]))];
    Example {
        inputs: vec![
            input(&[3], numbers(values)),
            input(&[3], numbers([0, 2, 0])),
            input(&[1], numbers([1])),
        ],
        responses: (0..).zip(values).map(response).collect(),
    }
}

fn verify(config: &str, example: &(dyn Fn(usize, usize) -> Example + Sync), empty: Option<&Example>) {
    let Loaded { model, config, interface } = load(config).unwrap();
    let mut subject = Subject::new(&*model, config, interface, example);
    // The number of elements differs by one, so the shapes do not match.
    subject.failing = empty
        .map(|_| vec![input(&[2], numbers([1, 2])), input(&[1], numbers([0])), input(&[1], numbers([0]))]);
    let make = |_: usize, _: usize| empty.cloned().unwrap();
    if empty.is_some() {
        subject.empty = Some(&make);
    }
    subject.verify();
}

#[test]
fn keeps_every_promise_when_counting() {
    verify(COUNTING, &counting, None);
}

#[test]
fn keeps_every_promise_when_delaying() {
    let none = vec![input(&[0], Bytes::new()), input(&[0], Bytes::new()), input(&[1], numbers([0]))];
    verify(&decoupled(DELAYING), &delaying, Some(&Example { inputs: none, responses: vec![] }));
}

#[test]
fn counts_nothing_for_a_negative_number() {
    let (events, counters) = load(COUNTING).unwrap().run(vec![input(&[1], numbers([-3])), None]);
    assert!(matches!(events[..], [Event::End]), "{events:?}");
    assert_eq!((counters.success.count, counters.execution_count, counters.inference_count), (1, 1, 1));
}

#[test]
fn one_response_where_the_model_is_not_decoupled() {
    let model = load(DELAYING).unwrap();
    let request = |count: usize| {
        let values = |v: i32| -> Bytes { vec![v; count].into_iter().flat_map(i32::to_le_bytes).collect() };
        let shape = [count as i64];
        vec![input(&shape, values(5)), input(&shape, values(1)), input(&[1], numbers([0]))]
    };
    let (events, counters) = model.run(request(1));
    let [Event::Response { response, last: true }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(response.outputs[0].data, numbers([5]));
    assert_eq!((counters.success.count, counters.execution_count), (1, 1));
    assert_eq!(
        model.error(request(2)),
        "Invalid argument: model 'm' is not decoupled and gives one response, 2 were asked for"
    );
}

#[test]
fn a_client_that_hangs_up_is_not_waited_for() {
    let model = load(&decoupled(DELAYING)).unwrap();
    let (long, statistics) = (numbers([i32::MAX]), Arc::default());
    let inputs = vec![input(&[1], numbers([1])), input(&[1], long), input(&[1], numbers([0]))];
    let (request, receiver) = model.request(inputs, &statistics);
    let mut instance = model.instance();
    instance.execute(&mut Batch::from_iter([request]));
    drop(receiver);
    // Without cancellation this would take 24 days.
    drop(instance);
    assert_eq!(statistics.snapshot().failures[FailureReason::Canceled as usize], 1);
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let model = load(&decoupled(DELAYING)).unwrap();
    let request = vec![input(&[2], numbers([1, 2])), input(&[1], numbers([0])), input(&[1], numbers([0]))];
    assert_eq!(
        model.error(request),
        "Invalid argument: expected IN and DELAY shape to match, got [2] and [1]"
    );
    let error = load(COUNTING).unwrap().error(vec![input(&[1], numbers([i32::MAX])), None]);
    assert_eq!(
        error,
        "Invalid argument: model 'm' gives at most 100000 responses, 2147483647 were asked for"
    );
}

#[test]
fn wrong_configs_are_refused_by_name() {
    let refused = |text: &str| load(text).err().unwrap().reason();
    let batched = decoupled(&format!("max_batch_size: 4 {DELAYING}"));
    assert_eq!(
        refused(&batched),
        "Invalid argument: unable to load model 'm', backend 'repeat' expects max_batch_size 0"
    );
    assert_eq!(
        refused(&DELAYING.replace("\"IDX\" data_type: TYPE_UINT32", "\"IDX\" data_type: TYPE_INT32")),
        "Invalid argument: unable to load model 'm', backend 'repeat' expects 'IDX' to be of TYPE_UINT32"
    );
    assert_eq!(
        refused(&DELAYING.replace("\"IN\"", "\"INN\"")),
        "Invalid argument: unable to load model 'm', backend 'repeat' expects 'IN' to be of TYPE_INT32"
    );
}
