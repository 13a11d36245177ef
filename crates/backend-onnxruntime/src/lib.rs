//! ONNX models, executed by ONNX Runtime.
//!
//! The library is a shared one that is opened when the first model is loaded; this crate is built without it. The instances
//! of a model run one session where they can, and have one each where they cannot. Inputs are given to the engine where they lie, and large
//! outputs are taken over from it without a copy.
//!
//! Everything unsafe is in `ffi`. A program that this crate is part of starts with ONNX Runtime's telemetry switched off, by
//! a variable of the process (`ffi/telemetry.rs`); nothing else here reads or writes the environment. Nothing the engine or a
//! model file says can end the process: it becomes an error of the model it belongs to.

mod arena;
mod backend;
mod element_type;
mod error;
mod external;
mod ffi;
mod guard;
mod instance;
mod messages;
mod model;
mod model_file;
mod operator_libraries;
mod options;
mod pools;
mod providers;
mod runtime;
mod session;
mod sessions;
mod settings;
mod signature;
mod versions;

pub use backend::OnnxRuntimeBackend;
pub use settings::Settings;

/// The lowest minor version of ONNX Runtime 1 that will do.
pub const OLDEST_MINOR_VERSION: u32 = ort::sys::ORT_API_VERSION;

/// What the fuzz targets call.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    /// The names of files that a model file refers to, without a look at whether they can be beside it.
    pub fn external_names(model: &[u8]) -> std::collections::BTreeSet<String> {
        crate::external::names_in(std::io::Cursor::new(model), model.len() as u64)
    }
}
