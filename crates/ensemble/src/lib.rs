//! Ensembles: the graph of steps in a config, and the run of a request through it.
//!
//! An ensemble has no thread and no queue of its own. The first steps are queued by the thread that enqueues the
//! request; every further step is queued by the instance thread whose response made it ready, within
//! [`ResponseSink`](hippocamp_backend::ResponseSink). Tensors are passed from step to step by reference.
//!
//! A step may be fanned out: it runs once for each row of a tensor, and what the rows give is gathered. See `fan_out`.
//!
//! An ensemble is built when it is loaded, and again when a model of one of its steps is loaded: [`Ensemble::build`]
//! keeps the versions that it was built with.

mod boundary;
mod branch;
mod build;
mod consistency;
mod ensemble;
mod fan_out;
mod graph;
mod limit;
mod meta;
mod plan;
mod run;
mod shared_sender;
mod sink;
mod step_model;
#[cfg(test)]
mod tests;
mod times;

pub use ensemble::{Ended, Ensemble};
pub use step_model::StepModel;
