//! Tests of decoupled steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use hippocamp_backend::{
    Code, Delivery, Error, Event, ExecutionTimes, FailureReason, ParameterValue, Request,
};

use super::kit::*;

const DECOUPLED: &str = "model_transaction_policy { decoupled: true }";

/// A model that counts up to its input: one response a number, with the number as parameter `n`, too.
fn count(name: &str) -> Arc<Fake> {
    Fake::new(name, &(io("X", "Y") + DECOUPLED), |mut request| {
        for n in 0..numbers(&request)[0].unwrap() {
            let mut made = response(&request, &[n]);
            made.parameters.set("n", ParameterValue::Int64(n.into()));
            request.response.send(made);
        }
        finish(request);
    })
}

fn finish(request: Request) {
    request.response.finish(request.queued, &ExecutionTimes::now());
}

fn values(events: &[Event]) -> Vec<i32> {
    let responses = events.iter().filter_map(|event| match event {
        Event::Response { response, .. } => Some(outputs(response)[0].1),
        Event::ResponseFailed(_) | Event::Failed(_) | Event::End => None,
    });
    responses.collect()
}

#[test]
fn every_response_drives_the_steps_behind_it() {
    let plus = Fake::new("plus", &io("X", "Y"), |request| {
        let n = numbers(&request)[0].unwrap();
        assert_eq!(request.parameters.get("n"), Some(&ParameterValue::Int64(n.into())));
        answer(request, &[n + 10]);
    });
    let steps = step("count", "X=IN", "Y=t") + &step("plus", "X=t", "Y=OUT");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&count("count"), &plus]).unwrap();
    for responses in [3, 1, 0] {
        let (request, receiver) = request(&[Some(responses)], Delivery::Many);
        ensemble.enqueue(request);
        let events = events(receiver);
        assert_eq!(values(&events), (10..10 + responses).collect::<Vec<_>>());
        assert!(matches!(events.last(), Some(Event::End)));
    }
}

#[test]
fn a_decoupled_step_behind_another_multiplies() {
    let steps = step("count", "X=IN", "Y=t") + &step("count", "X=t", "Y=OUT");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&count("count")]).unwrap();
    let (request, receiver) = request(&[Some(4)], Delivery::Many);
    ensemble.enqueue(request);
    assert_eq!(values(&events(receiver)), [0, 0, 1, 0, 1, 2]);
}

#[test]
fn tensors_of_one_response_stay_together_however_late_they_are() {
    let (left, held_left) = Fake::held("left", &io("X", "Y"));
    let (right, held_right) = Fake::held("right", &io("X", "Y"));
    let join = Fake::of("join", &io("X,Y", "Z"), |x| vec![x[0].unwrap() * 100 + x[1].unwrap()]);
    let steps = step("count", "X=IN", "Y=t")
        + &step("left", "X=t", "Y=l")
        + &step("right", "X=t", "Y=r")
        + &step("join", "X=l,Y=r", "Z=OUT");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&count("count"), &left, &right, &join]).unwrap();
    let (request, receiver) = request(&[Some(3)], Delivery::Many);
    ensemble.enqueue(request);
    // Answered in opposite order.
    let echo = |request: Request| {
        let n = numbers(&request)[0].unwrap();
        answer(request, &[n]);
    };
    held_left.take(3).into_iter().for_each(echo);
    held_right.take(3).into_iter().rev().for_each(echo);
    assert_eq!(values(&events(receiver)), [202, 101, 0]);
}

#[test]
fn the_end_comes_when_everything_is_done() {
    let (slow, held) = Fake::held("slow", &io("X", "Y"));
    let steps = step("count", "X=IN", "Y=t") + &step("slow", "X=t", "Y=OUT");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&count("count"), &slow]).unwrap();
    let (request, mut receiver) = request(&[Some(2)], Delivery::Many);
    ensemble.enqueue(request);
    let mut requests = held.take(2);
    answer(requests.remove(0), &[5]);
    assert!(matches!(block_on(receiver.next()), Some(Event::Response { last: false, .. })));
    answer(requests.remove(0), &[6]);
    assert!(matches!(block_on(receiver.next()), Some(Event::Response { last: false, .. })));
    assert!(matches!(block_on(receiver.next()), Some(Event::End)));
}

#[test]
fn an_error_behind_it_ends_everything() {
    let (slow, held) = Fake::held("slow", &io("X", "Y"));
    let (source, producer) = Fake::held("source", &(io("X", "Y") + DECOUPLED));
    let steps = step("source", "X=IN", "Y=t") + &step("slow", "X=t", "Y=OUT");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&source, &slow]).unwrap();
    let (request, receiver) = request(&[Some(1)], Delivery::Many);
    ensemble.enqueue(request);
    let mut producing = producer.one();
    for n in 0..2 {
        let made = response(&producing, &[n]);
        producing.response.send(made);
    }
    let mut requests = held.take(2);
    requests.remove(0).fail(Error::internal("broken"), FailureReason::Backend);
    assert!(producing.is_cancelled() && requests[0].is_cancelled());
    let made = response(&producing, &[3]);
    producing.response.send(made);
    assert_eq!(held.len(), 0, "nothing more is begun");
    finish(producing);
    drop(requests);
    let events = events(receiver);
    let [Event::Failed(error)] = &events[..] else { panic!("one error, got {events:?}") };
    assert_eq!((error.code(), error.message()), (Code::Internal, "in ensemble 'ens', broken"));
}

/// A producer on its own thread, before a step that the test answers.
fn held_back(
    limit: usize,
    responses: i32,
) -> (Arc<Held>, hippocamp_backend::ResponseReceiver, Arc<AtomicUsize>) {
    let (slow, held) = Fake::held("slow", &io("X", "Y"));
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let source = Fake::new("source", &(io("X", "Y") + DECOUPLED), move |mut request| {
        let sent = Arc::clone(&counted);
        thread::spawn(move || {
            for n in 0..numbers(&request)[0].unwrap() {
                if request.is_cancelled() {
                    break;
                }
                let made = response(&request, &[n]);
                request.response.send(made);
                sent.fetch_add(1, Ordering::SeqCst);
            }
            finish(request);
        });
    });
    let steps = step("source", "X=IN", "Y=t")
        + &step("slow", "X=t", "Y=OUT")
        + &format!("max_inflight_requests: {limit}");
    let ensemble = ensemble(&io("IN", "OUT"), &steps, &[&source, &slow]).unwrap();
    let (request, receiver) = request(&[Some(responses)], Delivery::Many);
    ensemble.enqueue(request);
    (held, receiver, sent)
}

#[test]
fn max_inflight_requests_holds_the_producer_back() {
    let (held, receiver, sent) = held_back(2, 10);
    for n in 0..10 {
        let request = held.one();
        // The answered ones and two in flight; the limit admits no more.
        assert!(sent.load(Ordering::SeqCst) <= n + 2);
        assert!(held.len() <= 1);
        answer(request, &[n as i32]);
    }
    assert_eq!(values(&events(receiver)), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_producer_that_is_held_back_sees_that_the_client_is_gone() {
    let (held, receiver, sent) = held_back(1, 1_000_000);
    let first = held.one();
    drop(receiver);
    // The producer stops waiting, and nothing more is started.
    while Arc::strong_count(&sent) > 2 {
        thread::yield_now();
    }
    assert_eq!(held.len(), 0);
    assert!(first.is_cancelled());
}
