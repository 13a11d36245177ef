//! What a backend gets for a row.

use hippocamp_backend::{
    ExecutionTimes, FailureReason, InputTensor, OutputTensor, Request, Response, WantedOutputs,
    count_execution,
};
use hippocamp_tensor::Shape;

use super::kit::{
    Bench, CONTROLS, END, ID, READY, START, STATE, SUM, answered, number, policy, policy_of_type, sequence,
};

#[test]
fn rows_without_a_request_are_zeros_that_are_not_ready() {
    let bench = Bench::new(policy(4, &format!("direct {{ }} {CONTROLS} {STATE}")), 1);
    let _answers = [1, 2, 3].map(|id| bench.send(id, "S", 5));
    bench.run(0);
    let (mut request, _answer) = bench.request(Some(sequence(3, "")), 9);
    request.inputs[0] = Some(InputTensor {
        shape: Shape::from([1, 2]),
        data: bytes::Bytes::from_static(&[9, 0, 0, 0, 9, 0, 0, 0]).into(),
    });
    bench.push(request).unwrap();
    let batch = bench.pull(0);
    let [null, second, real] = batch.as_slice() else { panic!("three rows: {batch:?}") };
    assert!(null.is_null() && second.is_null() && !real.is_null());
    assert!(!null.is_cancelled(), "it keeps its place");
    assert!((0..4).all(|output| !null.outputs.contains(output)));
    for input in [0, START, READY, END, ID, SUM] {
        assert_eq!(number(null, input), 0);
    }
    let shape = |input: usize| null.inputs[input].as_ref().unwrap().shape.clone();
    assert_eq!(shape(0), Shape::from([1, 2]), "as that of the row that is ready");
    assert_eq!((shape(READY), shape(SUM)), (Shape::from([1, 1]), Shape::from([1, 1])));
    assert_eq!((number(real, READY), number(real, ID), number(real, SUM)), (1, 3, 5));
    assert_eq!(null.inputs.len(), real.inputs.len());
}

#[test]
fn null_rows_count_for_the_batch_size_and_for_nothing_else() {
    let bench = Bench::new(policy(4, &format!("direct {{ }} {CONTROLS} {STATE}")), 1);
    let _answers = [1, 2].map(|id| bench.send(id, "S", 5));
    bench.run(0);
    let _answer = bench.send(2, "", 5);
    let mut batch = bench.pull(0);
    assert_eq!(batch.len(), 2);
    count_execution(&batch, &hippocamp_backend::ExecutionTimes::now());
    batch.drain(..).for_each(super::kit::answer_with_sum);
    let counters = bench.statistics.snapshot();
    assert_eq!(counters.batches.keys().copied().collect::<Vec<_>>(), [2]);
    assert_eq!((counters.inference_count, counters.success.count, counters.fail.count), (1, 3, 0));
}

#[test]
fn requests_of_different_shapes_do_not_share_a_batch_and_keep_their_slots() {
    let bench = Bench::new(policy(4, &format!("direct {{ }} {CONTROLS} {STATE}")), 1);
    let wide = |id| {
        let (mut request, answer) = bench.request(Some(sequence(id, "S")), 0);
        let data = bytes::Bytes::from(vec![1; 8]).into();
        request.inputs[0] = Some(InputTensor { shape: Shape::from([1, 2]), data });
        bench.push(request).unwrap();
        answer
    };
    let _answers = [bench.send(1, "S", 1), wide(2), bench.send(3, "S", 3)];
    assert_eq!(bench.run(0), ["1:S1", "-", "3:S3"]);
    let batch = bench.pull(0);
    assert_eq!(batch.iter().map(hippocamp_backend::Request::is_null).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_batch_reaches_to_the_last_slot_with_a_request_also_if_that_has_another_shape() {
    let bench = Bench::new(policy(4, &format!("direct {{ }} {CONTROLS} {STATE}")), 1);
    let _first = [bench.send(1, "S", 1), bench.send(2, "S", 2)];
    let (mut wide, _wide) = bench.request(Some(sequence(3, "S")), 0);
    let data = bytes::Bytes::from(vec![1; 8]).into();
    wide.inputs[0] = Some(InputTensor { shape: Shape::from([1, 2]), data });
    bench.push(wide).unwrap();
    assert_eq!(bench.run(0), ["1:S1", "2:S2", "-"]);
    let batch = bench.pull(0);
    assert_eq!(
        batch.iter().map(hippocamp_backend::Request::is_null).collect::<Vec<_>>(),
        [true, true, false]
    );
}

/// A tensor of strings in the wire form.
fn strings(shape: &[i64], elements: &[&str]) -> InputTensor {
    let mut data = Vec::new();
    for element in elements {
        data.extend((element.len() as u32).to_le_bytes());
        data.extend(element.as_bytes());
    }
    InputTensor { shape: Shape::from(shape), data: bytes::Bytes::from(data).into() }
}

#[test]
fn strings_of_rows_without_a_request_are_empty_ones() {
    let state = r#"state { input_name: "heard" output_name: "heard_next" data_type: TYPE_STRING dims: 3 }"#;
    let batching = format!("direct {{ }} {CONTROLS} {state}");
    let bench = Bench::new(policy_of_type("TYPE_STRING", 4, "dims: 2", &batching).unwrap(), 1);
    let send = |id, flags| {
        let (mut request, answer) = bench.request(Some(sequence(id, flags)), 0);
        request.inputs[0] = Some(strings(&[1, 2], &["a long one", "another"]));
        bench.push(request).unwrap();
        answer
    };
    let _answers = [send(1, "S"), send(2, "S")];
    for request in bench.pull(0) {
        let InputTensor { shape, data } = strings(&[1, 3], &["what", "was", "heard"]);
        let outputs = [OutputTensor { index: 1, shape, data, data_type: None }].into_iter().collect();
        request.succeed(Response { outputs, ..Response::default() }, &ExecutionTimes::now());
    }
    let _answer = send(2, "");
    let batch = bench.pull(0);
    let [null, real] = batch.as_slice() else { panic!("two rows: {batch:?}") };
    let bytes = |request: &Request, input: usize| {
        let input = request.inputs[input].as_ref().unwrap();
        (input.shape.clone(), input.data.to_host().unwrap().to_vec())
    };
    assert_eq!(bytes(null, 0), (Shape::from([1, 2]), vec![0; 2 * 4]));
    assert_eq!(bytes(null, SUM), (Shape::from([1, 3]), vec![0; 3 * 4]));
    assert_eq!(bytes(real, SUM).1.len(), 3 * 4 + "whatwasheard".len());
}

#[test]
fn a_client_gets_only_the_outputs_that_it_asked_for() {
    let bench = Bench::new(policy(4, &format!("{CONTROLS} {STATE}")), 1);
    let (mut request, mut answer) = bench.request(Some(sequence(1, "S")), 4);
    request.outputs = WantedOutputs::none_of(1);
    bench.push(request).unwrap();
    let mut batch = bench.pull(0);
    assert!(!batch[0].outputs.contains(0) && batch[0].outputs.contains(1), "the state is always wanted");
    batch.drain(..).for_each(|request| super::kit::answer(request, 4));
    let Some(hippocamp_backend::Event::Response { response, .. }) = super::kit::event(&mut answer) else {
        panic!("a response")
    };
    assert!(response.outputs.is_empty());
}

#[test]
fn a_rescheduled_request_comes_again_without_its_start() {
    let bench = Bench::new(policy(4, &format!("iterative_sequence: true {CONTROLS} {STATE}")), 1);
    let (request, answer) = bench.request(None, 3);
    bench.push(request).unwrap();
    let (request, other) = bench.request(None, 4);
    bench.push(request).unwrap();
    let mut batch = bench.pull(0);
    assert_eq!(batch.iter().map(|request| number(request, START)).collect::<Vec<_>>(), [1, 1]);
    assert_ne!(number(&batch[0], ID), number(&batch[1], ID));
    super::kit::answer_with_sum(batch.remove(1));
    batch[0].reschedule();
    bench.batcher.executed(&mut batch);
    assert_eq!(answered(other), Some(Ok(4)));
    let mut batch = bench.pull(0);
    assert_eq!((batch.len(), number(&batch[0], START), batch[0].inputs.len()), (1, 0, 6));
    batch.drain(..).for_each(super::kit::answer_with_sum);
    assert_eq!(answered(answer), Some(Ok(3)));
    assert_eq!(bench.reap(), None, "the sequence ended with its request");
}

#[test]
fn a_rescheduled_request_may_be_cancelled_while_it_waits() {
    for strategy in ["direct { }", "oldest { max_candidate_sequences: 4 }"] {
        let text = format!("{strategy} iterative_sequence: true {CONTROLS}");
        let bench = Bench::new(policy(4, &text), 1);
        let (request, gone) = bench.request(None, 3);
        bench.push(request).unwrap();
        let mut batch = bench.pull(0);
        batch[0].reschedule();
        bench.batcher.executed(&mut batch);
        drop(gone);
        let (request, next) = bench.request(None, 4);
        bench.push(request).unwrap();
        let mut batch = bench.pull(0);
        batch.retain(|request| !request.is_null());
        assert_eq!((batch.len(), number(&batch[0], 0)), (1, 4));
        batch.drain(..).for_each(super::kit::answer_with_sum);
        assert_eq!(answered(next), Some(Ok(4)));
        assert_eq!(bench.statistics.snapshot().failures[FailureReason::Canceled as usize], 1);
        assert_eq!((bench.batcher.pending(), bench.reap()), (0, None));
    }
}

#[test]
fn a_backend_cannot_reschedule_what_is_not_iterative() {
    let bench = Bench::new(policy(4, &format!("{CONTROLS} {STATE}")), 1);
    let answer = bench.send(1, "S", 1);
    let mut batch = bench.pull(0);
    batch[0].reschedule();
    bench.batcher.executed(&mut batch);
    assert_eq!(answered(answer), Some(Err(hippocamp_backend::Code::Internal)));
    assert_eq!(bench.statistics.snapshot().failures[FailureReason::Backend as usize], 1);
    let next = bench.send(1, "", 1);
    bench.run(0);
    assert_eq!(answered(next), Some(Ok(1)));
}
