//! Tests of `square` and its parameters.

#![allow(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod kit;

use std::sync::Arc;

use bytes::Bytes;
use hippocamp_backend::{Batch, Event, FailureReason};
use hippocamp_batching::conformance::{Example, Subject};
use hippocamp_statistics::{Counters, ModelStatistics, ResponseCounters};
use hippocamp_tensor::Shape;
use kit::{Loaded, input, load, numbers};

const SQUARE: &str = r#"
    backend: "square"
    input { name: "IN" data_type: TYPE_INT32 dims: 1 }
    output { name: "OUT" data_type: TYPE_INT32 dims: 1 }
    model_transaction_policy { decoupled: true }"#;

fn with(parameters: &[(&str, u64)]) -> String {
    let text = parameters.iter().map(|(key, value)| {
        format!("parameters {{ key: \"{key}\" value {{ string_value: \"{value}\" }} }}\n")
    });
    format!("{SQUARE}\n{}", text.collect::<String>())
}

fn example(n: usize, _: usize) -> Example {
    let count = (n % 4) as i32;
    let one = |_| vec![Some((Shape::from([1]), numbers([count])))];
    Example { inputs: vec![input(&[1], numbers([count]))], responses: (0..count).map(one).collect() }
}

/// The counters of one response, without times.
fn counts(counters: &ResponseCounters) -> [u64; 6] {
    let ResponseCounters { compute_infer, compute_output, success, fail, empty_response, cancel } = counters;
    [compute_infer, compute_output, success, fail, empty_response, cancel].map(|counted| counted.count)
}

fn per_response(counters: &Counters) -> Vec<[u64; 6]> {
    counters.responses.iter().map(counts).collect()
}

#[test]
fn keeps_every_promise() {
    let Loaded { model, config, interface } = load(SQUARE).unwrap();
    let mut subject = Subject::new(&*model, config, interface, &example);
    subject.failing = Some(vec![input(&[1], numbers([i32::MAX]))]);
    subject.verify();
}

#[test]
fn each_response_is_counted_at_its_place() {
    let model = load(&with(&[("CUSTOM_FAIL_COUNT", 1), ("CUSTOM_EMPTY_COUNT", 1)])).unwrap();
    let (events, counters) = model.run(vec![input(&[1], numbers([4]))]);
    let [
        Event::Response { last: false, .. },
        Event::Response { last: false, .. },
        Event::ResponseFailed(error),
        Event::End,
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(error.reason(), "Unknown: simulated failure");
    let success = [1, 1, 1, 0, 0, 0];
    assert_eq!(per_response(&counters), [success, success, [1, 1, 0, 1, 0, 0], [1, 0, 0, 0, 1, 0]]);
    assert_eq!((counters.success.count, counters.fail.count, counters.execution_count), (1, 0, 1));
}

#[test]
fn the_time_of_a_response_is_that_of_its_phases() {
    let delays = [("CUSTOM_INFER_DELAY_NS", 3_000_000), ("CUSTOM_OUTPUT_DELAY_NS", 2_000_000)];
    let (_, counters) = load(&with(&delays)).unwrap().run(vec![input(&[1], numbers([1]))]);
    let response = counters.responses[0];
    assert!(response.compute_infer.ns >= 3_000_000 && response.compute_output.ns >= 2_000_000);
    assert_eq!(response.success.ns, response.compute_infer.ns + response.compute_output.ns);
}

#[test]
fn a_client_that_hangs_up_ends_it_before_the_next_response() {
    let delays = [("CUSTOM_CANCEL_DELAY_NS", 2_000_000)];
    let model = load(&with(&delays)).unwrap();
    let statistics: Arc<ModelStatistics> = Arc::default();
    let (request, receiver) = model.request(vec![input(&[1], numbers([3]))], &statistics);
    drop(receiver);
    let mut instance = model.instance();
    instance.execute(&mut Batch::from_iter([request]));
    drop(instance);
    let counters = statistics.snapshot();
    assert_eq!(counters.failures[FailureReason::Canceled as usize], 1);
    assert_eq!(per_response(&counters), [[0, 0, 0, 0, 0, 1]]);
    assert!(counters.responses[0].cancel.ns >= 2_000_000);
}

#[test]
fn a_batch_dimension_may_have_one_row() {
    let model = load(&SQUARE.replace("backend:", "max_batch_size: 4 backend:")).unwrap();
    let (events, _) = model.run(vec![input(&[1, 1], numbers([1]))]);
    let [Event::Response { response, .. }, Event::End] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(
        (&response.outputs[0].shape, &response.outputs[0].data.to_host().unwrap()),
        (&Shape::from([1, 1]), &numbers([1]))
    );
    let error = model.error(vec![input(&[2, 1], numbers([1, 1]))]);
    assert_eq!(error, "Invalid argument: unexpected shape for IN input");
}

#[test]
fn a_model_that_is_not_decoupled_gives_one() {
    let model = load(&SQUARE.replace("decoupled: true", "decoupled: false")).unwrap();
    let (events, counters) = model.run(vec![input(&[1], numbers([1]))]);
    assert!(matches!(events[..], [Event::Response { last: true, .. }]), "{events:?}");
    assert_eq!(counters.responses, []);
    assert_eq!(
        model.error(vec![input(&[1], numbers([2]))]),
        "Invalid argument: model 'm' is not decoupled and gives one response, 2 were asked for"
    );
}

#[test]
fn wrong_configs_and_requests_are_refused() {
    for (from, to, expected) in [
        ("\"IN\"", "\"IM\"", "expected first input tensor name to be IN, got IM"),
        ("\"OUT\"", "\"OUX\"", "expected first output tensor name to be OUT, got OUX"),
        ("dims: 1 }\n    output", "dims: 2 }\n    output", "expected IN shape to be [1], got [2]"),
        (
            "\"OUT\" data_type: TYPE_INT32",
            "\"OUT\" data_type: TYPE_FP32",
            "expected OUT datatype to be INT32, got TYPE_FP32",
        ),
    ] {
        let error = load(&SQUARE.replace(from, to)).err().unwrap();
        assert_eq!(error.message(), expected);
    }
    let error = load(SQUARE).unwrap().error(vec![input(&[1], Bytes::new())]);
    assert_eq!(error, "Invalid argument: unexpected shape for IN input");
    assert!(
        load(&with(&[]).replace(
            "decoupled: true }",
            "decoupled: true } parameters { key: \"CUSTOM_FAIL_COUNT\" value { string_value: \"x\" } }"
        ))
        .is_err()
    );
}
