//! A request as a protocol decoded it, before any check.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hippocamp_backend::{Parameters, RequestObserver, Sequence};
use hippocamp_tensor::{DataType, Place, Shape, TensorData};
use smallvec::SmallVec;

/// A request as a protocol decoded it. Names are borrowed from the message.
#[derive(Debug)]
pub struct InferRequest<'a> {
    /// The request id; empty if the client gave none.
    pub id: &'a str,
    /// The inputs in the client's order.
    pub inputs: SmallVec<[InferInput<'a>; 4]>,
    /// The names of the requested outputs; an empty list means all.
    pub outputs: SmallVec<[&'a str; 4]>,
    /// Where all of them are wanted: host memory, unless the caller reads them on a device.
    pub output_place: Place,
    /// The outputs that are wanted elsewhere, by their names. Filled in by the one call, for clients' shared memory.
    pub placed_outputs: SmallVec<[(Box<str>, Place); 1]>,
    /// The parameters that the server does not interpret. They are passed to the model.
    pub parameters: Parameters,
    /// The priority in the queue. 1 is the highest; 0 stands for the model's default.
    pub priority: u64,
    /// The longest time that the request may wait in the queue.
    pub timeout: Option<Duration>,
    /// The sequence that the request belongs to, if any.
    pub sequence: Option<Sequence>,
    /// The time of arrival, from which the request's duration is measured.
    pub arrived: Instant,
    /// What is known of the call that it came by.
    pub origin: Origin,
}

/// What is known of the call that a request came by, beside its content.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The time at which the client stops waiting, if the protocol transmits it. It is only passed to observers; the
    /// protocol itself drops the call then.
    pub deadline: Option<Instant>,
    /// The observer of this single request, if it is traced or logged, or belongs to a trace of its client.
    pub observer: Option<Arc<dyn RequestObserver>>,
}

impl<'a> InferRequest<'a> {
    /// A request for all outputs with these inputs and no further options, which arrived now.
    pub fn new(inputs: SmallVec<[InferInput<'a>; 4]>) -> InferRequest<'a> {
        InferRequest::arrived_at(Instant::now(), inputs)
    }

    /// As [`InferRequest::new`], with the given time of arrival.
    pub fn arrived_at(arrived: Instant, inputs: SmallVec<[InferInput<'a>; 4]>) -> InferRequest<'a> {
        InferRequest {
            id: "",
            inputs,
            outputs: SmallVec::new(),
            output_place: Place::Host,
            placed_outputs: SmallVec::new(),
            parameters: Parameters::default(),
            priority: 0,
            timeout: None,
            sequence: None,
            arrived,
            origin: Origin::default(),
        }
    }
}

/// An input as a protocol decoded it.
#[derive(Debug)]
pub struct InferInput<'a> {
    /// The name that the client gave.
    pub name: &'a str,
    /// The data type; `None` if the client named an unknown one.
    pub data_type: Option<DataType>,
    /// The shape, with the batch dimension if the model has one.
    pub shape: Shape,
    /// The elements in their wire form, not checked yet.
    pub data: TensorData,
}
