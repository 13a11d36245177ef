//! The contract between the server and what runs models.
//!
//! Three levels, all synchronous: a [`Backend`] is there once a process, a [`Model`] once a loaded version, a
//! [`ModelInstance`] once an instance thread, which makes it, owns it and drops it. A backend depends on this crate and
//! on nothing above it: it never sees a scheduler, a protocol or a socket.
//!
//! Most backends leave gathering and scattering to the kit in `batching`. One whose responses are many a request, or whose
//! outputs are its inputs, implements [`ModelInstance`] itself.

#![warn(missing_docs)]

mod batch;
mod batch_strategy;
mod contract;
mod delivery;
mod error;
mod in_process;
mod life;
mod once;
mod parameters;
mod receiver;
mod registry;
mod request;
mod response;
mod sender;
mod uses;
mod wanted_outputs;

pub use hippocamp_interface::{BackendFacts, GpuSupport, ModelFormat, WithoutGpu};

pub use hippocamp_events::{
    EndedRequests, ExecutionTimes, FailureReason, GpuNumber, ModelEvent, ModelId, ObservedTensor, Observer,
    Observers, Outcome, ParentRequest, RegisteredObservers, RequestContext, RequestEvent, RequestObserver,
    ResponseOutcome, ResponseTimes, TensorPlace, TraceContext, TraceParent, both as observe_both,
};
pub use hippocamp_wake::{DeferredWake, WakeInstance, wake_together};

pub use batch::{Batch, Finish, LateBatch, answer, answer_as, count_execution};
pub use batch_strategy::{BatchStrategy, GrowingBatch};
pub use contract::{
    Backend, Device, InstanceSpec, LossCalls, Model, ModelInstance, ModelSource, MovableInstance, NewInstance,
};
pub use delivery::{Delivery, Outlet, ResponseSink};
pub use error::{Code, Error, Result};
pub use in_process::{
    AboutServer, InProcessEvent, InProcessOverrides, InProcessRequest, InProcessResponse, InProcessServer,
    InProcessSink, InProcessTensor, IndexedModel, ServedModel, ServerHandle,
};
pub use parameters::{ParameterValue, Parameters};
pub use receiver::{ResponseReceiver, channel};
pub use registry::{BackendSource, Backends, ModelDirectories};
pub use request::{CorrelationId, InputTensor, Request, Sequence};
pub use response::{Event, OutputTensor, Response};
pub use sender::ResponseSender;
pub use uses::{Use, Uses};
pub use wanted_outputs::WantedOutputs;
