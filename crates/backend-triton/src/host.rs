//! The contract of this server's backends, kept by Triton's.

mod backend;
mod config;
mod instance;
mod left_alone;
mod loaded;
mod model;
mod pace;
mod preferred;
mod python;
mod settings;
mod strategy;
mod terminated;
mod threads;
mod told;
mod watchdog;

pub use backend::TritonBackends;
pub use settings::HostSettings;

pub(crate) use config::merged;
pub(crate) use left_alone::left_alone;
