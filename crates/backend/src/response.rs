//! Responses, and the way back from an instance to the request's own task.
//!
//! A model that answers once uses a oneshot; a decoupled one a queue. The sender counts the request when its last
//! response leaves, and answers an internal error if it is dropped before that.

use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use hippocamp_tensor::{Shape, TensorData};
use smallvec::SmallVec;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::batch_waker::batch_waker;
use crate::statistics::ResponseOutcome;
use crate::{
    DeferredWake, Error, ExecutionTimes, ModelStatistics, Outlet, Parameters, ResponseTimes, Result, Use,
};

/// One output of a response. Its name and type are those of the model's output at `index`.
#[derive(Clone, Debug)]
pub struct OutputTensor {
    pub index: usize,
    pub shape: Shape,
    /// In the wire form. Often a slice of a buffer shared by the whole batch, or an input that is handed on as it is.
    pub data: TensorData,
}

/// What a model answers to a request.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// In the model's order, in that of an ensemble backwards; only outputs that were asked for.
    pub outputs: SmallVec<[OutputTensor; 2]>,
    pub parameters: Parameters,
}

/// Why an accepted request failed, as the failure metric tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// The queue was full or the request waited too long.
    Rejected,
    /// The client cancelled it.
    Canceled,
    /// The model or its backend failed.
    Backend,
    Other,
}

impl FailureReason {
    pub const ALL: [FailureReason; 4] =
        [FailureReason::Rejected, FailureReason::Canceled, FailureReason::Backend, FailureReason::Other];

    /// The value of the metric's label.
    pub const fn name(self) -> &'static str {
        match self {
            FailureReason::Rejected => "REJECTED",
            FailureReason::Canceled => "CANCELED",
            FailureReason::Backend => "BACKEND",
            FailureReason::Other => "OTHER",
        }
    }
}

/// What comes back for a request.
#[derive(Debug)]
pub enum Event {
    /// A response. `last` if no event follows.
    Response { response: Response, last: bool },
    /// One response of a decoupled model is an error. The request goes on.
    ResponseFailed(Error),
    /// The request failed. No event follows.
    Failed(Error),
    /// A decoupled model is done; its last response was sent before. No event follows.
    End,
}

impl Event {
    /// Whether no event follows.
    pub fn is_last(&self) -> bool {
        !matches!(self, Event::Response { last: false, .. } | Event::ResponseFailed(_))
    }
}

/// How many responses a request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Exactly one.
    Once,
    /// Any number, then an end: a decoupled model.
    Many,
}

/// Makes both ends of the way back for a request that arrived at `arrived`.
pub fn channel(
    delivery: Delivery,
    arrived: Instant,
    statistics: Arc<ModelStatistics>,
) -> (ResponseSender, ResponseReceiver) {
    let (outlet, back) = match delivery {
        Delivery::Once => {
            let (tx, rx) = oneshot::channel();
            (Outlet::once(tx), Back::Once(rx))
        }
        Delivery::Many => {
            let (tx, rx) = mpsc::unbounded_channel();
            (Outlet::many(tx), Back::Many(rx))
        }
    };
    (
        ResponseSender::new(outlet, arrived, statistics),
        ResponseReceiver { back: Some(back), wake: None, counted: None },
    )
}

/// The end that a backend holds. Never blocks, but for an ensemble's back-pressure; see [`ResponseSink`].
///
/// [`ResponseSink`]: crate::ResponseSink
#[derive(Debug)]
pub struct ResponseSender {
    outlet: Outlet,
    arrived: Instant,
    statistics: Arc<ModelStatistics>,
    observer: Option<Arc<dyn ExecutionObserver>>,
    /// How many responses of a decoupled model are counted, and when the last of them was.
    responses: (usize, Instant),
    /// The backend wants to have the request once more before it answers.
    reschedule: bool,
}

/// Somebody besides the model's own statistics who wants to know how long executions take: an ensemble, of which a
/// request is one step.
pub trait ExecutionObserver: Send + Sync + Debug {
    /// A request was executed. Called once, before its last event is sent.
    fn executed(&self, times: &ExecutionTimes);
}

impl ResponseSender {
    /// For a request that arrived at `arrived`, counted in `statistics`.
    pub fn new(outlet: Outlet, arrived: Instant, statistics: Arc<ModelStatistics>) -> ResponseSender {
        ResponseSender {
            outlet,
            arrived,
            statistics,
            observer: None,
            responses: (0, arrived),
            reschedule: false,
        }
    }

    /// Tells `observer`, too, when the request was executed.
    pub fn observe(&mut self, observer: Arc<dyn ExecutionObserver>) {
        self.observer = Some(observer);
    }

    /// For a null request, which only keeps a place in a batch: nobody gets what is sent, and nothing is counted.
    pub fn to_nobody(delivery: Delivery, statistics: Arc<ModelStatistics>) -> ResponseSender {
        ResponseSender::new(Outlet::to_nobody(delivery), Instant::now(), statistics)
    }

    pub(crate) fn is_to_nobody(&self) -> bool {
        self.outlet.is_to_nobody()
    }

    /// See [`Request::reschedule`](crate::Request::reschedule).
    pub(crate) fn set_reschedule(&mut self, reschedule: bool) -> bool {
        std::mem::replace(&mut self.reschedule, reschedule)
    }

    fn succeeded(&self, queued: Instant, times: &ExecutionTimes) {
        if self.is_to_nobody() {
            return;
        }
        self.statistics.succeeded(self.arrived, queued, times);
        if let Some(observer) = &self.observer {
            observer.executed(times);
        }
    }

    /// Puts somebody between this sender and where its events went so far. What is counted does not change.
    pub fn redirect(&mut self, wrap: impl FnOnce(Outlet) -> Outlet) {
        let nowhere = Outlet::closed(self.outlet.delivery());
        self.outlet = wrap(std::mem::replace(&mut self.outlet, nowhere));
    }

    /// Whether nobody waits for an answer any more.
    pub fn is_cancelled(&self) -> bool {
        self.outlet.is_cancelled()
    }

    /// Whether the model is decoupled.
    pub fn delivery(&self) -> Delivery {
        self.outlet.delivery()
    }

    pub fn statistics(&self) -> &Arc<ModelStatistics> {
        &self.statistics
    }

    /// Counts the request as answered and sends its only or last response. `queued` is when it began to wait.
    pub fn succeed(mut self, response: Response, queued: Instant, times: &ExecutionTimes) {
        if self.delivery() == Delivery::Many {
            let ExecutionTimes { started, outputs_begun, finished, .. } = *times;
            let started = started.max(self.responses.1);
            let times = ResponseTimes { started, output_begun: Some(outputs_begun), finished };
            self.count(ResponseOutcome::Success, &times);
        }
        self.succeeded(queued, times);
        self.outlet.send(Event::Response { response, last: true });
    }

    /// Counts the request as answered by the response cache and sends what that has. `looked` is when it was asked.
    pub fn succeed_from_cache(mut self, response: Response, queued: Instant, looked: Instant) {
        self.statistics.cache_hit(self.arrived, queued, looked);
        self.outlet.send(Event::Response { response, last: true });
    }

    /// Sends one of several responses of a decoupled model, whose computing began when the one before it was sent. A
    /// model that answers once has no such responses: there it does nothing, and the missing answer shows when the
    /// sender is dropped.
    pub fn send(&mut self, response: Response) {
        let times = self.since_last();
        self.send_timed(response, &times);
    }

    /// [`ResponseSender::send`] by a backend that knows when it did what.
    pub fn send_timed(&mut self, response: Response, times: &ResponseTimes) {
        if self.delivery() == Delivery::Many {
            self.count(ResponseOutcome::Success, times);
            self.outlet.send(Event::Response { response, last: false });
        }
    }

    /// Sends an error in place of one of several responses. The request goes on.
    pub fn send_error(&mut self, error: Error, times: &ResponseTimes) {
        if self.delivery() == Delivery::Many {
            self.count(ResponseOutcome::Fail, times);
            self.outlet.send(Event::ResponseFailed(error));
        }
    }

    /// Counts one of several responses that has nothing to send.
    pub fn skip(&mut self, times: &ResponseTimes) {
        if self.delivery() == Delivery::Many {
            self.count(ResponseOutcome::Empty, times);
        }
    }

    /// Counts the request of a decoupled model as answered and says that no response follows.
    pub fn finish(mut self, queued: Instant, times: &ExecutionTimes) {
        if self.delivery() == Delivery::Many {
            self.succeeded(queued, times);
            self.outlet.send(Event::End);
        }
    }

    /// Gives up on a request that was never accepted: nothing is sent, and nothing is counted.
    pub fn withdraw(mut self) {
        let delivery = self.delivery();
        self.outlet = Outlet::closed(delivery);
    }

    /// Counts the request as failed and sends the error.
    pub fn fail(mut self, error: Error, reason: FailureReason) {
        self.failed(error, reason);
    }

    /// Counts the request as cancelled while its responses were made; `times` is what letting go of it took.
    pub fn stop(mut self, error: Error, times: &ResponseTimes) {
        if self.delivery() == Delivery::Many {
            self.count(ResponseOutcome::Cancel, times);
        }
        self.failed(error, FailureReason::Canceled);
    }

    fn failed(&mut self, error: Error, reason: FailureReason) {
        if self.is_to_nobody() {
            return;
        }
        if self.delivery() == Delivery::Many && reason == FailureReason::Backend {
            let times = ResponseTimes { output_begun: None, ..self.since_last() };
            self.count(ResponseOutcome::Fail, &times);
        }
        self.statistics.failed(self.arrived, reason);
        self.outlet.send(Event::Failed(error));
    }

    fn count(&mut self, outcome: ResponseOutcome, times: &ResponseTimes) {
        if self.is_to_nobody() {
            return;
        }
        let (index, last) = &mut self.responses;
        self.statistics.responded(self.arrived, *index, outcome, times);
        (*index, *last) = (*index + 1, times.finished);
    }

    /// The times of a response of which nobody says more than that it is ready.
    fn since_last(&self) -> ResponseTimes {
        let now = Instant::now();
        ResponseTimes { started: self.responses.1, output_begun: Some(now), finished: now }
    }
}

impl Drop for ResponseSender {
    fn drop(&mut self) {
        if self.outlet.is_open() {
            let error = Error::internal("the backend dropped the request without an answer");
            self.failed(error, FailureReason::Backend);
        }
    }
}

#[derive(Debug)]
enum Back {
    Once(oneshot::Receiver<Event>),
    Many(mpsc::UnboundedReceiver<Event>),
}

/// The end that the request's own task holds. Dropping it cancels the request.
#[derive(Debug)]
pub struct ResponseReceiver {
    /// `None` once the last event was received.
    back: Option<Back>,
    /// An instance that is to be woken before the response is waited for.
    wake: Option<DeferredWake>,
    /// A use of what answers, where that is counted.
    counted: Option<Use>,
}

impl ResponseReceiver {
    /// Leaves it to this end to wake an instance. Only for whoever waits for the response right away.
    pub fn wake_when_waiting(&mut self, wake: Option<DeferredWake>) {
        self.wake = wake;
    }

    /// Counts as a use of what answers until this is dropped.
    pub fn count_as(&mut self, counted: Option<Use>) {
        self.counted = counted;
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(wake) = self.wake.take() {
            wake.wake_last().await;
        }
        let event = match self.back.as_mut()? {
            Back::Once(rx) => once(rx).await,
            Back::Many(rx) => rx.recv().await,
        };
        if event.as_ref().is_none_or(Event::is_last) {
            self.back = None;
        }
        event
    }

    /// The response of a model that answers once.
    pub async fn only(mut self) -> Result<Response> {
        match self.next().await {
            Some(Event::Response { response, .. }) => Ok(response),
            Some(Event::Failed(error) | Event::ResponseFailed(error)) => Err(error),
            Some(Event::End) | None => Err(Error::internal("the model answered without a response")),
        }
    }
}

/// The only event. What is there already needs nobody to wake.
async fn once(back: &mut oneshot::Receiver<Event>) -> Option<Event> {
    match back.try_recv() {
        Ok(event) => return Some(event),
        Err(TryRecvError::Closed) => return None,
        Err(TryRecvError::Empty) => {}
    }
    poll_fn(|context| {
        let waker = batch_waker(context.waker());
        Pin::new(&mut *back).poll(&mut Context::from_waker(&waker))
    })
    .await
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, ParameterValue, ResponseSink};

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn pair(delivery: Delivery) -> (ResponseSender, ResponseReceiver, Arc<ModelStatistics>) {
        let statistics = Arc::new(ModelStatistics::default());
        let (tx, rx) = channel(delivery, Instant::now(), Arc::clone(&statistics));
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
        let sender = |delivery| ResponseSender::to_nobody(delivery, Arc::clone(&statistics));
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
        let Some(Event::Response { response, last: false }) = block_on(rx.next()) else {
            panic!("a response")
        };
        assert_eq!(response.parameters.get("marked"), Some(&ParameterValue::Bool(true)));
        assert!(!tx.is_cancelled());
        drop(rx);
        assert!(tx.is_cancelled());
        drop(tx);
        assert_eq!(statistics.snapshot().fail.count, 1, "counted once, by the sender");
    }
}
