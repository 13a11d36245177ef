//! What happens to a request, and who is told.
//!
//! Every request carries a [`RequestContext`]. The events of its life are reported, in their order, to the [`Observers`] of its
//! model version: the statistics, and whoever else was registered. Nothing here knows tensors, schedulers or protocols.

#![warn(missing_docs)]

mod context;
mod event;
mod observer;
mod registered;
mod times;
mod trace_parent;

pub use context::{ParentRequest, RequestContext};
pub use event::{FailureReason, ModelEvent, Outcome, RequestEvent, ResponseOutcome};
pub use observer::{ModelId, Observer, Observers};
pub use registered::RegisteredObservers;
pub use times::{ExecutionTimes, ResponseTimes};
pub use trace_parent::TraceParent;
