//! The lifecycle of models: loading, installing, replacing, unloading and draining.
//!
//! [`Lifecycle`] keeps a record of every model that was loaded or failed to load (`models.rs`). A load is a [`Job`]: the
//! model is loaded while the old versions still serve (`make.rs`), then installed in one step (`install.rs`); the replaced
//! versions are retired (`retire.rs`).

mod activity;
mod changes;
mod composition;
mod dependents;
mod draining;
mod ensemble_build;
mod ensemble_source;
mod entry;
mod files;
mod install;
mod job;
mod jobs;
mod lifecycle;
mod load;
mod make;
mod mark;
mod models;
mod overrides;
mod ready;
mod replace;
mod retire;
mod settings;
mod start_fault;
mod state;
mod together;
mod transact;
mod turn;
mod unload;

pub use activity::{Activity, ServingModel};
pub use composition::{composing_of, composing_on_disk};
pub use draining::{DrainingVersion, DrainingVersions};
pub use entry::{LoadCounts, Retired};
pub use files::find_files;
pub use job::Job;
pub use jobs::Jobs;
pub use lifecycle::{EndObserver, Lifecycle, VersionStates};
pub use overrides::{LoadOverrides, ModelFiles};
pub use settings::{LifecycleSettings, Repositories};
pub use start_fault::StartFault;
pub use state::{State, UNLOADED, VersionState};
