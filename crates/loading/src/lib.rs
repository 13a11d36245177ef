//! Loads a model: from its folder to instances that can serve, and checks it without loading it.
//!
//! [`steps`] is the one list of what is done before a model file is opened. A load runs it until the first fault, a check runs
//! all of it and reports every fault. This crate does not know which models are served.

pub mod agents;
pub mod context;
mod ensemble_steps;
mod failure;
pub mod faults;
mod findings;
mod gpu_limit;
pub mod hint;
mod host_policy;
pub mod initial_state;
pub mod instances;
pub mod labels;
mod latencies;
mod load;
pub mod model_file;
mod preparation;
mod prepared;
mod report;
mod reuse;
mod series;
mod started;
pub mod steps;
pub mod supported;
mod versions;
pub mod warmup;
mod written;

pub use context::{Context, LoadSettings};
pub use ensemble_steps::steps_of;
pub use failure::{LoadFailure, all_versions, not_found};
pub use findings::{Finding, ModelCheck, Severity, check_model};
pub use host_policy::HostPolicy;
pub use latencies::{LatencySettings, warn_of_families};
pub use load::Loader;
pub use prepared::{Prepared, Required, prepare, require};
pub use reuse::{Opened, Reusable};
pub use series::{series, series_by_gpu};
pub use started::{Started, Stopped};
