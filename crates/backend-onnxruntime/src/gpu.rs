//! Instances on a GPU.
//!
//! The CUDA provider of ONNX Runtime prepares a session's convolutions for one shape of the inputs. A run with another shape
//! prepares them anew, for seconds, also for a shape that was there before. So an instance executes batches in a few sizes
//! only, and has a *plan* for each before it is ready: a CUDA graph, captured from a run that was prepared for that shape, over
//! buffers that stay where they are.
//!
//! What was prepared for the one shape is gone with it, compiled kernels among it. So a model that has convolutions gets a session
//! for each shape (`graphs.rs`).
//!
//! A graph belongs to the thread that captured it, so an instance is made, used and dropped on one thread. A model that cannot
//! be captured runs without graphs (`bound_runs.rs`): one that has convolutions in a session for each size, and any other in one
//! session, which needs no preparation.

mod bound_runs;
mod counters;
mod errors;
mod graphs;
mod instance;
mod mode;
mod plan_cache;
mod ports;
mod preparation;
mod session_maker;
mod shapes;
#[cfg(test)]
mod tests;

pub(crate) use counters::PlanCounters;
pub use counters::write_metrics;
pub(crate) use errors::of_provider;
pub(crate) use instance::GpuInstance;
pub(crate) use mode::{Capturing, needs_preparation};
pub(crate) use preparation::{Prepared, prepare};
pub(crate) use session_maker::Content;
pub(crate) use shapes::may_miss;
