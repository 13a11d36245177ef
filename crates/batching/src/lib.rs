//! The kit for backends that run whole batches: which requests fit together, joining their inputs, cutting up the outputs.
//!
//! Most backends implement only [`Compute`], "run these input tensors into these output tensors", and let [`Batched`]
//! gather a batch's inputs, take the times and scatter the outputs. The scheduler asks [`Fitting`] what may be in one batch.
//! With the feature `conformance` there is also the suite of checks that every backend passes, with `testing` what else their tests share.

mod batch_facts;
mod batched;
#[cfg(feature = "conformance")]
pub mod conformance;
mod fitting;
mod gather;
mod host_copy;
mod padded;
mod plan_sizes;
mod scatter;
#[cfg(feature = "testing")]
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails where it cannot go on")]
pub mod testing;

pub use batched::{Batched, Compute, Started};
pub use fitting::Fitting;
pub use gather::{Gather, InputMemory, InputView, Inputs, model_shape};
pub use plan_sizes::{PLAN_BATCH_SIZES, PlanSizes};
pub use scatter::{Outputs, WantedPlaces, client_shape};
