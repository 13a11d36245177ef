//! A request as a backend sees it: checked, its inputs in the model's order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_tensor::{Shape, TensorData};
use smallvec::SmallVec;

use crate::life::Stage;
use crate::{
    Error, ExecutionTimes, FailureReason, Parameters, RequestContext, Response, ResponseSender, WantedOutputs,
};

/// One input of a request. Its name and type are those of the model's input at the same place.
#[derive(Clone, Debug)]
pub struct InputTensor {
    /// The shape as the client sent it, with the batch dimension if the model has one.
    pub shape: Shape,
    /// The elements, exactly as many bytes as shape and type give.
    pub data: TensorData,
}

/// What ties the requests of a sequence together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CorrelationId {
    /// A number, which is not 0.
    Number(u64),
    /// A text, which is not empty.
    Text(Arc<str>),
}

/// A request's place in a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Which sequence it is.
    pub correlation_id: CorrelationId,
    /// It is the first of its sequence.
    pub start: bool,
    /// It is the last of its sequence.
    pub end: bool,
}

/// A request to a model. Its owner has to answer it: if it is dropped without a response, the client gets an internal
/// error.
#[derive(Debug)]
pub struct Request {
    /// In the order of the model's inputs; `None` where an optional input was not given.
    pub inputs: SmallVec<[Option<InputTensor>; 4]>,
    /// Which outputs are asked for, and where they are wanted.
    pub outputs: WantedOutputs,
    /// The client's parameters, without those that the server itself reads.
    pub parameters: Parameters,
    /// The first dimension of every input; 1 for a model without a batch dimension.
    pub batch_size: usize,
    /// 0 means the model's default level.
    pub priority: u64,
    /// How long the client is willing to let it wait in the queue.
    pub timeout: Option<Duration>,
    /// `None` for a request that belongs to no sequence.
    pub sequence: Option<Sequence>,
    /// When it began to wait for an instance.
    pub queued: Instant,
    /// Sends the response to the client.
    pub response: ResponseSender,
}

impl Request {
    /// A request for all outputs, with tensors only. Its queue time begins now.
    pub fn new(
        inputs: SmallVec<[Option<InputTensor>; 4]>,
        batch_size: usize,
        response: ResponseSender,
    ) -> Request {
        Request {
            inputs,
            outputs: WantedOutputs::ALL,
            parameters: Parameters::default(),
            batch_size,
            priority: 0,
            timeout: None,
            sequence: None,
            queued: Instant::now(),
            response,
        }
    }

    /// The same request, whose answers `response` sends. Tensors are shared, not copied.
    #[must_use]
    pub fn copy_for(&self, response: ResponseSender) -> Request {
        Request {
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            parameters: self.parameters.clone(),
            batch_size: self.batch_size,
            priority: self.priority,
            timeout: self.timeout,
            sequence: self.sequence.clone(),
            queued: self.queued,
            response,
        }
    }

    /// The context of the request.
    pub fn context(&self) -> &RequestContext {
        self.response.context()
    }

    /// The context of the request, to be completed before it is queued.
    pub fn context_mut(&mut self) -> &mut RequestContext {
        self.response.context_mut()
    }

    /// The client's own id, may be empty.
    pub fn id(&self) -> &Arc<str> {
        &self.context().id
    }

    /// The client's own id as it is shown in error messages.
    pub fn shown_id(&self) -> &str {
        self.context().shown_id()
    }

    /// Reports that it waits for an instance. Called before it is queued: then it may be executed at any moment.
    #[inline]
    pub fn report_queued(&mut self) {
        self.response.reach(Stage::Queued, self.queued);
    }

    /// Reports that an instance took it for execution.
    #[inline]
    pub fn report_started(&mut self, at: Instant) {
        self.response.reach(Stage::Started, at);
    }

    /// Notes that it waits for an instance once more, since `at`.
    pub fn queue_again(&mut self, at: Instant) {
        self.queued = at;
        self.response.queued_again(at);
    }

    /// Whether the client cancelled the request. Check this before any work is done for it.
    pub fn is_cancelled(&self) -> bool {
        self.response.is_cancelled()
    }

    /// Whether it only keeps a place in a batch, for a sequence that has no request now. Its inputs are zeros, its READY
    /// control is false, and whatever answers it goes nowhere.
    pub fn is_null(&self) -> bool {
        self.response.is_to_nobody()
    }

    /// Asks for it to be executed once more, in a later batch: a step of an iterative sequence. The backend leaves the
    /// request in its batch; a model that is not configured with `iterative_sequence` fails it.
    pub fn reschedule(&mut self) {
        self.response.set_reschedule(true);
    }

    /// Returns and clears whether the backend asked for the request to be [rescheduled](Request::reschedule).
    pub fn take_reschedule(&mut self) -> bool {
        self.response.set_reschedule(false)
    }

    /// Answers with the only or last response.
    pub fn succeed(self, response: Response, times: &ExecutionTimes) {
        let queued = self.queued;
        self.without_inputs().succeed(response, queued, times);
    }

    /// Answers with the only response of a request that was counted with its batch.
    pub(crate) fn succeed_counted(self, response: Response, times: &ExecutionTimes) {
        self.without_inputs().send_counted(response, times);
    }

    /// Answers with an error.
    pub fn fail(self, error: Error, reason: FailureReason) {
        self.without_inputs().fail(error, reason);
    }

    /// Drops the inputs and returns the sender: once a client has its response, it may unregister the shared memory in
    /// which the inputs are and reuse its name.
    fn without_inputs(self) -> ResponseSender {
        drop(self.inputs);
        self.response
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Delivery, Event, Outlet, ParameterValue, ResponseSink};

    /// A tensor that tells whether it is still there.
    #[derive(Clone)]
    struct Held(Arc<[u8; 4]>);

    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            &*self.0
        }
    }

    /// Whoever waits for the answer; notes who else holds the tensor then.
    #[derive(Debug)]
    struct Waiting(Arc<[u8; 4]>);

    impl ResponseSink for Waiting {
        fn deliver(&mut self, _: Event) {
            assert_eq!(Arc::strong_count(&self.0), 2, "the test's and this one's");
        }

        fn is_cancelled(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_copy_differs_in_its_sender_alone() {
        let sender = |observers| ResponseSender::to_nobody(Delivery::Once, Instant::now(), observers);
        let (first, second) = (Arc::default(), Arc::default());
        let data = TensorData::from(Bytes::from_static(&[1, 2, 3, 4]));
        let input = InputTensor { shape: Shape::from([1, 4]), data };
        let mut parameters = Parameters::default();
        parameters.set("key", ParameterValue::Bool(true));
        let request = Request {
            outputs: WantedOutputs::none_of(2),
            parameters,
            priority: 2,
            timeout: Some(Duration::from_secs(3)),
            sequence: Some(Sequence { correlation_id: CorrelationId::Number(4), start: true, end: false }),
            ..Request::new([None, Some(input)].into_iter().collect(), 5, sender(Arc::clone(&first)))
        };
        let copy = request.copy_for(sender(Arc::clone(&second)));
        assert!(Arc::ptr_eq(copy.response.observers(), &second));
        let shown = |request: &Request| {
            let Request {
                inputs, outputs, parameters, batch_size, priority, timeout, sequence, queued, ..
            } = request;
            format!(
                "{inputs:?} {outputs:?} {parameters:?} {batch_size} {priority} {timeout:?} {sequence:?} {queued:?}"
            )
        };
        assert_eq!(shown(&copy), shown(&request));
    }

    #[test]
    fn inputs_are_gone_when_the_answer_leaves() {
        for fails in [false, true] {
            let content = Arc::new([0; 4]);
            let data = TensorData::from(Bytes::from_owner(Held(Arc::clone(&content))));
            let outlet = Outlet::to_sink(Delivery::Once, Box::new(Waiting(Arc::clone(&content))));
            let now = Instant::now();
            let request = Request::new(
                [Some(InputTensor { shape: Shape::from([1]), data })].into_iter().collect(),
                1,
                ResponseSender::new(outlet, now, Arc::default()),
            );
            if fails {
                request.fail(Error::internal("told to"), FailureReason::Backend);
            } else {
                request.succeed(Response::default(), &ExecutionTimes::now());
            }
        }
    }
}
