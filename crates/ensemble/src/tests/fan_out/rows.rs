//! What the requests of rows are, and what becomes of their responses.

use hippocamp_backend::{ExecutionTimes, InputTensor, ParameterValue};
use hippocamp_tensor::Shape;

use super::super::kit::*;
use super::*;
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
