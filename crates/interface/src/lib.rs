//! The types that describe a model: its [`ModelConfig`], and the [`Interface`] that is computed from it for requests.
//!
//! The contract of backends uses these types, so this crate does not parse or write the text of a config. That is the job of
//! `model-config`, which re-exports everything of this crate.

mod backend_facts;
mod batch_tensors;
mod data_type;
mod edits;
mod fan_out;
mod fault;
mod interface;
mod lookup;
mod padding;
mod sequence_tensors;

use hippocamp_proto::inference::model_config::SchedulingChoice;

pub use hippocamp_proto::inference::model_ensembling::Step;
pub use hippocamp_proto::inference::{ModelConfig, ModelEnsembling};

pub use backend_facts::{BackendFacts, GpuSupport, ModelFormat, WithoutGpu};
pub use batch_tensors::{BatchInput, BatchInputKind, BatchOutput};
pub use data_type::{config_name, config_value, data_type};
pub use edits::differ_in_scheduling_only;
pub use fan_out::{FanOut, fan_outs};
pub use fault::{Fault, FaultKind, Faults, FileUse, Position};
pub use interface::{Interface, TensorSpec};
pub use lookup::TensorLookup;
pub use padding::{PaddedInput, PaddedOutput, Padding, made_inputs};
pub use sequence_tensors::{control_data_type, sequence_batching};

/// The platform of an ensemble.
pub const ENSEMBLE: &str = "ensemble";

/// Whether the config describes an ensemble: a graph of other models instead of a model.
pub fn is_ensemble(config: &ModelConfig) -> bool {
    matches!(config.scheduling_choice, Some(SchedulingChoice::EnsembleScheduling(_)))
        || config.platform == ENSEMBLE
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
