//! Ensembles: the graph of steps that a config describes, and the run of one request through it.
//!
//! An ensemble has no thread and no queue of its own. The first steps are queued by whoever brings the request; every
//! further step is queued by the instance thread whose response made it ready, from within the response's own way out
//! ([`ResponseSink`](hippocamp_backend::ResponseSink)). Tensors pass from step to step by reference.
//!
//! Built when an ensemble is loaded, and again when a model of one of its steps is: [`Ensemble::build`] holds on to
//! exactly the versions that it was built with.

mod boundary;
mod branch;
mod build;
mod consistency;
mod ensemble;
mod graph;
mod limit;
mod meta;
mod plan;
mod run;
mod sink;
mod step_model;
#[cfg(test)]
mod tests;
mod times;
mod way_out;

pub use ensemble::{Ended, Ensemble};
pub use step_model::StepModel;
