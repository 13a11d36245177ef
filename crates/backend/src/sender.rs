//! The sending end of a request's response channel, held by a backend.

use std::sync::Arc;
use std::time::Instant;

use hippocamp_events::{
    EndedRequests, ExecutionTimes, FailureReason, GpuNumber, ModelEvent, Observers, Outcome, RequestContext,
    RequestEvent, ResponseOutcome, ResponseTimes,
};

use crate::life::{Life, Stage};
use crate::{Delivery, Error, Event, Outlet, OutputTensor, Response, Result};

/// Sends the responses of a request and reports its events. If it is dropped before the last event was sent, it sends
/// an internal error. It never blocks, except for an ensemble's back pressure; see [`ResponseSink`].
///
/// [`ResponseSink`]: crate::ResponseSink
#[derive(Debug)]
pub struct ResponseSender {
    outlet: Outlet,
    life: Life,
}

impl ResponseSender {
    /// The sender of a request with that context. Its events are reported to `observers`, beginning with its arrival.
    pub fn new(
        outlet: Outlet,
        context: impl Into<RequestContext>,
        observers: Arc<Observers>,
    ) -> ResponseSender {
        ResponseSender { outlet, life: Life::new(context.into(), observers) }
    }

    /// For a null request, which only keeps a place in a batch: nobody gets what is sent, and nothing is reported.
    pub fn to_nobody(
        delivery: Delivery,
        context: impl Into<RequestContext>,
        observers: Arc<Observers>,
    ) -> ResponseSender {
        let life = Life::unobserved(context.into(), observers);
        ResponseSender { outlet: Outlet::to_nobody(delivery), life }
    }

    /// Replaces the outlet by one that `wrap` makes of it. Reported events do not change.
    pub fn redirect(&mut self, wrap: impl FnOnce(Outlet) -> Outlet) {
        let nowhere = Outlet::closed(self.outlet.delivery());
        self.outlet = wrap(std::mem::replace(&mut self.outlet, nowhere));
    }

    /// What is known of the request besides its tensors.
    pub fn context(&self) -> &RequestContext {
        &self.life.context
    }

    pub(crate) fn context_mut(&mut self) -> &mut RequestContext {
        &mut self.life.context
    }

    /// The observers of the model version.
    pub fn observers(&self) -> &Arc<Observers> {
        self.life.observers()
    }

    /// Whether nobody waits for an answer any more.
    pub fn is_cancelled(&self) -> bool {
        self.outlet.is_cancelled()
    }

    /// Whether the model is decoupled.
    pub fn delivery(&self) -> Delivery {
        self.outlet.delivery()
    }

    pub(crate) fn is_to_nobody(&self) -> bool {
        self.outlet.is_to_nobody()
    }

    /// See [`Request::reschedule`](crate::Request::reschedule).
    pub(crate) fn set_reschedule(&mut self, reschedule: bool) -> bool {
        std::mem::replace(&mut self.life.reschedule, reschedule)
    }

    pub(crate) fn reach(&mut self, stage: Stage, at: Instant) {
        self.life.reach(stage, at);
    }

    pub(crate) fn queued_again(&mut self, at: Instant) {
        self.life.queued_again(at);
    }

    /// Counts an execution of which this request is the whole batch, or stands for it. `batch_size` is what the backend
    /// reports, usually the sum of the requests'.
    pub fn executed(&self, batch_size: usize, times: &ExecutionTimes) {
        self.executed_rows(batch_size, batch_size, times);
    }

    /// Counts an execution of a batch of which only `inferences` rows belong to requests; the others belong to null
    /// requests.
    pub fn executed_rows(&self, batch_size: usize, inferences: usize, times: &ExecutionTimes) {
        let (batch_size, inferences) = (batch_size as u64, inferences as u64);
        let gpu = self.life.context.gpu.map(GpuNumber::id);
        self.observers().on_model(&ModelEvent::Executed { batch_size, inferences, times, gpu });
    }

    /// Sends the only or last response. `queued` is when the request began to wait.
    pub fn succeed(mut self, response: Response, queued: Instant, times: &ExecutionTimes) {
        match self.delivery() {
            Delivery::Once => self.life.responded_once(queued, Some(times)),
            Delivery::Many => {
                let ExecutionTimes { started, outputs_begun, finished, .. } = *times;
                let started = started.max(self.life.last_response());
                let times = ResponseTimes { started, output_begun: Some(outputs_begun), finished };
                self.life.responded(ResponseOutcome::Success, &times);
            }
        }
        self.succeeded(queued, times);
        self.outlet.send(Event::Response { response, last: true });
    }

    /// Whether its success may be counted together with that of another request of its batch, as one event.
    pub(crate) fn counts_with(&self, other: &ResponseSender) -> bool {
        self.delivery() == Delivery::Once
            && !self.is_to_nobody()
            && self.life.only_counts_as(other.observers())
    }

    /// Counts an execution with the ends of the requests of its batch, all of which [count
    /// together](ResponseSender::counts_with).
    pub(crate) fn count_batch(
        &self,
        batch_size: usize,
        times: &ExecutionTimes,
        ended: &mut EndedRequests<'_, '_>,
    ) {
        let size = batch_size as u64;
        let gpu = self.life.context.gpu.map(GpuNumber::id);
        let executed = ModelEvent::Executed { batch_size: size, inferences: size, times, gpu };
        self.observers().count_batch(&executed, ended);
    }

    /// The end of a request that succeeded, to be counted with its batch.
    pub(crate) fn success<'a>(
        &'a self,
        queued: Instant,
        times: &'a ExecutionTimes,
    ) -> (&'a RequestContext, RequestEvent<'a>) {
        let outcome = Outcome::Success { queued, times };
        (&self.life.context, RequestEvent::Ended { outcome, at: times.finished })
    }

    /// Sends the only response of a request whose success is counted.
    pub(crate) fn send_counted(mut self, response: Response, times: &ExecutionTimes) {
        self.life.ended_with_batch();
        self.report_to_parent(times);
        self.outlet.send(Event::Response { response, last: true });
    }

    /// Sends a response from the response cache. `looked` is when the look-up began.
    pub fn succeed_from_cache(mut self, response: Response, queued: Instant, looked: Instant) {
        self.life.responded_once(queued, None);
        self.life.ended(Outcome::Cached { queued, looked });
        self.outlet.send(Event::Response { response, last: true });
    }

    /// Sends one of several responses of a decoupled model, whose computing began when the one before it was sent. A
    /// model that answers once has no such responses: there it does nothing, and the missing answer shows when the
    /// sender is dropped.
    pub fn send(&mut self, response: Response) {
        let times = self.since_last_response();
        self.send_timed(response, &times);
    }

    /// As [`ResponseSender::send`], with the times of the response's phases.
    pub fn send_timed(&mut self, response: Response, times: &ResponseTimes) {
        if self.delivery() == Delivery::Many {
            self.life.responded(ResponseOutcome::Success, times);
            self.outlet.send(Event::Response { response, last: false });
        }
    }

    /// Sends the last of several responses of a decoupled model, before the times of the request are known: it is counted by
    /// [`ResponseSender::finish`], which then sends nothing.
    pub fn send_last(&mut self, response: Response) {
        let times = self.since_last_response();
        if self.delivery() == Delivery::Many {
            self.life.responded(ResponseOutcome::Success, &times);
            self.outlet.send(Event::Response { response, last: true });
        }
    }

    /// Sends an error in place of one of several responses. Others may follow.
    pub fn send_error(&mut self, error: Error, times: &ResponseTimes) {
        if self.delivery() == Delivery::Many {
            self.life.responded(ResponseOutcome::Fail, times);
            self.outlet.send(Event::ResponseFailed(error));
        }
    }

    /// Counts one of several responses that has nothing to send.
    pub fn skip(&mut self, times: &ResponseTimes) {
        if self.delivery() == Delivery::Many {
            self.life.responded(ResponseOutcome::Empty, times);
        }
    }

    /// Sets the next value of a state of the request's sequence, apart from a response: an output by its place in the model's list.
    /// It holds at once, also for a request that is rescheduled. Fails, and leaves the state as it was, if its shape does not
    /// match the config.
    pub fn keep_state(&mut self, state: OutputTensor) -> Result<()> {
        self.outlet.keep_state(state)
    }

    /// Ends the responses of a decoupled model. A model that answers once has no such end; see
    /// [`ResponseSender::send`].
    pub fn finish(mut self, queued: Instant, times: &ExecutionTimes) {
        if self.delivery() == Delivery::Many {
            self.succeeded(queued, times);
            self.outlet.send(Event::End);
        }
    }

    /// Drops a request that was never queued: nothing is sent or counted.
    pub fn withdraw(mut self) {
        self.life.ended(Outcome::Withdrawn);
        self.outlet = Outlet::closed(self.delivery());
    }

    /// Sends an error: the request failed.
    pub fn fail(mut self, error: Error, reason: FailureReason) {
        self.failed(error, reason);
    }

    /// Sends an error: the request was cancelled while its responses were made. `times` are those of stopping it.
    pub fn stop(mut self, error: Error, times: &ResponseTimes) {
        if self.delivery() == Delivery::Many {
            self.life.responded(ResponseOutcome::Cancel, times);
        }
        self.failed(error, FailureReason::Canceled);
    }

    fn succeeded(&mut self, queued: Instant, times: &ExecutionTimes) {
        if self.is_to_nobody() {
            return;
        }
        self.life.executed(queued, times);
        self.life.ended(Outcome::Success { queued, times });
        self.report_to_parent(times);
    }

    fn report_to_parent(&self, times: &ExecutionTimes) {
        if let Some(parent) = &self.context().parent {
            parent.step_executed(times);
        }
    }

    fn failed(&mut self, error: Error, reason: FailureReason) {
        if self.is_to_nobody() {
            return;
        }
        if self.delivery() == Delivery::Many && reason == FailureReason::Backend {
            let times = ResponseTimes { output_begun: None, ..self.since_last_response() };
            self.life.responded(ResponseOutcome::Fail, &times);
        }
        self.life.ended(Outcome::Failed { reason, message: error.message() });
        self.outlet.send(Event::Failed(error));
    }

    /// The times of a response for which the backend gives none: from the previous response to now.
    fn since_last_response(&self) -> ResponseTimes {
        let now = Instant::now();
        ResponseTimes { started: self.life.last_response(), output_begun: Some(now), finished: now }
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

#[cfg(test)]
mod tests;
