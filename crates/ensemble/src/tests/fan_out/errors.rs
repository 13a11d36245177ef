//! What is refused or fails: the error says of which item, tensor and model.

use hippocamp_backend::{Code, Error, ExecutionTimes, FailureReason, OutputTensor, Response};
use hippocamp_tensor::DataType;

use super::super::kit::*;
use super::*;
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
    let (item, output) = (
        "item 2 of 2 of 'IN' (model 'm'): output 'Y'",
        "has type INT32 in its config, its backend gives one of type FP32",
    );
    assert!(text.contains(item) && text.contains(output), "{text}");
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
