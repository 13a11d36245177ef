//! Model repositories validated without being served, for people and for CI; and configs written from model files.
//!
//! [`check`] goes through every config and keeps all that is wrong, with the place in the text and the likely fix; then it
//! takes the steps of a start, so that it passes what would start and nothing else. [`to_text`] shows that to people, [`to_json`] to programs. [`config_text`] is for a model file
//! without a config.

mod check;
mod config_text;
mod ensemble;
mod report;
mod show;
mod start;

pub use check::{CheckOptions, check};
pub use config_text::config_text;
pub use report::{CheckedModel, MissingEngine, Report};
pub use show::{to_json, to_text};
