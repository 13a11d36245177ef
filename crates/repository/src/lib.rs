//! What lies in the model repositories, and what should be done about it.
//!
//! [`scan`] looks at the folders, [`plan`] compares what was with what is, and [`select_versions`] applies a version
//! policy. [`Dependencies`] says in which order ensembles and their models have to be loaded. Only the scan touches the
//! disk, and nothing here loads a model. A repository that is not on this disk is a [`RemoteRepository`], which lists its
//! models and fetches one at a time into a folder that does not change.

mod advice;
mod dependencies;
mod links;
mod location;
mod model_folder;
mod model_name;
mod namespace;
mod plan;
mod scan;
mod survey;
mod transaction;
mod version_policy;

pub use advice::{Advice, advice};
pub use dependencies::Dependencies;
pub use location::{Patience, RemoteFault, RemoteModel, RemoteRepository, RepositoryLocation, Snapshot};
pub use model_folder::{Fingerprint, ModelFolder};
pub use model_name::{NameFault, check_name};
pub use namespace::{identifiers, namespaces, qualified_name, resolve_step, split_qualified};
pub use plan::{Action, Wanted, plan};
pub use scan::{
    Found, FoundConfig, Listing, Scan, ScanFault, ScanOptions, config_fingerprint, find, find_config,
    find_step, list, scan,
};
pub use survey::Survey;
pub use transaction::{Outcome, Transaction, transactions};
pub use version_policy::select_versions;
