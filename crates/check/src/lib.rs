//! Validates model repositories without serving them, for people and for CI, and writes configs for model files.
//!
//! [`check()`] validates every config and reports all faults, each with its place in the text and a likely fix. Then it
//! tries a start, so that a repository passes exactly if the server would start with it. [`to_text`] formats a report
//! for people, [`to_json`] for programs. [`fix()`] writes what cures it, after it was tried. [`config_text()`] writes the
//! config of a model file that has none. A [`Draft`] is a config that is tried before it is written.

mod check;
mod config_text;
mod ensemble;
mod fix;
mod report;
mod show;
mod start;

pub use check::{CheckOptions, check};
pub use config_text::config_text;
pub use fix::{Draft, Fix, Outcome, fix};
pub use report::{CheckedModel, MissingEngine, Report};
pub use show::{fixes_to_text, to_json, to_json_with_fixes, to_text};
