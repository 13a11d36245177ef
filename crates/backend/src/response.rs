//! Responses, and the way back from an instance to the request's own task.
//!
//! A model that answers once uses a oneshot; a decoupled one a queue. The sender counts the request when its last
//! response leaves, and answers an internal error if it is dropped before that.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hippocamp_tensor::Shape;
use smallvec::SmallVec;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, ExecutionTimes, ModelStatistics, Outlet, Parameters, Result};

/// One output of a response. Its name and type are those of the model's output at `index`.
#[derive(Clone, Debug)]
pub struct OutputTensor {
    pub index: usize,
    pub shape: Shape,
    /// In the wire form. Often a slice of a buffer shared by the whole batch.
    pub data: Bytes,
}

/// What a model answers to a request.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// In the model's order; only outputs that were asked for.
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
    /// The request failed. No event follows.
    Failed(Error),
    /// A decoupled model is done; its last response was sent before. No event follows.
    End,
}

impl Event {
    /// Whether no event follows.
    pub fn is_last(&self) -> bool {
        !matches!(self, Event::Response { last: false, .. })
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
    (ResponseSender::new(outlet, arrived, statistics), ResponseReceiver { back: Some(back) })
}

/// The end that a backend holds. Never blocks.
#[derive(Debug)]
pub struct ResponseSender {
    outlet: Outlet,
    arrived: Instant,
    statistics: Arc<ModelStatistics>,
    /// The backend wants to have the request once more before it answers.
    reschedule: bool,
}

impl ResponseSender {
    /// For a request that arrived at `arrived`, counted in `statistics`.
    pub fn new(outlet: Outlet, arrived: Instant, statistics: Arc<ModelStatistics>) -> ResponseSender {
        ResponseSender { outlet, arrived, statistics, reschedule: false }
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
        if !self.is_to_nobody() {
            self.statistics.succeeded(self.arrived, queued, times);
        }
        self.outlet.send(Event::Response { response, last: true });
    }

    /// Sends one of several responses of a decoupled model. A model that answers once has no such responses: there it
    /// does nothing, and the missing answer shows when the sender is dropped.
    pub fn send(&mut self, response: Response) {
        if self.delivery() == Delivery::Many {
            self.outlet.send(Event::Response { response, last: false });
        }
    }

    /// Counts the request of a decoupled model as answered and says that no response follows.
    pub fn finish(mut self, queued: Instant, times: &ExecutionTimes) {
        if self.delivery() == Delivery::Many {
            if !self.is_to_nobody() {
                self.statistics.succeeded(self.arrived, queued, times);
            }
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
        if !self.is_to_nobody() {
            self.statistics.failed(self.arrived, reason);
        }
        self.outlet.send(Event::Failed(error));
    }
}

impl Drop for ResponseSender {
    fn drop(&mut self) {
        if self.outlet.is_open() && !self.is_to_nobody() {
            self.statistics.failed(self.arrived, FailureReason::Backend);
            let error = Error::internal("the backend dropped the request without an answer");
            self.outlet.send(Event::Failed(error));
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
}

impl ResponseReceiver {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        let event = match self.back.as_mut()? {
            Back::Once(rx) => rx.await.ok(),
            Back::Many(rx) => rx.recv().await,
        };
        if !matches!(event, Some(Event::Response { last: false, .. })) {
            self.back = None;
        }
        event
    }

    /// The response of a model that answers once.
    pub async fn only(mut self) -> Result<Response> {
        match self.next().await {
            Some(Event::Response { response, .. }) => Ok(response),
            Some(Event::Failed(error)) => Err(error),
            Some(Event::End) | None => Err(Error::internal("the model answered without a response")),
        }
    }
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
