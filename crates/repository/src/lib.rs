//! Reads model repositories, and plans which models have to be loaded and unloaded.
//!
//! [`scan()`] reads the folders, [`plan()`] compares the loaded models with them, and [`select_versions`] applies a version
//! policy. [`Dependencies`] gives the order in which ensembles and their models are loaded. Only scans read the disk, and
//! nothing here loads a model. A repository in a remote store is a [`RemoteRepository`], which lists its models and fetches
//! one at a time into a folder that does not change; what is made for a while only is in a [`TemporaryFolder`].

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
mod temporary;
mod transaction;
mod version_policy;

pub use advice::{Advice, advice};
pub use dependencies::Dependencies;
pub use location::{RemoteFault, RemoteModel, RemoteRepository, RemoteTimeout, RepositoryLocation, Snapshot};
pub use model_folder::{Fingerprint, ModelFolder};
pub use model_name::{NameFault, check_name};
pub use namespace::{identifiers, namespaces, qualified_name, resolve_step, split_qualified};
pub use plan::{Action, Wanted, plan};
pub use scan::{
    Found, FoundConfig, Listing, Scan, ScanFault, ScanOptions, config_fingerprint, find, find_config,
    find_step, list, scan,
};
pub use survey::Survey;
pub use temporary::TemporaryFolder;
pub use transaction::{Outcome, Transaction, transactions};
pub use version_policy::select_versions;
