//! Implicit states, and what failures leave of them.

use bytes::Bytes;
use hippocamp_backend::{Code, Error, ExecutionTimes, FailureReason, OutputTensor, Response};
use hippocamp_model_config::{Interface, parse};
use hippocamp_tensor::Shape;

use super::kit::{Bench, CONTROLS, STATE, SUM, answered, describe, number, policy, policy_of, sequence};
use crate::SequencePolicy;

#[test]
fn a_failed_request_leaves_the_state_as_it_was() {
    let bench = Bench::new(policy(4, &format!("{CONTROLS} {STATE}")), 1);
    let first = bench.send(1, "S", 1);
    bench.run(0);
    let failing = bench.send(1, "", 50);
    for request in bench.pull(0) {
        request.fail(Error::internal("no"), FailureReason::Backend);
    }
    let last = bench.send(1, "E", 2);
    bench.run(0);
    assert_eq!([first, failing, last].map(|a| answered(a).unwrap()), [Ok(1), Err(Code::Internal), Ok(3)]);
}

#[test]
fn what_an_old_sequence_gives_back_late_reaches_no_other() {
    let bench =
        Bench::new(policy(1, &format!("oldest {{ max_candidate_sequences: 1 }} {CONTROLS} {STATE}")), 1);
    let _old = bench.send(1, "S", 100);
    let mut late = bench.pull(0);
    bench.batcher.instance_lost(0);
    late.drain(..).for_each(super::kit::answer_with_sum);
    let _end = bench.send(1, "E", 0);
    bench.run(0);
    let new = bench.send(2, "S", 1);
    let batch = bench.pull(0);
    assert_eq!((describe(&batch[0]).as_str(), number(&batch[0], SUM)), ("2:S1", 0));
    drop((batch, new));
}

#[test]
fn an_instance_that_fails_ends_sequences_whose_state_it_had() {
    for strategy in ["direct { }", "oldest { max_candidate_sequences: 4 }"] {
        let bench = Bench::new(policy(4, &format!("{strategy} {CONTROLS}")), 1);
        let _first = [bench.send(1, "S", 1), bench.send(2, "S", 1), bench.send(3, "S", 1)];
        bench.run(0);
        let waiting = bench.send(2, "", 2);
        let batch = bench.pull(0);
        assert_eq!(batch.len(), if strategy.starts_with('d') { 2 } else { 1 });
        let (behind, anew) = (bench.send(2, "", 3), bench.send(2, "S", 7));
        let fresh = bench.send(4, "S", 9);
        bench.batcher.instance_lost(0);
        drop(batch);
        assert_eq!(answered(waiting), Some(Err(Code::Internal)));
        assert_eq!(answered(behind), Some(Err(Code::Internal)));
        assert!(bench.refused(Some(sequence(1, ""))).contains("must specify the START flag"));
        while !bench.run(0).is_empty() {}
        assert_eq!(answered(anew), Some(Ok(7)), "a START needs nothing from before");
        assert_eq!(answered(fresh), Some(Ok(9)));
    }
}

#[test]
fn an_instance_that_fails_takes_no_state_that_the_server_keeps() {
    let bench = Bench::new(policy(4, &format!("{CONTROLS} {STATE}")), 1);
    let _first = bench.send(1, "S", 1);
    bench.run(0);
    let failing = bench.send(1, "", 50);
    let batch = bench.pull(0);
    bench.batcher.instance_lost(0);
    drop(batch);
    let last = bench.send(1, "E", 2);
    bench.run(0);
    assert_eq!((answered(failing), answered(last)), (Some(Err(Code::Internal)), Some(Ok(3))));
}

#[test]
fn a_state_may_grow_where_its_config_says_so_and_then_shares_a_batch_with_its_like_only() {
    let state = r#"state { input_name: "sum" output_name: "sum_next" data_type: TYPE_INT32 dims: -1 }"#;
    let bench = Bench::new(policy(4, &format!("direct {{ }} {CONTROLS} {state}")), 1);
    let _answers = [bench.send(1, "S", 1), bench.send(2, "S", 2)];
    let grow = |row: usize, request: hippocamp_backend::Request| {
        let (shape, data) = (Shape::from([1, 1 + row as i64]), Bytes::from(vec![7; 4 * (1 + row)]));
        let outputs =
            [OutputTensor { index: 1, shape, data: data.into(), data_type: None }].into_iter().collect();
        request.succeed(Response { outputs, ..Response::default() }, &ExecutionTimes::now());
    };
    let batch = bench.pull(0);
    let shape = |request: &hippocamp_backend::Request| request.inputs[SUM].as_ref().unwrap().shape.clone();
    assert_eq!(shape(&batch[0]), Shape::from([1, 1]), "a free size is 1 at first");
    batch.into_iter().enumerate().for_each(|(row, request)| grow(row, request));
    let _answers = [bench.send(1, "", 1), bench.send(2, "", 2)];
    let batch = bench.pull(0);
    assert_eq!(batch.iter().map(hippocamp_backend::Request::is_null).collect::<Vec<_>>(), [false, true]);
    drop(batch);
    let batch = bench.pull(0);
    assert_eq!((describe(&batch[0]).as_str(), shape(&batch[1])), ("-", Shape::from([1, 2])));
    assert_eq!(batch[1].inputs[SUM].as_ref().unwrap().data.to_host().unwrap()[..], [7; 8]);
}

#[test]
fn a_state_of_another_shape_than_its_config_fails_the_request_and_is_not_kept() {
    let bench = Bench::new(policy(4, &format!("{CONTROLS} {STATE}")), 1);
    let mut answer = bench.send(1, "S", 1);
    for request in bench.pull(0) {
        let output = OutputTensor {
            index: 1,
            shape: Shape::from([1, 2]),
            data: Bytes::from(vec![1; 8]).into(),
            data_type: None,
        };
        let response = Response { outputs: [output].into_iter().collect(), ..Response::default() };
        request.succeed(response, &ExecutionTimes::now());
    }
    let Some(hippocamp_backend::Event::Failed(error)) = super::kit::event(&mut answer) else {
        panic!("an error")
    };
    assert_eq!(
        error.message(),
        "the model was expected to give a next value of state 'sum' with shape [1,1], it gave one with shape [1,2]"
    );
    let next = bench.send(1, "", 2);
    bench.run(0);
    assert_eq!(answered(next), Some(Ok(2)));
}

fn with_state(state: &str, file: &'static [u8]) -> Result<SequencePolicy, Error> {
    let text = format!(
        r#"name: "m" max_batch_size: 2 input {{ name: "x" data_type: TYPE_INT32 dims: 1 }}
           output {{ name: "y" data_type: TYPE_INT32 dims: 1 }} sequence_batching {{ {state} }}"#
    );
    let config = parse(&text, "config.pbtxt").unwrap().config;
    let mut read = |name: &str| {
        assert_eq!(name, "f");
        Ok(Bytes::from_static(file))
    };
    let interface = Interface::new(&config).unwrap();
    SequencePolicy::from_config(&config, &interface, &mut read).map(Option::unwrap)
}

#[test]
fn sequences_begin_with_zeros_or_with_the_content_of_a_file() {
    let state = |data_type: &str, dims: &str, initial: &str| {
        format!(
            r#"state {{ input_name: "a" output_name: "b" data_type: {data_type} dims: [ {dims} ] {initial} }}"#
        )
    };
    let from_file = |data_type: &str, dims: &str| {
        format!(r#"initial_state {{ name: "i" data_type: {data_type} dims: [ {dims} ] data_file: "f" }}"#)
    };
    let begins = |config: &str, file| {
        let input = with_state(config, file).unwrap().states.begin().inputs().remove(0);
        (input.shape, input.data.to_host().unwrap().to_vec())
    };
    assert_eq!(begins(&state("TYPE_INT16", "-1, 2", ""), b""), (Shape::from([1, 1, 2]), vec![0; 4]));
    assert_eq!(begins(&state("TYPE_STRING", "3", ""), b""), (Shape::from([1, 3]), vec![0; 12]));
    let config = state("TYPE_UINT8", "-1", &from_file("TYPE_UINT8", "3"));
    assert_eq!(begins(&config, b"abcd"), (Shape::from([1, 3]), b"abc".to_vec()), "what is too much is left");
    let config = state("TYPE_STRING", "2", &from_file("TYPE_STRING", "2"));
    let strings = b"\x01\0\0\0a\x02\0\0\0bc";
    assert_eq!(begins(&config, strings), (Shape::from([1, 2]), strings.to_vec()));

    let refused = |config: &str, file| with_state(config, file).unwrap_err().message().to_owned();
    let config = state("TYPE_INT32", "2", &from_file("TYPE_INT32", "2"));
    assert_eq!(
        refused(&config, b"1234567"),
        "initial_state setting expects 8 bytes, but the data provided from f only has 7 bytes."
    );
    let config = state("TYPE_STRING", "2", &from_file("TYPE_STRING", "2"));
    assert!(refused(&config, b"\x01\0\0\0a").contains("was expected to have 2 strings, it has 1"));
    // A file of something else is no reason to refuse the model: as in Triton it begins with empty strings.
    assert_eq!(begins(&config, b"\x09\0\0\0a"), (Shape::from([1, 2]), vec![0; 8]));
    let huge = i64::MAX;
    assert!(
        refused(&state("TYPE_INT32", &format!("{huge}, {huge}"), ""), b"")
            .contains("at most 1073741824 bytes")
    );
}

#[test]
fn the_states_of_a_model_begin_within_a_limit() {
    let state = |name: &str, data_type: &str, elements: usize| {
        format!(
            r#"state {{ input_name: "{name}" output_name: "b" data_type: {data_type} dims: [ {elements} ] }}"#
        )
    };
    let text = "expected the states of a model to begin with at most 1073741824 bytes together, of which";
    let refused = |config: &str| with_state(config, b"").unwrap_err().message().to_owned();
    let half = 1 << 29;
    let fault = refused(&state("a", "TYPE_UINT8", 2 * half + 1));
    assert!(
        fault.starts_with(&format!("{text} 1073741824 are left for the initial value of state 'a'")),
        "{fault}"
    );
    // A text takes four bytes at least. Those of several states count together.
    let fault = refused(&(state("a", "TYPE_UINT8", 16) + &state("b", "TYPE_STRING", half / 2)));
    assert!(
        fault.starts_with(&format!("{text} 1073741808 are left for the initial value of state 'b'")),
        "{fault}"
    );
}

#[test]
fn a_policy_is_made_only_for_models_of_sequences() {
    assert!(policy_of(2, "dims: 1", "").is_ok());
    let config = parse(r#"name: "m" max_batch_size: 2"#, "config.pbtxt").unwrap().config;
    let mut no_file = |_: &str| Err(Error::internal("no"));
    let policy = SequencePolicy::from_config(&config, &Interface::default(), &mut no_file).unwrap();
    assert!(policy.is_none());
}
