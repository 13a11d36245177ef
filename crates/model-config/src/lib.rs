//! `config.pbtxt` text to a validated, defaulted, completed [`ModelConfig`].
//!
//! Pure: no IO, no threads, nothing global but the schema. The configuration is the message of the protocol itself, so
//! every field of the schema is kept. Whoever loads a model goes through these in order:
//!
//! 1. [`parse`] a text, or [`from_json`] an override that came with a load request;
//! 2. [`infer_backend`] from the files that are there, then [`apply_defaults`];
//! 3. [`validate_incomplete`]: everything that needs no model file, so that bad configs are refused before loading;
//! 4. [`complete()`] from the signature of the model file, and [`apply_defaults`] once more;
//! 5. [`validate()`], [`validate_placement`] and [`check()`] against the signature;
//! 6. [`Interface::new`], which is what the request path reads.
//!
//! All faults of a step are reported at once, each with line and column where the text is known.

mod check;
mod complete;
mod cpu_fallback;
mod default_facts;
mod defaults;
mod engine_place;
mod json;
mod platform;
mod schema;
mod signature;
mod spans;
mod text;
mod triton_backends;
mod validate;

pub use hippocamp_interface::{
    BackendFacts, BatchInput, BatchInputKind, BatchOutput, FanOut, Fault, FaultKind, Faults, FileUse,
    GpuSupport, Interface, ModelConfig, ModelEnsembling, ModelFormat, PaddedInput, PaddedOutput, Padding,
    Step, TensorLookup, TensorSpec, WithoutGpu, config_value, control_data_type, data_type,
    differ_in_scheduling_only, ensemble_scheduling, is_ensemble, parameter, sequence_batching,
};

/// The parameter of a model that names a library which says what requests are executed together.
pub const BATCH_STRATEGY: &str = "TRITON_BATCH_STRATEGY_PATH";

pub use check::check;
pub use complete::{CompleteOptions, complete};
pub use cpu_fallback::{Moved, fall_back_to_cpu};
pub use default_facts::{DefaultFacts, Gpu};
pub use defaults::apply_defaults;
pub use engine_place::engine_place;
pub use json::{from_json, to_json};
pub use platform::infer_backend;
pub use schema::{field_names, value_names};
pub use signature::{Signature, SignatureTensor, server_inputs, state_outputs};
pub use spans::Spans;
pub use text::{Edit, Parsed, edited, parse, to_text, written_values};
pub use validate::{validate, validate_incomplete, validate_placement};
