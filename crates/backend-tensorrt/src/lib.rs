//! Executes TensorRT plans.
//!
//! A plan's engine is read once a device and shared by the instances there. An instance has an execution context for each
//! optimisation profile that its config gives it, and a stream of its own; it stays on the thread that made it. TensorRT's library is opened when
//! the first plan is loaded: this crate is built without it.

mod backend;
mod bound;
mod data_type;
mod engines;
mod graphs;
mod groups;
mod instance;
mod late_shapes;
mod libraries;
mod log;
mod model;
mod output_buffers;
mod plan;
mod plan_file;
mod port;
mod profiles;
mod refusal;
mod run;
mod settings;
mod signature;

pub use backend::TensorRtBackend;
pub use settings::Settings;
