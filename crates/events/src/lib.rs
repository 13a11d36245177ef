//! The events of a request's life, and the observers to which they are reported.
//!
//! Every request carries a [`RequestContext`]. Its events are reported in order to the [`Observers`] of its model
//! version: the statistics and any registered observers; and to the [`RequestObserver`] of the request, if it has one. This
//! crate knows no tensors, schedulers or protocols.

#![warn(missing_docs)]

mod context;
mod event;
mod observer;
mod registered;
mod request_observer;
mod times;
mod trace_context;
mod trace_parent;

pub use context::{GpuNumber, ParentRequest, RequestContext};
pub use event::{FailureReason, ModelEvent, Outcome, RequestEvent, ResponseOutcome};
pub use observer::{EndedRequests, ModelId, Observer, Observers};
pub use registered::RegisteredObservers;
pub use request_observer::{ObservedTensor, RequestObserver, TensorPlace, both};
pub use times::{ExecutionTimes, ResponseTimes};
pub use trace_context::TraceContext;
pub use trace_parent::{NoTraceParent, TraceParent};
