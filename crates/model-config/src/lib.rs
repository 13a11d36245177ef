//! `config.pbtxt` text to a validated, defaulted, completed [`ModelConfig`].
//!
//! Pure: no IO, no threads, nothing global but the schema. The configuration is the message of the protocol itself, so
//! every field of the schema is kept. Whoever loads a model goes through these in order:
//!
//! 1. [`parse`] a text, or [`from_json`] an override that came with a load request;
//! 2. [`infer_backend`] from the files that are there, then [`apply_defaults`];
//! 3. [`validate_incomplete`]: everything that needs no model file, so that bad configs are refused before loading;
//! 4. [`complete`] from the signature of the model file, and [`apply_defaults`] once more;
//! 5. [`validate`], [`validate_placement`] and [`check`] against the signature;
//! 6. [`Interface::new`], which is what the request path reads.
//!
//! All faults of a step are reported at once, each with line and column where the text is known.

mod batch_tensors;
mod check;
mod complete;
mod cpu_fallback;
mod data_type;
mod defaults;
mod edits;
mod fault;
mod interface;
mod json;
mod lookup;
mod padding;
mod platform;
mod schema;
mod sequence_tensors;
mod signature;
mod spans;
mod text;
mod validate;

use hippocamp_proto::inference::model_config::SchedulingChoice;

pub use hippocamp_proto::inference::model_ensembling::Step;
pub use hippocamp_proto::inference::{ModelConfig, ModelEnsembling};

pub use batch_tensors::{BatchInput, BatchInputKind, BatchOutput};
pub use check::check;
pub use complete::{CompleteOptions, complete};
pub use cpu_fallback::fall_back_to_cpu;
pub use data_type::{config_value, data_type};
pub use defaults::{DefaultFacts, apply_defaults};
pub use edits::differ_in_scheduling_only;
pub use fault::{Fault, FaultKind, Faults, FileUse};
pub use interface::{Interface, TensorSpec};
pub use json::{from_json, to_json};
pub use lookup::TensorLookup;
pub use padding::{PaddedInput, PaddedOutput, Padding};
pub use platform::infer_backend;
pub use schema::{field_names, value_names};
pub use sequence_tensors::{control_data_type, sequence_batching};
pub use signature::{Signature, SignatureTensor};
pub use spans::Spans;
pub use text::{Parsed, parse, to_text};
pub use validate::{validate, validate_incomplete, validate_placement};

/// Whether the config describes an ensemble: a graph of other models instead of a model.
pub fn is_ensemble(config: &ModelConfig) -> bool {
    matches!(config.scheduling_choice, Some(SchedulingChoice::EnsembleScheduling(_)))
        || config.platform == platform::ENSEMBLE
}

/// The steps of an ensemble.
pub fn ensemble_scheduling(config: &ModelConfig) -> Option<&ModelEnsembling> {
    match &config.scheduling_choice {
        Some(SchedulingChoice::EnsembleScheduling(ensemble)) => Some(ensemble),
        _ => None,
    }
}

/// The value of a parameter of the backend, if the config has it.
pub fn parameter<'a>(config: &'a ModelConfig, key: &str) -> Option<&'a str> {
    config.parameters.get(key).map(|parameter| parameter.string_value.as_str())
}
