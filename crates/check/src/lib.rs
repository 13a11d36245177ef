//! Model repositories validated without being served, for people and for CI; and configs written from model files.
//!
//! [`check`] collects the faults of every config, each with its place in the text and the likely fix. Then it tries a start of the
//! server, so that it accepts a repository if and only if a server would start with it. [`to_text`] writes the result for people,
//! [`to_json`] for programs. [`config_text`] writes a config for a model file that has none.

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
