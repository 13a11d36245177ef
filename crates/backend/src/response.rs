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

use crate::{Error, ExecutionTimes, ModelStatistics, Parameters, Result};

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
    let (out, back) = match delivery {
        Delivery::Once => {
            let (tx, rx) = oneshot::channel();
            (Some(Out::Once(tx)), Back::Once(rx))
        }
        Delivery::Many => {
            let (tx, rx) = mpsc::unbounded_channel();
            (Some(Out::Many(tx)), Back::Many(rx))
        }
    };
    (ResponseSender { out, arrived, statistics }, ResponseReceiver { back: Some(back) })
}

#[derive(Debug)]
enum Out {
    Once(oneshot::Sender<Event>),
    Many(mpsc::UnboundedSender<Event>),
}

impl Out {
    /// A receiver that is gone is no error: the client hung up.
    fn send(self, event: Event) {
        match self {
            Out::Once(tx) => drop(tx.send(event)),
            Out::Many(tx) => drop(tx.send(event)),
        }
    }
}

/// The end that a backend holds. Never blocks.
#[derive(Debug)]
pub struct ResponseSender {
    /// `None` once the last event was sent.
    out: Option<Out>,
    arrived: Instant,
    statistics: Arc<ModelStatistics>,
}

impl ResponseSender {
    /// Whether nobody waits for an answer any more.
    pub fn is_cancelled(&self) -> bool {
        match &self.out {
            Some(Out::Once(tx)) => tx.is_closed(),
            Some(Out::Many(tx)) => tx.is_closed(),
            None => true,
        }
    }

    /// Whether the model is decoupled.
    pub fn delivery(&self) -> Delivery {
        if matches!(self.out, Some(Out::Many(_))) { Delivery::Many } else { Delivery::Once }
    }

    pub fn statistics(&self) -> &ModelStatistics {
        &self.statistics
    }

    /// Counts the request as answered and sends its only or last response. `queued` is when it began to wait.
    pub fn succeed(mut self, response: Response, queued: Instant, times: &ExecutionTimes) {
        self.statistics.succeeded(self.arrived, queued, times);
        self.last(Event::Response { response, last: true });
    }

    /// Sends one of several responses of a decoupled model. A model that answers once has no such responses: there it
    /// does nothing, and the missing answer shows when the sender is dropped.
    pub fn send(&self, response: Response) {
        if let Some(Out::Many(tx)) = &self.out {
            drop(tx.send(Event::Response { response, last: false }));
        }
    }

    /// Counts the request of a decoupled model as answered and says that no response follows.
    pub fn finish(mut self, queued: Instant, times: &ExecutionTimes) {
        if matches!(self.out, Some(Out::Many(_))) {
            self.statistics.succeeded(self.arrived, queued, times);
            self.last(Event::End);
        }
    }

    /// Counts the request as failed and sends the error.
    pub fn fail(mut self, error: Error, reason: FailureReason) {
        self.statistics.failed(self.arrived, reason);
        self.last(Event::Failed(error));
    }

    fn last(&mut self, event: Event) {
        if let Some(out) = self.out.take() {
            out.send(event);
        }
    }
}

impl Drop for ResponseSender {
    fn drop(&mut self) {
        if self.out.is_some() {
            self.statistics.failed(self.arrived, FailureReason::Backend);
            self.last(Event::Failed(Error::internal("the backend dropped the request without an answer")));
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
    use crate::Code;

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
        let (tx, mut rx, statistics) = pair(Delivery::Many);
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
}
