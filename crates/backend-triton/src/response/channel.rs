//! The way of responses from a backend to the sender of a request. It is shared by the request's handle, the factories and the
//! responses that were made of it, and lives as long as any of them.

use std::sync::{Arc, Weak};
use std::time::Instant;

use hippocamp_backend::{
    Code, Delivery, Error, ExecutionTimes, FailureReason, OutputTensor, Response, ResponseSender,
    ResponseTimes, Result, WantedOutputs,
};
use parking_lot::Mutex;
use tracing::warn;

use super::execution::Execution;
use super::gathered::Answer;
use super::outstanding::{Outstanding, OutstandingRequest};
use crate::border::misuse;
use crate::life::TensorNames;

/// Where the responses of a request go.
#[derive(Debug)]
pub(crate) struct ResponseChannel {
    pub(crate) names: Arc<TensorNames>,
    /// The outputs that the request asks for.
    pub(crate) wanted: WantedOutputs,
    /// That of the request's batch, and how much of it the request is.
    execution: Arc<Execution>,
    rows: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` once the last event was sent.
    sender: Option<ResponseSender>,
    queued: Instant,
    started: Instant,
    /// As the backend reports them, which is after it has sent its responses.
    times: Option<ExecutionTimes>,
    is_released: bool,
    /// The response of a model that answers once, when it was sent without the final flag.
    answer: Option<Result<Response>>,
    /// The end, which waits for the times.
    last: Option<Last>,
    /// Kept until the request is released and its last event was sent.
    #[allow(dead_code, reason = "counts by being there")]
    outstanding: Option<OutstandingRequest>,
}

/// How the responses of a request end.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are the large one")]
enum Last {
    Answer(Result<Response>),
    /// Without a response, after others.
    End,
}

impl ResponseChannel {
    pub(crate) fn new(
        sender: ResponseSender,
        names: &Arc<TensorNames>,
        wanted: WantedOutputs,
        (queued, started): (Instant, Instant),
        (execution, rows): (&Arc<Execution>, usize),
        outstanding: &Arc<Outstanding>,
    ) -> Arc<ResponseChannel> {
        Arc::new_cyclic(|channel: &Weak<ResponseChannel>| ResponseChannel {
            names: Arc::clone(names),
            wanted,
            execution: Arc::clone(execution),
            rows,
            state: Mutex::new(State {
                sender: Some(sender),
                queued,
                started,
                times: None,
                is_released: false,
                answer: None,
                last: None,
                outstanding: Some(outstanding.begin(channel.clone())),
            }),
        })
    }

    /// Whether nobody waits for responses any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.state.lock().sender.as_ref().is_none_or(ResponseSender::is_cancelled)
    }

    /// Sends a response, which is the last one or not.
    pub(crate) fn respond(&self, answer: Result<Response>, is_last: bool) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let Some(sender) = state.sender.as_mut().filter(|_| state.last.is_none()) else {
            warn!(
                model = self.names.model(),
                "the backend sent a response after the last one; it is dropped"
            );
            return;
        };
        let waits = !state.is_released && state.times.is_none();
        if is_last && waits && answer.is_ok() && sender.delivery() == Delivery::Many {
            // It is counted with the times that are still to be reported. The response itself does not wait for that: the
            // backend may go on with other requests first.
            state.last = Some(Last::End);
            if let Ok(response) = answer {
                sender.send_last(response);
            }
            return;
        } else if is_last {
            state.last = Some(Last::Answer(answer));
            return self.end_if_reported(state);
        }
        match (sender.delivery(), answer) {
            (Delivery::Once, answer) if state.answer.is_none() => state.answer = Some(answer),
            (Delivery::Once, _) => {
                let model = self.names.model();
                let text = format!(
                    "model '{model}' is expected to give one response, its backend sent several: its config should say \
                     that its transaction policy is decoupled"
                );
                warn!(model, "{text}");
                state.answer = Some(Err(Error::internal(text)));
            }
            (Delivery::Many, Ok(response)) => sender.send(response),
            (Delivery::Many, Err(error)) => {
                let now = Instant::now();
                let times = ResponseTimes { started: now, output_begun: None, finished: now };
                sender.send_error(error, &times);
            }
        }
    }

    /// Ends the responses.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock();
        if state.sender.is_none() || state.last.is_some() {
            warn!(model = self.names.model(), "the backend ended the responses of a request twice");
            return;
        }
        state.last = Some(state.answer.take().map_or(Last::End, Last::Answer));
        self.end_if_reported(&mut state);
    }

    /// Counts a response that was not sent, as it is empty.
    pub(crate) fn skip(&self, started: Option<Instant>, finished: Option<Instant>) {
        let mut state = self.state.lock();
        if let Some(sender) = state.sender.as_mut() {
            let started = started.unwrap_or_else(Instant::now);
            let finished = finished.unwrap_or(started).max(started);
            sender.skip(&ResponseTimes { started, output_begun: None, finished });
        }
    }

    /// Sets the next value of a state of the sequence.
    pub(crate) fn update_state(&self, value: OutputTensor) -> Result<()> {
        let mut state = self.state.lock();
        let sender = state.sender.as_mut().ok_or_else(|| misuse("the request was answered before"))?;
        sender.keep_state(value)
    }

    /// Notes the times that the backend reports.
    pub(crate) fn report(&self, times: [u64; 4]) {
        let mut state = self.state.lock();
        state.times = Some(super::times::execution(times, state.started));
        self.end_if_reported(&mut state);
    }

    /// Notes that the backend gave the request back.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock();
        state.is_released = true;
        self.end_if_reported(&mut state);
    }

    /// Takes the sender out of a request that is executed once more. `None` if it was answered.
    pub(crate) fn detach(&self) -> Option<ResponseSender> {
        let mut state = self.state.lock();
        state.is_released = true;
        state.outstanding = None;
        if state.last.is_some() { None } else { state.sender.take() }
    }

    /// Answers with an error: the backend did not take the request, or will not answer it any more.
    pub(crate) fn refuse(&self, error: Error) {
        let mut state = self.state.lock();
        state.is_released = true;
        // What the backend sent in time counts.
        state.last.get_or_insert(Last::Answer(Err(error)));
        self.end_if_reported(&mut state);
    }

    /// Sends the end, once the request is released or its times are known: with it the request is counted. An error has no
    /// times.
    fn end_if_reported(&self, state: &mut State) {
        let is_error = matches!(state.last, Some(Last::Answer(Err(_))));
        let is_reported = state.is_released || state.times.is_some() || is_error;
        if is_reported
            && let Some(last) = state.last.take()
            && let Some(sender) = state.sender.take()
        {
            let times = state.times.unwrap_or_else(|| ExecutionTimes {
                finished: Instant::now(),
                ..ExecutionTimes::starting(state.started)
            });
            if state.times.is_some() {
                self.execution.count(&times);
            }
            match (last, sender.delivery()) {
                (Last::Answer(Ok(response)), Delivery::Once) => {
                    self.execution.answer(Answer { sender, response, queued: state.queued, times });
                }
                (Last::Answer(Ok(response)), Delivery::Many) => {
                    sender.succeed(response, state.queued, &times);
                }
                (Last::Answer(Err(error)), _) => self.fail(sender, error),
                (Last::End, Delivery::Many) => sender.finish(state.queued, &times),
                (Last::End, Delivery::Once) => {
                    let model = self.names.model();
                    let text = format!("the backend of model '{model}' ended a request without a response");
                    self.fail(sender, Error::internal(text));
                }
            }
        }
        if state.is_released && state.sender.is_none() {
            state.outstanding = None;
        }
    }

    fn fail(&self, sender: ResponseSender, error: Error) {
        let reason = match error.code() {
            Code::Cancelled => FailureReason::Canceled,
            _ => FailureReason::Backend,
        };
        self.execution.failed(self.rows);
        sender.fail(error, reason);
    }
}

impl Drop for ResponseChannel {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let (queued, started) = (state.queued, state.started);
        let Some(sender) = state.sender.take() else { return };
        let model = self.names.model();
        let last = state.last.take();
        if matches!(last, Some(Last::End)) && sender.delivery() == Delivery::Many {
            // All was sent; only its times never came.
            return sender.finish(queued, &ExecutionTimes::starting(started));
        }
        let answer = match (last, state.answer.take()) {
            (Some(Last::Answer(answer)), _) | (None, Some(answer)) => answer,
            _ => Err(Error::internal(format!(
                "the backend of model '{model}' dropped a request without a final response: each has to be answered, by a Python model \
                 with one of the responses that execute() returns"
            ))),
        };
        warn!(model, "the backend let go of a request without the final flag");
        match answer {
            Ok(response) => sender.succeed(response, queued, &ExecutionTimes::starting(started)),
            Err(error) => self.fail(sender, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use hippocamp_backend::{Event, Observers, Request, ResponseReceiver, channel};
    use hippocamp_model_config::{Interface, parse};

    use super::*;

    fn opened(delivery: Delivery) -> (Arc<ResponseChannel>, ResponseReceiver) {
        let (sender, receiver) = channel(delivery, Instant::now(), Arc::<Observers>::default());
        let request = Request::new([].into_iter().collect(), 1, sender);
        let execution = Execution::of(std::slice::from_ref(&request)).map(Arc::new).expect("a request");
        let config = parse("name: \"m\"", "config.pbtxt").expect("a config").config;
        let names = TensorNames::new(&Arc::new(Interface::new(&config).expect("an interface")), &config);
        let (now, all) = (Instant::now(), WantedOutputs::ALL);
        let opened = ResponseChannel::new(
            request.response,
            &names.into(),
            all,
            (now, now),
            (&execution, 1),
            &Arc::default(),
        );
        (opened, receiver)
    }

    async fn next(receiver: &mut ResponseReceiver) -> Option<Event> {
        tokio::time::timeout(std::time::Duration::from_secs(10), receiver.next()).await.expect("an event")
    }

    #[tokio::test]
    async fn the_last_response_of_a_stream_does_not_wait_for_other_requests() {
        let (channel, mut receiver) = opened(Delivery::Many);
        channel.respond(Ok(Response::default()), false);
        channel.respond(Ok(Response::default()), true);
        assert!(matches!(next(&mut receiver).await, Some(Event::Response { last: false, .. })));
        assert!(matches!(next(&mut receiver).await, Some(Event::Response { last: true, .. })));
        channel.release();
        assert!(next(&mut receiver).await.is_none());

        let (channel, mut receiver) = opened(Delivery::Many);
        channel.release();
        channel.respond(Ok(Response::default()), true);
        assert!(matches!(next(&mut receiver).await, Some(Event::Response { last: true, .. })));

        let (channel, mut receiver) = opened(Delivery::Many);
        channel.respond(Err(Error::internal("no")), true);
        assert!(matches!(next(&mut receiver).await, Some(Event::Failed(_))));
    }

    #[tokio::test]
    async fn what_a_backend_lets_go_of_is_answered() {
        let (channel, mut receiver) = opened(Delivery::Once);
        channel.respond(Ok(Response::default()), false);
        channel.release();
        drop(channel);
        assert!(matches!(next(&mut receiver).await, Some(Event::Response { last: true, .. })));
        let (channel, mut receiver) = opened(Delivery::Many);
        drop(channel);
        assert!(matches!(next(&mut receiver).await, Some(Event::Failed(_))));
    }
}
