//! A request as a protocol decoded it: nothing of it is checked yet.

use std::time::{Duration, Instant};

use hippocamp_backend::{Parameters, Sequence, TraceParent};
use hippocamp_tensor::{DataType, Shape, TensorData};
use smallvec::SmallVec;

/// A request as a protocol decoded it. Names are borrowed from the message.
#[derive(Debug)]
pub struct InferRequest<'a> {
    /// Empty if the client gave none.
    pub id: &'a str,
    /// In the client's order.
    pub inputs: SmallVec<[InferInput<'a>; 4]>,
    /// The outputs that were asked for; none means all.
    pub outputs: SmallVec<[&'a str; 4]>,
    /// Those that mean nothing to the server; the model sees them.
    pub parameters: Parameters,
    /// 1 is the highest; 0 stands for the model's default.
    pub priority: u64,
    /// How long it may wait in the queue.
    pub timeout: Option<Duration>,
    /// The sequence that it belongs to, if any.
    pub sequence: Option<Sequence>,
    /// When the request came in; its duration counts from here.
    pub arrived: Instant,
    /// When its client stops waiting, if the protocol says so. Told to observers; the protocol drops the call then.
    pub deadline: Option<Instant>,
    /// The span of the client's trace that it belongs to, if the protocol says so.
    pub trace_parent: Option<Box<TraceParent>>,
}

impl<'a> InferRequest<'a> {
    /// A request for all outputs that says nothing but its inputs. It came in now.
    pub fn new(inputs: SmallVec<[InferInput<'a>; 4]>) -> InferRequest<'a> {
        InferRequest::arrived_at(Instant::now(), inputs)
    }

    /// The same for one that came in before.
    pub fn arrived_at(arrived: Instant, inputs: SmallVec<[InferInput<'a>; 4]>) -> InferRequest<'a> {
        InferRequest {
            id: "",
            inputs,
            outputs: SmallVec::new(),
            parameters: Parameters::default(),
            priority: 0,
            timeout: None,
            sequence: None,
            arrived,
            deadline: None,
            trace_parent: None,
        }
    }
}

/// An input as a protocol decoded it.
#[derive(Debug)]
pub struct InferInput<'a> {
    /// The name that the client gave.
    pub name: &'a str,
    /// `None` if the client named no type that there is.
    pub data_type: Option<DataType>,
    /// With the batch dimension, if the model has one.
    pub shape: Shape,
    /// The elements, little endian, not looked at yet.
    pub data: TensorData,
}
