//! Tests of requests through ensembles whose steps answer once.

use std::sync::Arc;
use std::time::Duration;

use hippocamp_backend::{
    Code, CorrelationId, Delivery, Error, ExecutionTimes, FailureReason, Observers, ParameterValue,
    Parameters, Response, Sequence, WantedOutputs,
};

use super::kit::*;
use crate::Ensemble;

/// An ensemble in which `a` feeds `b` and `c`, and both feed `d`.
fn diamond(models: [&Arc<Fake>; 4]) -> Ensemble {
    let steps = step("d", "X=t,Y=u", "Z=OUT")
        + &step("a", "X=IN", "Y=s")
        + &step("b", "X=s", "Y=t")
        + &step("c", "X=s", "Y=u");
    ensemble(&io("IN", "OUT"), &steps, &models).unwrap()
}

fn plus(name: &str, more: i32) -> Arc<Fake> {
    Fake::of(name, &io("X", "Y"), move |x| vec![x[0].unwrap() + more])
}

fn sum(name: &str) -> Arc<Fake> {
    Fake::of(name, &io("X,Y", "Z"), |x| vec![x[0].unwrap() * 100 + x[1].unwrap()])
}

#[test]
fn independent_steps_run_at_once() {
    let ((b, held_b), (c, held_c)) = (Fake::held("b", &io("X", "Y")), Fake::held("c", &io("X", "Y")));
    let ensemble = diamond([&plus("a", 1), &b, &c, &sum("d")]);
    let (request, receiver) = request(&[Some(1)], Delivery::Once);
    ensemble.enqueue(request);
    // Both have a request, so neither waits for the other.
    let (b, c) = (held_b.one(), held_c.one());
    assert_eq!((numbers(&b)[0], numbers(&c)[0]), (Some(2), Some(2)));
    answer(c, &[7]);
    answer(b, &[5]);
    assert_eq!(outputs(&block_on(receiver.only()).unwrap()), [(0, 507)]);
}

#[test]
fn tensors_pass_by_reference() {
    let (a, held_a) = Fake::held("a", &io("X", "Y"));
    let (b, held_b) = Fake::held("b", &io("X", "Y"));
    let steps = step("a", "X=IN", "Y=t") + &step("b", "X=t", "Y=OUT");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&a, &b]).unwrap();
    let (request, receiver) = request(&[Some(1)], Delivery::Once);
    let given = address(&request.inputs[0].as_ref().unwrap().data);
    ensemble.enqueue(request);
    let first = held_a.one();
    assert_eq!(address(&first.inputs[0].as_ref().unwrap().data), given);
    let made = response(&first, &[2]);
    let between = address(&made.outputs[0].data);
    first.succeed(made, &ExecutionTimes::now());
    let second = held_b.one();
    assert_eq!(address(&second.inputs[0].as_ref().unwrap().data), between);
    let made = response(&second, &[3]);
    let last = address(&made.outputs[0].data);
    second.succeed(made, &ExecutionTimes::now());
    assert_eq!(address(&block_on(receiver.only()).unwrap().outputs[0].data), last);
}

#[test]
fn the_last_to_use_a_tensor_has_it_alone() {
    let (a, held_a) = Fake::held("a", &io("X", "Y"));
    let (b, held_b) = Fake::held("b", &io("X", "Y"));
    let steps = step("a", "X=IN", "Y=t") + &step("b", "X=t", "Y=OUT");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&a, &b]).unwrap();
    let (request, _receiver) = request(&[Some(1)], Delivery::Once);
    ensemble.enqueue(request);
    answer(held_a.one(), &[2]);
    assert!(held_b.one().inputs[0].as_ref().unwrap().data.is_unique());
}

#[test]
fn runs_only_what_the_wanted_outputs_need() {
    let (a, held_a) = Fake::held("a", &io("X", "Y,Z"));
    let (b, held_b) = Fake::held("b", &io("X", "Y"));
    let (c, held_c) = Fake::held("c", &io("X", "Y"));
    let steps = step("a", "X=IN", "Y=t,Z=u") + &step("b", "X=t", "Y=LEFT") + &step("c", "X=u", "Y=RIGHT");
    let ensemble = ensemble(&io("IN", "LEFT,RIGHT"), &steps, &[&a, &b, &c]).unwrap();
    let (mut request, receiver) = request(&[Some(1)], Delivery::Once);
    request.outputs = WantedOutputs::none_of(2);
    request.outputs.add(1);
    ensemble.enqueue(request);
    let first = held_a.one();
    assert_eq!((first.outputs.contains(0), first.outputs.contains(1)), (false, true));
    answer(first, &[8, 9]);
    answer(held_c.one(), &[10]);
    assert_eq!(outputs(&block_on(receiver.only()).unwrap()), [(1, 10)]);
    assert_eq!(held_b.len(), 0);
}

#[test]
fn the_first_error_answers_and_cancels_the_others() {
    let ((b, held_b), (c, held_c)) = (Fake::held("b", &io("X", "Y")), Fake::held("c", &io("X", "Y")));
    let (d, held_d) = Fake::held("d", &io("X,Y", "Z"));
    let ensemble = diamond([&plus("a", 1), &b, &c, &d]);
    let (request, receiver) = request(&[Some(1)], Delivery::Once);
    ensemble.enqueue(request);
    let (b, c) = (held_b.one(), held_c.one());
    assert!(!c.is_cancelled());
    b.fail(Error::unavailable("Exceeds maximum queue size"), FailureReason::Rejected);
    assert!(c.is_cancelled());
    c.fail(Error::internal("too late to matter"), FailureReason::Backend);
    let error = block_on(receiver.only()).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.message(), "in ensemble 'ens', Exceeds maximum queue size");
    assert_eq!(held_d.len(), 0);
}

#[test]
fn a_client_that_hangs_up_cancels_every_step_and_begins_no_other() {
    let ((b, held_b), (c, held_c)) = (Fake::held("b", &io("X", "Y")), Fake::held("c", &io("X", "Y")));
    let (d, held_d) = Fake::held("d", &io("X,Y", "Z"));
    let ensemble = diamond([&plus("a", 1), &b, &c, &d]);
    let (request, receiver) = request(&[Some(1)], Delivery::Once);
    ensemble.enqueue(request);
    let (b, c) = (held_b.one(), held_c.one());
    drop(receiver);
    assert!(b.is_cancelled() && c.is_cancelled());
    answer(b, &[1]);
    answer(c, &[1]);
    assert_eq!(held_d.len(), 0);
}

#[test]
fn a_step_that_gets_what_it_cannot_take_fails_the_request() {
    let config = "input { name: \"X\" data_type: TYPE_INT32 dims: -1 } output { name: \"Y\" data_type: TYPE_INT32 \
                  dims: -1 }";
    let wide = Fake::new("wide", config, |request| {
        let mut made = response(&request, &[1]);
        made.outputs[0].shape = [2].into();
        request.succeed(made, &ExecutionTimes::now());
    });
    let steps = step("wide", "X=IN", "Y=t") + &step("b", "X=t", "Y=OUT");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&wide, &plus("b", 1)]).unwrap();
    let (request, receiver) = request(&[Some(1)], Delivery::Once);
    ensemble.enqueue(request);
    let error = block_on(receiver.only()).unwrap_err();
    assert_eq!(error.message(), "in ensemble 'ens', 'b' got [2]");
}

#[test]
fn optional_inputs_stay_absent() {
    let optional = "input { name: \"X\" data_type: TYPE_INT32 dims: 1 } input { name: \"Y\" data_type: TYPE_INT32 \
                    dims: 1 optional: true } output { name: \"Z\" data_type: TYPE_INT32 dims: 1 }";
    let model = Fake::of("m", optional, |x| vec![x[0].unwrap() + x[1].unwrap_or(1000)]);
    let declared = "input { name: \"IN\" data_type: TYPE_INT32 dims: 1 } input { name: \"MORE\" data_type: \
                    TYPE_INT32 dims: 1 optional: true } output { name: \"OUT\" data_type: TYPE_INT32 dims: 1 }";
    let ensemble = ensemble(declared, &step("m", "X=IN,Y=MORE", "Z=OUT"), &[&model]).unwrap();
    for (inputs, expected) in [([Some(1), None], 1001), ([Some(1), Some(2)], 3)] {
        let (request, receiver) = request(&inputs, Delivery::Once);
        ensemble.enqueue(request);
        assert_eq!(outputs(&block_on(receiver.only()).unwrap()), [(0, expected)]);
    }
}

#[test]
fn an_output_that_a_step_leaves_out_is_absent_further_on() {
    let forgetful =
        Fake::new("m", &io("X", "Y"), |request| request.succeed(Response::default(), &ExecutionTimes::now()));
    let only = ensemble(&io("IN", "OUT"), &step("m", "X=IN", "Y=OUT"), &[&forgetful]).unwrap();
    let (asked, receiver) = request(&[Some(1)], Delivery::Once);
    only.enqueue(asked);
    assert!(block_on(receiver.only()).unwrap().outputs.is_empty());

    let steps = step("m", "X=IN", "Y=t") + &step("b", "X=t", "Y=OUT");
    let behind = ensemble(&io("IN", "OUT"), &steps, &[&forgetful, &plus("b", 1)]).unwrap();
    let (asked, receiver) = request(&[Some(1)], Delivery::Once);
    behind.enqueue(asked);
    assert_eq!(block_on(receiver.only()).unwrap_err().message(), "in ensemble 'ens', 'b' lacks 'X'");
}

#[test]
fn everything_of_the_request_reaches_every_step() {
    let (a, held_a) = Fake::held("a", &io("X", "Y"));
    let (b, held_b) = Fake::held("b", &io("X", "Y"));
    let steps = step("a", "X=IN", "Y=t") + &step("b", "X=t", "Y=OUT");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&a, &b]).unwrap();
    let (mut request, receiver) = request(&[Some(1)], Delivery::Once);
    let sequence = Sequence { correlation_id: CorrelationId::Number(7), start: true, end: false };
    request.context_mut().id = "r1".into();
    request.priority = 3;
    request.timeout = Some(Duration::from_secs(9));
    request.sequence = Some(sequence.clone());
    request.parameters.set("p", ParameterValue::Int64(1));
    ensemble.enqueue(request);
    for held in [held_a, held_b] {
        let step = held.one();
        assert_eq!((&**step.id(), step.priority, step.timeout), ("r1", 3, Some(Duration::from_secs(9))));
        assert_eq!(step.sequence.as_ref(), Some(&sequence));
        assert_eq!(step.parameters.get("p"), Some(&ParameterValue::Int64(1)));
        answer(step, &[1]);
    }
    let response = block_on(receiver.only()).unwrap();
    let mut expected = Parameters::default();
    expected.set("sequence_id", ParameterValue::Int64(7));
    expected.set("sequence_start", ParameterValue::Bool(true));
    expected.set("sequence_end", ParameterValue::Bool(false));
    assert_eq!(response.parameters, expected);
}

/// A model whose response sets a parameter with this value for each name.
fn with_parameters(name: &str, value: i64, names: &'static [&'static str]) -> Arc<Fake> {
    Fake::new(name, &io("X", "Y"), move |request| {
        let mut made = response(&request, &[1]);
        for name in names {
            made.parameters.set(*name, ParameterValue::Int64(value));
        }
        request.succeed(made, &ExecutionTimes::now());
    })
}

#[test]
fn what_a_step_says_goes_to_all_behind_it_and_the_client_wins() {
    let (a, b) = (with_parameters("a", 1, &["x", "y", "z"]), with_parameters("b", 2, &["y", "z"]));
    let (beside, held_beside) = Fake::held("beside", &io("X", "Y"));
    let (last, held) = Fake::held("last", &io("X", "Y"));
    let steps = step("a", "X=IN", "Y=t")
        + &step("b", "X=t", "Y=u")
        + &step("last", "X=u", "Y=OUT")
        + &step("beside", "X=IN", "Y=OTHER");
    let ensemble = ensemble(&io("IN", "OUT,OTHER"), &steps, &[&a, &b, &beside, &last]).unwrap();
    let (mut request, receiver) = request(&[Some(1)], Delivery::Once);
    request.parameters.set("z", ParameterValue::Int64(3));
    ensemble.enqueue(request);
    let step = held.one();
    let got = ["x", "y", "z"].map(|name| step.parameters.get(name).cloned());
    assert_eq!(got, [1, 2, 3].map(|value| Some(ParameterValue::Int64(value))));
    answer(step, &[1]);
    let beside = held_beside.one();
    assert_eq!(beside.parameters.get("x"), None, "it does not come after them");
    answer(beside, &[1]);
    let response = block_on(receiver.only()).unwrap();
    let got = ["x", "y", "z"].map(|name| response.parameters.get(name).cloned());
    assert_eq!(got, [1, 2, 2].map(|value| Some(ParameterValue::Int64(value))), "the steps' own");
}

#[test]
fn counts_the_ensemble_and_every_step() {
    let (a, b) = (plus("a", 1), plus("b", 1));
    let steps = step("a", "X=IN", "Y=t") + &step("b", "X=t", "Y=OUT");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&a, &b]).unwrap();
    let statistics = Arc::new(hippocamp_statistics::ModelStatistics::default());
    let now = std::time::Instant::now();
    let (response, receiver) =
        hippocamp_backend::channel(Delivery::Once, now, Observers::counting(&statistics));
    let (request, _) = request(&[Some(1)], Delivery::Once);
    ensemble.enqueue(hippocamp_backend::Request { response, ..request });
    block_on(receiver.only()).unwrap();
    let counters = statistics.snapshot();
    assert_eq!((counters.success.count, counters.inference_count, counters.execution_count), (1, 1, 1));
    assert_eq!((counters.queue.count, counters.phases.compute_infer.count), (1, 1));
    assert!(a.statistics.snapshot().success.count == 1 && b.statistics.snapshot().success.count == 1);
}

#[test]
fn ensembles_of_ensembles() {
    let steps = step("a", "X=IN", "Y=t") + &step("b", "X=t", "Y=OUT");
    let inner = Arc::new(ensemble(&io("IN", "OUT"), &steps, &[&plus("a", 1), &plus("b", 10)]).unwrap());
    let nested = Fake::new("inner", &io("IN", "OUT"), move |request| inner.enqueue(request));
    let steps = step("inner", "IN=IN", "OUT=t") + &step("inner", "IN=t", "OUT=OUT");
    let outer = ensemble(&io("IN", "OUT"), &steps, &[&nested]).unwrap();
    let (request, receiver) = request(&[Some(1)], Delivery::Once);
    outer.enqueue(request);
    assert_eq!(outputs(&block_on(receiver.only()).unwrap()), [(0, 23)]);
}

#[test]
fn an_input_may_be_an_output() {
    let ensemble = ensemble(&io("IN", "IN,OUT"), &step("a", "X=IN", "Y=OUT"), &[&plus("a", 1)]).unwrap();
    let (mut request, receiver) = request(&[Some(4)], Delivery::Once);
    request.outputs = WantedOutputs::none_of(2);
    request.outputs.add(0);
    ensemble.enqueue(request);
    assert_eq!(outputs(&block_on(receiver.only()).unwrap()), [(0, 4)], "nothing has to run for it");
}
