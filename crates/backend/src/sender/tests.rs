//! Both ends of the way back, with statistics that count.

use std::sync::Mutex;

use hippocamp_events::{ModelId, Observer, RequestEvent};
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
fn the_last_of_several_responses_may_be_counted_later() {
    let (mut tx, mut rx, statistics) = pair(Delivery::Many);
    tx.send_last(Response::default());
    assert!(matches!(block_on(rx.next()), Some(Event::Response { last: true, .. })));
    assert!(block_on(rx.next()).is_none());
    assert_eq!(statistics.snapshot().success.count, 0);
    tx.finish(Instant::now(), &ExecutionTimes::now());
    assert_eq!((statistics.snapshot().success.count, statistics.snapshot().fail.count), (1, 0));
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

/// Notes what it is told, in short.
#[derive(Debug, Default)]
struct Noting(Mutex<String>);

impl Observer for Noting {
    fn on_request(&self, _: &ModelId, _: &RequestContext, event: &RequestEvent<'_>) {
        self.0.lock().unwrap().push(match event {
            RequestEvent::Received => 'r',
            RequestEvent::Queued { .. } => 'q',
            RequestEvent::Started { .. } => 's',
            RequestEvent::InputsReady { .. } => 'i',
            RequestEvent::Computed { .. } => 'c',
            RequestEvent::Responded { .. } => 'R',
            RequestEvent::Ended { outcome: Outcome::Success { .. }, .. } => 'S',
            RequestEvent::Ended { outcome: Outcome::Cached { .. }, .. } => 'C',
            RequestEvent::Ended { outcome: Outcome::Failed { .. }, .. } => 'F',
            RequestEvent::Ended { outcome: Outcome::Withdrawn, .. } => 'W',
        });
    }
}

/// A sender, without anybody who receives, and what is told of it.
fn noted(delivery: Delivery, act: impl FnOnce(ResponseSender, Arc<Observers>)) -> String {
    let noting = Arc::new(Noting::default());
    let statistics = Arc::new(ModelStatistics::default());
    let model = ModelId { name: "m".into(), version: 1 };
    let observers = Arc::new(Observers::new(model, statistics, [Arc::clone(&noting) as Arc<dyn Observer>]));
    let (sender, _receiver) = channel(delivery, Instant::now(), Arc::clone(&observers));
    act(sender, observers);
    noting.0.lock().unwrap().clone()
}

#[test]
fn events_keep_their_order_whatever_a_backend_leaves_out() {
    let (now, times) = (Instant::now(), ExecutionTimes::now());
    let once = |act: fn(ResponseSender, Instant, &ExecutionTimes)| {
        noted(Delivery::Once, |sender, _| act(sender, now, &times))
    };
    let many = |act: fn(ResponseSender, Instant, &ExecutionTimes)| {
        noted(Delivery::Many, |sender, _| act(sender, now, &times))
    };
    assert_eq!(once(|tx, now, times| tx.succeed(Response::default(), now, times)), "rqsicRS");
    assert_eq!(many(|tx, now, times| tx.succeed(Response::default(), now, times)), "rqsicRS");
    assert_eq!(many(ResponseSender::finish), "rqsicS", "no response");
    let two = many(|mut tx, now, times| {
        tx.send(Response::default());
        tx.send(Response::default());
        tx.finish(now, times);
    });
    assert_eq!(two, "rqsicRRS");
    assert_eq!(once(|tx, now, _| tx.succeed_from_cache(Response::default(), now, now)), "rRC");
    assert_eq!(once(|tx, _, _| tx.withdraw()), "rW");
    assert_eq!(once(|tx, _, _| drop(tx)), "rF");
    assert_eq!(many(|tx, _, _| drop(tx)), "rRF", "its response is an error");
}

#[test]
fn a_request_that_is_queued_again_is_started_again() {
    let (now, times) = (Instant::now(), ExecutionTimes::now());
    let told = noted(Delivery::Once, |mut sender, _| {
        sender.reach(Stage::Started, now);
        sender.reach(Stage::Started, now);
        sender.queued_again(now);
        sender.reach(Stage::Started, now);
        sender.succeed(Response::default(), now, &times);
    });
    assert_eq!(told, "rqsqsicRS");
}

#[test]
fn nobody_is_told_of_null_requests() {
    let told = noted(Delivery::Once, |sender, observers| {
        sender.withdraw();
        let (now, times) = (Instant::now(), ExecutionTimes::now());
        let mut null = ResponseSender::to_nobody(Delivery::Many, now, observers);
        null.reach(Stage::Started, now);
        null.send(Response::default());
        null.finish(now, &times);
    });
    assert_eq!(told, "rW");
}

#[test]
fn a_request_stays_small() {
    // It is moved from the protocol to the queue, and from there into a batch.
    assert!(size_of::<crate::Request>() <= 672, "{}", size_of::<crate::Request>());
}
