//! The contract between the server and what runs models.
//!
//! Three levels, all synchronous: a [`Backend`] is there once a process, a [`Model`] once a loaded version, a
//! [`ModelInstance`] once an instance thread, which makes it, owns it and drops it. A backend depends on this crate and
//! on nothing above it: it never sees a scheduler, a protocol or a socket.
//!
//! Most backends implement only [`Compute`], "run these input tensors into these output tensors", and let [`Batched`]
//! gather a batch's inputs, take the times and scatter the outputs. One whose responses are many a request, or whose
//! outputs are its inputs, implements [`ModelInstance`] itself.

mod batch_facts;
mod batched;
mod bell;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod error;
mod fitting;
mod gather;
mod latencies;
mod outlet;
mod padded;
mod parameters;
mod request;
mod response;
mod scatter;
mod statistics;
mod together;

pub use batched::{Batched, Compute};
pub use bell::{Bell, Ring};
pub use contract::{
    Backend, Batch, Device, InstanceSpec, Model, ModelInstance, ModelSource, MovableInstance,
};
pub use error::{Code, Error, Result};
pub use fitting::Fitting;
pub use gather::{Gather, InputView, Inputs, model_shape};
pub use latencies::{Latency, LatencySummary, WantedLatencies};
pub use outlet::{Outlet, ResponseSink};
pub use parameters::{ParameterValue, Parameters};
pub use request::{CorrelationId, InputTensor, Request, Sequence, WantedOutputs};
pub use response::{
    Delivery, Event, ExecutionObserver, FailureReason, OutputTensor, Response, ResponseReceiver,
    ResponseSender, channel,
};
pub use scatter::{Outputs, client_shape};
pub use statistics::{
    Counted, Counters, ExecutionTimes, ModelStatistics, Phases, ResponseCounters, ResponseTimes,
    count_execution,
};
