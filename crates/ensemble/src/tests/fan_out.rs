//! Tests of steps that run once for each row of a tensor.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hippocamp_backend::{
    Code, Delivery, Error, Event, ExecutionTimes, FailureReason, InputTensor, OutputTensor, ParameterValue,
    Request, Response, ResponseReceiver, channel,
};
use hippocamp_tensor::{DataType, Shape, TensorData};
use proptest::prelude::*;

use super::kit::*;
use crate::Ensemble;

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

#[test]
fn each_row_is_a_request_and_the_order_is_kept() {
    let (m, held) = Fake::held("m", &io("X", "Y"));
    let ensemble = mapped(&m, &[]);
    let (request, receiver) = given(&[4, 5, 6]);
    let start = address(&request.inputs[0].as_ref().unwrap().data);
    ensemble.enqueue(request);
    let requests = held.take(3);
    for (at, request) in requests.iter().enumerate() {
        let input = request.inputs[0].as_ref().unwrap();
        assert_eq!((input.shape.to_vec(), address(&input.data)), (vec![1], start + 4 * at), "a slice");
    }
    for request in requests.into_iter().rev() {
        let x = numbers(&request)[0].unwrap();
        answer(request, &[x * 10]);
    }
    let response = block_on(receiver.only()).unwrap();
    assert_eq!(output(&response, 0), (vec![3, 1], vec![40, 50, 60]));
}

#[test]
fn what_rows_give_is_referred_to_and_taken_apart_again() {
    let (a, held_a) = Fake::held("a", &io("X", "Y"));
    let (b, held_b) = Fake::held("b", &io("X", "Y"));
    let parameters = [("fan_out.a", "IN"), ("fan_out.b", "t")];
    let steps = step("a", "X=IN", "Y=t") + &step("b", "X=t", "Y=OUT");
    let ensemble = ensemble(&rows_io(&["IN"], &["OUT"], &parameters), &steps, &[&a, &b]).unwrap();
    let (request, receiver) = given(&[1, 2]);
    ensemble.enqueue(request);
    let mut made = Vec::new();
    for request in held_a.take(2) {
        let response = response(&request, &[2 * numbers(&request)[0].unwrap()]);
        made.push(address(&response.outputs[0].data));
        request.succeed(response, &ExecutionTimes::now());
    }
    for (request, made) in held_b.take(2).into_iter().zip(made) {
        assert_eq!(address(&request.inputs[0].as_ref().unwrap().data), made);
        let x = numbers(&request)[0].unwrap();
        answer(request, &[x + 1]);
    }
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0), (vec![2, 1], vec![3, 5]));
}

#[test]
fn no_rows_are_no_requests() {
    let (m, held) = Fake::held("m", &io("X", "Y"));
    let (request, receiver) = given(&[]);
    mapped(&m, &[]).enqueue(request);
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0), (vec![0, 1], vec![]));
    assert_eq!(held.len(), 0);
}

#[test]
fn a_batching_model_gets_batches_of_one() {
    let (m, held) = Fake::held("m", &("max_batch_size: 4 ".to_owned() + &io("X", "Y")));
    let (request, receiver) = given(&[3, 4]);
    mapped(&m, &[]).enqueue(request);
    for request in held.take(2) {
        assert_eq!(request.inputs[0].as_ref().unwrap().shape.to_vec(), [1, 1]);
        assert_eq!((request.batch_size, request.context().batch_size), (1, 1));
        let x = numbers(&request)[0].unwrap();
        respond(request, &[1, 1], &[-x]);
    }
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0), (vec![2, 1], vec![-3, -4]));
}

#[test]
fn a_model_whose_dims_hold_the_batch_gets_rows_with_a_one_in_front() {
    let config = "input { name: \"X\" data_type: TYPE_INT32 dims: [ -1, 1 ] } \
                  output { name: \"Y\" data_type: TYPE_INT32 dims: [ -1, 1 ] }";
    let (m, held) = Fake::held("m", config);
    let ensemble = mapped(&m, &[]);
    let (request, receiver) = given(&[3, 4]);
    ensemble.enqueue(request);
    for request in held.take(2) {
        assert_eq!(request.inputs[0].as_ref().unwrap().shape.to_vec(), [1, 1]);
        respond(request, &[1, 1], &[7]);
    }
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0), (vec![2, 1], vec![7, 7]));
    let (request, receiver) = given(&[]);
    ensemble.enqueue(request);
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0), (vec![0, 1], vec![]));
}

#[test]
fn other_inputs_go_to_every_row() {
    let m = Fake::of("m", &io("X,A", "Y"), |x| vec![x[0].unwrap() + x[1].unwrap()]);
    let mut io_ = rows_io(&["IN"], &["OUT"], &[("fan_out.m", "IN")]);
    io_ += "input { name: \"ALL\" data_type: TYPE_INT32 dims: 1 }";
    let ensemble = ensemble(&io_, &step("m", "X=IN,A=ALL", "Y=OUT"), &[&m]).unwrap();
    let (request, receiver) = request_of(vec![rows(&[1, 2, 3]), tensor(100)]);
    ensemble.enqueue(request);
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0).1, [101, 102, 103]);
}

#[test]
fn at_most_so_many_rows_are_in_flight() {
    let (m, held) = Fake::held("m", &io("X", "Y"));
    let ensemble = mapped(&m, &[("fan_out.m.max_inflight", "2")]);
    let (request, receiver) = given(&[0, 1, 2, 3, 4]);
    ensemble.enqueue(request);
    for left in (0..5).rev() {
        assert_eq!(held.len(), 2.min(left + 1));
        let request = held.one();
        let x = numbers(&request)[0].unwrap();
        answer(request, &[x]);
    }
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0).1, [0, 1, 2, 3, 4]);
}

#[test]
fn rows_that_are_answered_at_once_do_not_nest() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (here, deepest) = (Arc::clone(&now), Arc::clone(&most));
    let m = Fake::new("m", &io("X", "Y"), move |request| {
        deepest.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let x = numbers(&request)[0].unwrap();
        answer(request, &[x]);
        here.fetch_sub(1, Ordering::SeqCst);
    });
    let all: Vec<i32> = (0..1000).collect();
    let (request, receiver) = given(&all);
    mapped(&m, &[("fan_out.m.max_inflight", "1")]).enqueue(request);
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0).1, all);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn an_error_names_the_item_and_ends_the_others() {
    let (m, held) = Fake::held("m", &io("X", "Y"));
    let (request, receiver) = given(&[1, 2, 3]);
    mapped(&m, &[("fan_out.m.max_inflight", "2")]).enqueue(request);
    let [first, second] = <[_; 2]>::try_from(held.take(2)).unwrap();
    second.fail(Error::unavailable("Exceeds maximum queue size"), FailureReason::Rejected);
    assert!(first.is_cancelled());
    answer(first, &[1]);
    assert_eq!(held.len(), 0, "the third is never queued");
    let text = "in ensemble 'ens', item 2 of 3 of 'IN' (model 'm'): Exceeds maximum queue size";
    assert_eq!(refusal(receiver), (Code::Unavailable, text.to_owned()));
}

#[test]
fn a_client_that_hangs_up_ends_all_rows() {
    let (m, held) = Fake::held("m", &io("X", "Y"));
    let (request, receiver) = given(&[1, 2, 3]);
    mapped(&m, &[("fan_out.m.max_inflight", "1")]).enqueue(request);
    let first = held.one();
    drop(receiver);
    assert!(first.is_cancelled());
    answer(first, &[1]);
    assert_eq!(held.len(), 0);
}

#[test]
fn too_many_rows_are_refused() {
    let (m, _held) = Fake::held("m", &io("X", "Y"));
    let ensemble = mapped(&m, &[("fan_out.m.max_items", "2")]);
    let (request, receiver) = given(&[1, 2, 3]);
    ensemble.enqueue(request);
    let text = "in ensemble 'ens', fan-out over 'IN': expected at most 2 items (fan_out.m.max_items), got 3";
    assert_eq!(refusal(receiver), (Code::InvalidArg, text.to_owned()));
}

#[test]
fn tensors_of_other_numbers_of_rows_are_refused() {
    let (m, _held) = Fake::held("m", &io("X,Z", "Y"));
    let io_ = rows_io(&["A", "B"], &["OUT"], &[("fan_out.m", "A, B")]);
    let ensemble = ensemble(&io_, &step("m", "X=A,Z=B", "Y=OUT"), &[&m]).unwrap();
    let (request, receiver) = request_of(vec![rows(&[1, 2]), rows(&[1, 2, 3])]);
    ensemble.enqueue(request);
    let text = "in ensemble 'ens', fan-out over 'A', 'B': expected as many rows in each, got 2 for input 'X' and 3 for input \
                'Z' of model 'm'";
    assert_eq!(refusal(receiver), (Code::InvalidArg, text.to_owned()));
}

#[test]
fn outputs_of_different_shapes_are_refused_or_padded() {
    let config = "input { name: \"X\" data_type: TYPE_INT32 dims: 1 } \
                  output { name: \"Y\" data_type: TYPE_INT32 dims: -1 }";
    let (m, held) = Fake::held("m", config);
    let answered = |more: &[(&str, &str)]| {
        let (request, receiver) = given(&[1, 2]);
        mapped(&m, more).enqueue(request);
        let [first, second] = <[_; 2]>::try_from(held.take(2)).unwrap();
        respond(first, &[1], &[5]);
        respond(second, &[3], &[6, 7, 8]);
        receiver
    };
    let (code, text) = refusal(answered(&[]));
    assert_eq!(code, Code::InvalidArg);
    assert_eq!(
        text,
        "in ensemble 'ens', fan-out over 'IN', model 'm': output 'Y' of item 2 has shape [3], where item 1 has [1]: items of \
         different shapes cannot be one tensor unless fan_out.MODEL.ragged is \"pad\""
    );
    let response = block_on(answered(&[("fan_out.m.ragged", "pad")]).only()).unwrap();
    assert_eq!(output(&response, 0), (vec![2, 3], vec![5, 0, 0, 6, 7, 8]));
}

#[test]
fn an_output_of_another_type_than_its_config_says_is_refused() {
    let (m, held) = Fake::held("m", &io("X", "Y"));
    let (request, receiver) = given(&[1, 2]);
    mapped(&m, &[]).enqueue(request);
    for (request, data_type) in held.take(2).into_iter().zip([None, Some(DataType::Fp32)]) {
        let data = bytes(&[1]).into();
        let output = OutputTensor { index: 0, shape: Shape::from([1]), data, data_type };
        let response = Response { outputs: [output].into_iter().collect(), ..Response::default() };
        request.succeed(response, &ExecutionTimes::now());
    }
    let (code, text) = refusal(receiver);
    assert_eq!(code, Code::InvalidArg);
    assert!(text.contains("has type INT32 in its config, its backend gives one of type FP32"), "{text}");
}

#[test]
fn rows_get_the_meta_of_their_own_row() {
    let a = Fake::new("a", &io("X", "Y"), |request| {
        let x = numbers(&request)[0].unwrap();
        let mut response = response(&request, &[x]);
        response.parameters.set("own", ParameterValue::Int64(i64::from(x) * 11));
        response.parameters.set("all", ParameterValue::Int64(1));
        request.succeed(response, &ExecutionTimes::now());
    });
    let b = Fake::new("b", &io("X", "Y"), |request| {
        let own = match request.parameters.get("own") {
            Some(ParameterValue::Int64(own)) => *own as i32,
            _ => -1,
        };
        answer(request, &[own]);
    });
    let steps = step("a", "X=IN", "Y=t") + &step("b", "X=t", "Y=OUT");
    let parameters = [("fan_out.a", "IN"), ("fan_out.b", "t")];
    let ensemble = ensemble(&rows_io(&["IN"], &["OUT"], &parameters), &steps, &[&a, &b]).unwrap();
    let (request, receiver) = given(&[1, 2, 3]);
    ensemble.enqueue(request);
    let response = block_on(receiver.only()).unwrap();
    assert_eq!(output(&response, 0).1, [11, 22, 33]);
    assert_eq!(
        response.parameters.get("all"),
        Some(&ParameterValue::Int64(1)),
        "what all rows say, the response has"
    );
    assert_eq!(response.parameters.get("own"), None);
}

#[test]
fn models_that_cannot_run_for_rows_are_refused_by_name() {
    let refused = |config: &str, input: &str| {
        let m = Fake::of("m", config, |_| vec![0]);
        let io_ = format!(
            "input {{ name: \"IN\" {input} }} output {{ name: \"OUT\" data_type: TYPE_INT32 dims: [ -1, 1 ] }} {}",
            settings(&[("fan_out.m", "IN")])
        );
        ensemble(&io_, &step("m", "X=IN", "Y=OUT"), &[&m]).unwrap_err().message().to_owned()
    };
    let rows = "data_type: TYPE_INT32 dims: [ -1, 1 ]";
    assert_eq!(
        refused(&(io("X", "Y") + "model_transaction_policy { decoupled: true }"), rows),
        "in ensemble ens, the step of model 'm' cannot be fanned out over 'IN': it is decoupled, and each item has to have one \
         response"
    );
    assert_eq!(
        refused(&io("X", "Y"), "data_type: TYPE_INT32 dims: [ -1, 2 ]"),
        "in ensemble ens, fan-out of the step of model 'm' over 'IN': input 'X' takes [1], which are not the rows of a tensor of \
         [-1,2]"
    );
    assert_eq!(
        refused(&io("X", "Y"), "data_type: TYPE_FP32 dims: [ -1, 1 ]"),
        "in ensemble ens, fan-out of the step of model 'm' over 'IN': input 'X' has the data type TYPE_INT32, the tensor \
         TYPE_FP32"
    );
}

/// How a row is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answer,
    Fail,
    Drop,
    HangUp,
}

fn outcomes() -> impl Strategy<Value = Vec<(prop::sample::Index, Outcome)>> {
    let outcome = prop_oneof![
        30 => Just(Outcome::Answer), 1 => Just(Outcome::Fail), 1 => Just(Outcome::Drop), 1 => Just(Outcome::HangUp)
    ];
    prop::collection::vec((any::<prop::sample::Index>(), outcome), 16)
}

proptest! {
    /// Rows of `width` numbers through two models, of which the first sees the row and the second one more tensor for all
    /// rows: the same as for the whole at once, in whatever order rows are answered.
    #[test]
    fn is_what_the_whole_batch_gives(
        numbers in prop::collection::vec(any::<i32>(), 0..40),
        width in 1usize..4,
        inflight in 1usize..6,
        batches in any::<bool>(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let count = numbers.len() / width;
        let whole = &numbers[..count * width];
        let max = if batches { "max_batch_size: 8 " } else { "" };
        let tensor = |kind: &str, name: &str| {
            format!("{kind} {{ name: \"{name}\" data_type: TYPE_INT32 dims: [ {width} ] }} ")
        };
        let (m, held) = Fake::held("m", &(max.to_owned() + &tensor("input", "X") + &tensor("output", "Y")));
        let rows = |kind: &str, name: &str| {
            format!("{kind} {{ name: \"{name}\" data_type: TYPE_INT32 dims: [ -1, {width} ] }} ")
        };
        let inflight = inflight.to_string();
        let parameters = settings(&[("fan_out.m", "IN"), ("fan_out.m.max_inflight", &inflight)]);
        let io_ = rows("input", "IN") + &rows("output", "OUT") + &parameters;
        let ensemble = ensemble(&io_, &step("m", "X=IN", "Y=OUT"), &[&m]).unwrap();
        let shape = Shape::from([count as i64, width as i64]);
        let (request, receiver) = request_of(vec![InputTensor { shape, data: bytes(whole).into() }]);
        ensemble.enqueue(request);
        let mut waiting = Vec::new();
        for pick in picks.iter().cycle() {
            waiting.extend(held.take(held.len()));
            if waiting.is_empty() {
                break;
            }
            let request: Request = waiting.remove(pick.index(waiting.len()));
            let input = request.inputs[0].as_ref().unwrap();
            let (shape, x) = (input.shape.to_vec(), all_numbers(&input.data));
            respond(request, &shape, &x.iter().map(|x| x.wrapping_mul(3)).collect::<Vec<_>>());
        }
        let (shape, got) = output(&block_on(receiver.only()).unwrap(), 0);
        prop_assert_eq!(shape, [count as i64, width as i64]);
        prop_assert_eq!(got, whole.iter().map(|x| x.wrapping_mul(3)).collect::<Vec<_>>());
    }

    #[test]
    fn there_is_one_last_event_whatever_happens_to_rows(
        count in 0usize..12,
        inflight in 1usize..5,
        outcomes in outcomes(),
    ) {
        let (m, held) = Fake::held("m", &io("X", "Y"));
        let ensemble = mapped(&m, &[("fan_out.m.max_inflight", &inflight.to_string())]);
        let (request, receiver) = given(&(0..count as i32).collect::<Vec<_>>());
        let mut receiver = Some(receiver);
        ensemble.enqueue(request);
        let (mut failed, mut waiting) = (false, Vec::new());
        for (pick, outcome) in outcomes.iter().cycle() {
            waiting.extend(held.take(held.len()));
            prop_assert!(waiting.len() <= inflight);
            if waiting.is_empty() {
                break;
            }
            let request: Request = waiting.remove(pick.index(waiting.len()));
            if failed || receiver.is_none() {
                prop_assert!(request.is_cancelled());
            }
            match outcome {
                Outcome::Answer => answer(request, &[1]),
                Outcome::Fail => request.fail(Error::internal("told to"), FailureReason::Backend),
                Outcome::Drop => drop(request),
                Outcome::HangUp => {
                    receiver = None;
                    drop(request);
                }
            }
            failed |= *outcome != Outcome::Answer;
        }
        if let Some(receiver) = receiver {
            let events = events(receiver);
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!(failed, matches!(events[0], Event::Failed(_)));
        }
    }
}

#[test]
fn many_threads_answer_rows_of_many_requests() {
    let (queue, requests) = std::sync::mpsc::channel::<Request>();
    let m = Fake::new("m", &io("X", "Y"), move |request| queue.send(request).unwrap());
    let ensemble = mapped(&m, &[("fan_out.m.max_inflight", "3")]);
    let requests = parking_lot::Mutex::new(requests);
    std::thread::scope(|scope| {
        let mut receivers = Vec::new();
        for number in 0..20 {
            let all: Vec<i32> = (0..number).map(|row| number * 100 + row).collect();
            let (request, receiver) = given(&all);
            ensemble.enqueue(request);
            receivers.push((all, receiver));
        }
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Ok(request) = requests.lock().recv() else { return };
                    let x = numbers(&request)[0].unwrap();
                    answer(request, &[x]);
                }
            });
        }
        for (all, receiver) in receivers {
            assert_eq!(output(&block_on(receiver.only()).unwrap(), 0).1, all);
        }
        // The model goes, and with it the queue's end that the threads wait on.
        drop((ensemble, m));
    });
}

#[test]
fn the_rows_of_a_batch_are_rows_of_all_tensors() {
    let batching = |name: &str| {
        let tensor = |kind: &str, name: &str| {
            format!("{kind} {{ name: \"{name}\" data_type: TYPE_INT32 dims: [ 2 ] }} ")
        };
        let config = "max_batch_size: 4 ".to_owned() + &tensor("input", "IN") + &tensor("input", "OTHER");
        config + &tensor("output", "OUT") + &settings(&[("fan_out.m", name)])
    };
    let model = |x: &str| format!("{x} {{ name: \"{x}\" data_type: TYPE_INT32 dims: [ 2 ] }} ");
    let config = "max_batch_size: 4 ".to_owned()
        + &model("input").replace("\"input\"", "\"X\"")
        + &model("input").replace("\"input\"", "\"Z\"")
        + &model("output").replace("\"output\"", "\"Y\"");
    let (m, held) = Fake::held("m", &config);
    let step = step("m", "X=IN,Z=OTHER", "Y=OUT");
    let refused = ensemble(&batching("IN"), &step, &[&m]).unwrap_err();
    assert!(refused.message().contains("along the batch: input 'Z' has a row"), "{}", refused.message());
    let ensemble = ensemble(&batching("IN, OTHER"), &step, &[&m]).unwrap();
    let two = |numbers: &[i32]| InputTensor { shape: Shape::from([2, 2]), data: bytes(numbers).into() };
    let (mut request, receiver) = request_of(vec![two(&[1, 2, 3, 4]), two(&[5, 6, 7, 8])]);
    request.batch_size = 2;
    ensemble.enqueue(request);
    for request in held.take(2) {
        let [x, z] = [0, 1].map(|input: usize| all_numbers(&request.inputs[input].as_ref().unwrap().data));
        respond(request, &[1, 2], &[x[0] + z[0], x[1] + z[1]]);
    }
    assert_eq!(output(&block_on(receiver.only()).unwrap(), 0), (vec![2, 2], vec![6, 8, 10, 12]));
}

#[test]
fn rows_of_another_type_than_the_config_says_are_refused() {
    let (m, held) = Fake::held("m", &io("X", "Y"));
    let (request, receiver) = given(&[1, 2]);
    mapped(&m, &[]).enqueue(request);
    for (request, data_type) in held.take(2).into_iter().zip([None, Some(DataType::Fp32)]) {
        let output = OutputTensor { index: 0, shape: [1].into(), data: bytes(&[7]).into(), data_type };
        let response = Response { outputs: [output].into_iter().collect(), ..Response::default() };
        request.succeed(response, &ExecutionTimes::now());
    }
    let (code, text) = refusal(receiver);
    assert_eq!(code, Code::InvalidArg);
    assert!(text.contains("item 2 of 2 of 'IN' (model 'm'): output 'Y'") && text.contains("FP32"), "{text}");
}
