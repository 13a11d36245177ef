//! What lies in the model repositories, and what should be done about it.
//!
//! [`scan`] looks at the folders, [`plan`] compares what was with what is, and [`select_versions`] applies a version
//! policy. [`Dependencies`] says in which order ensembles and their models have to be loaded. Only the scan touches the
//! disk, and nothing here loads a model.

mod dependencies;
mod model_folder;
mod model_name;
mod plan;
mod scan;
mod version_policy;

pub use dependencies::Dependencies;
pub use model_folder::{Fingerprint, ModelFolder};
pub use model_name::{NameFault, check_name};
pub use plan::{Action, Wanted, plan};
pub use scan::{Scan, ScanFault, find, scan};
pub use version_policy::select_versions;
