//! From a model's folder to what can serve.
//!
//! [`steps`] is the one list of what is done on the way. A load takes the steps until the first fault; a check takes all
//! of them and tells every fault. Nothing here knows which models serve.

pub mod agents;
pub mod context;
pub mod faults;
mod findings;
pub mod hint;
mod host_policy;
pub mod initial_state;
pub mod instances;
pub mod labels;
pub mod model_file;
mod preparation;
mod prepared;
mod report;
pub mod steps;
pub mod supported;
mod versions;
pub mod warmup;
mod written;

pub use context::{Context, LoadSettings};
pub use findings::{Finding, ModelCheck, Severity, check_model};
pub use host_policy::HostPolicy;
pub use prepared::{Prepared, Required, prepare, require};
