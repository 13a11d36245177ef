//! Model repositories validated without being served, for people and for CI; and configs written from model files.
//!
//! [`check`] goes through every model as a load would and keeps all that is wrong, with the place in the config's text and
//! the likely fix. [`to_text`] shows that to people, [`to_json`] to programs. [`config_text`] is for a model file
//! without a config.

mod check;
mod config_text;
mod ensemble;
mod hint;
mod nearest;
mod report;
mod show;

pub use check::{CheckOptions, check};
pub use config_text::config_text;
pub use report::{CheckedModel, Report};
pub use show::{to_json, to_text};
