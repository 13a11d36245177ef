//! Both ends of the way back, with statistics that count.

use hippocamp_statistics::ModelStatistics;

use super::*;
use crate::{Code, ParameterValue, ResponseReceiver, ResponseSink, channel};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn pair(delivery: Delivery) -> (ResponseSender, ResponseReceiver, Arc<ModelStatistics>) {
    let statistics = Arc::new(ModelStatistics::default());
    let (tx, rx) = channel(delivery, Instant::now(), Observers::counting(&statistics));
    (tx, rx, statistics)
}

#[test]
fn a_sender_that_is_dropped_answers_internal_and_counts_a_failure() {
    for delivery in [Delivery::Once, Delivery::Many] {
        let (tx, rx, statistics) = pair(delivery);
        drop(tx);
        assert_eq!(block_on(rx.only()).unwrap_err().code(), Code::Internal);
        assert_eq!(statistics.snapshot().fail.count, 1);
    }
}

#[test]
fn a_decoupled_model_sends_many_and_an_end() {
    let (mut tx, mut rx, statistics) = pair(Delivery::Many);
    tx.send(Response::default());
    tx.send(Response::default());
    tx.finish(Instant::now(), &ExecutionTimes::now());
    let mut got = Vec::new();
    while let Some(event) = block_on(rx.next()) {
        got.push(event);
    }
    assert!(matches!(
        got[..],
        [Event::Response { last: false, .. }, Event::Response { last: false, .. }, Event::End]
    ));
    assert_eq!(statistics.snapshot().success.count, 1);
}

#[test]
fn a_receiver_that_is_dropped_cancels() {
    let (tx, rx, _) = pair(Delivery::Once);
    assert!(!tx.is_cancelled());
    drop(rx);
    assert!(tx.is_cancelled());
    tx.succeed(Response::default(), Instant::now(), &ExecutionTimes::now());
}

#[test]
fn finishing_without_a_response_is_a_failure_where_one_is_due() {
    let (tx, rx, statistics) = pair(Delivery::Once);
    tx.finish(Instant::now(), &ExecutionTimes::now());
    assert_eq!(block_on(rx.only()).unwrap_err().code(), Code::Internal);
    assert_eq!(statistics.snapshot().success.count, 0);
}

#[test]
fn a_request_that_is_withdrawn_never_was() {
    let (tx, mut rx, statistics) = pair(Delivery::Once);
    tx.withdraw();
    assert!(block_on(rx.next()).is_none());
    assert_eq!(statistics.snapshot().fail.count, 0);
}

#[test]
fn a_null_request_is_answered_without_anybody_counting() {
    let statistics = Arc::new(ModelStatistics::default());
    let sender =
        |delivery| ResponseSender::to_nobody(delivery, Instant::now(), Observers::counting(&statistics));
    let times = ExecutionTimes::now();
    assert!(!sender(Delivery::Once).is_cancelled(), "it keeps its place in the batch");
    sender(Delivery::Once).succeed(Response::default(), Instant::now(), &times);
    sender(Delivery::Many).finish(Instant::now(), &times);
    sender(Delivery::Once).fail(Error::internal("no"), FailureReason::Backend);
    drop(sender(Delivery::Once));
    let counters = statistics.snapshot();
    assert_eq!((counters.success.count, counters.fail.count), (0, 0));
}

/// Passes on what comes, with a parameter added to each response.
#[derive(Debug)]
struct Marking(Outlet);

impl ResponseSink for Marking {
    fn deliver(&mut self, mut event: Event) {
        if let Event::Response { response, .. } = &mut event {
            response.parameters.set("marked", ParameterValue::Bool(true));
        }
        self.0.send(event);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

#[test]
fn somebody_in_between_sees_every_event_and_the_cancellation() {
    let (mut tx, mut rx, statistics) = pair(Delivery::Many);
    tx.redirect(|outlet| Outlet::to_sink(Delivery::Many, Box::new(Marking(outlet))));
    tx.send(Response::default());
    let Some(Event::Response { response, last: false }) = block_on(rx.next()) else { panic!("a response") };
    assert_eq!(response.parameters.get("marked"), Some(&ParameterValue::Bool(true)));
    assert!(!tx.is_cancelled());
    drop(rx);
    assert!(tx.is_cancelled());
    drop(tx);
    assert_eq!(statistics.snapshot().fail.count, 1, "counted once, by the sender");
}
