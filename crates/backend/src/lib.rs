//! The contract between the server and what runs models.
//!
//! Three levels, all synchronous: a [`Backend`] is there once a process, a [`Model`] once a loaded version, a
//! [`ModelInstance`] once an instance thread, which makes it, owns it and drops it. A backend depends on this crate and
//! on nothing above it: it never sees a scheduler, a protocol or a socket.
//!
//! Most backends leave gathering and scattering to the kit in `batching`. One whose responses are many a request, or whose
//! outputs are its inputs, implements [`ModelInstance`] itself.

mod batch;
mod batch_waker;
mod contract;
mod deferred_wake;
mod error;
mod latencies;
mod outlet;
mod parameters;
mod registry;
mod request;
mod response;
mod statistics;
mod uses;

pub use hippocamp_interface::{BackendFacts, GpuSupport, ModelFormat};

pub use batch::{Batch, Finish, LateBatch};
pub use batch_waker::wake_together;
pub use contract::{
    Backend, Device, InstanceSpec, Model, ModelInstance, ModelSource, MovableInstance, NewInstance,
};
pub use deferred_wake::{DeferredWake, WakeInstance};
pub use error::{Code, Error, Result};
pub use latencies::{Latency, LatencySummary, WantedLatencies};
pub use outlet::{Outlet, ResponseSink};
pub use parameters::{ParameterValue, Parameters};
pub use registry::{Backends, ModelDirectories};
pub use request::{CorrelationId, InputTensor, Request, Sequence, WantedOutputs};
pub use response::{
    Delivery, Event, ExecutionObserver, FailureReason, OutputTensor, Response, ResponseReceiver,
    ResponseSender, channel,
};
pub use statistics::{
    Counted, Counters, ExecutionTimes, ModelStatistics, Phases, ResponseCounters, ResponseTimes,
    count_execution,
};
pub use uses::{Use, Uses};
