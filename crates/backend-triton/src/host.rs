//! The contract of this server's backends, kept by Triton's.

mod backend;
mod config;
mod instance;
mod loaded;
mod model;
mod python;
mod settings;
mod strategy;

pub use backend::TritonBackends;
pub use settings::HostSettings;

pub(crate) use config::merged;
