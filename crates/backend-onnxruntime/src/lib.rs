//! Executes ONNX models by ONNX Runtime.
//!
//! The shared library is opened when the first model is loaded; this crate is built without it. The instances of a
//! model share one session if possible; otherwise each has its own. Inputs are passed to the engine without a copy, and
//! large outputs are returned without a copy.
//!
//! All unsafe code is in `ffi`. ONNX Runtime's telemetry is disabled at the start of every program with this crate, by
//! an environment variable (`ffi/telemetry.rs`); nothing else here uses the environment. Faults of the engine or of a
//! model file never end the process: they become errors of the model.

mod arena;
mod backend;
mod cuda_libraries;
mod dynamic_quantization;
mod element_type;
mod elf;
mod error;
mod external;
mod ffi;
mod gpu;
mod guard;
mod instance;
mod messages;
mod model;
mod model_file;
mod operator_libraries;
mod options;
mod pools;
mod ports;
mod providers;
mod runtime;
mod session;
mod sessions;
mod settings;
mod signature;
mod small_model;
mod undivided;
mod versions;

pub use backend::OnnxRuntimeBackend;
pub use gpu::write_metrics;
pub use settings::Settings;

/// The oldest minor version of ONNX Runtime 1 that is supported.
pub const OLDEST_MINOR_VERSION: u32 = ort::sys::ORT_API_VERSION;

/// Entry points of the fuzz targets.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    /// The names of files that a model file refers to, without checking whether they can be beside it.
    pub fn external_names(model: &[u8]) -> std::collections::BTreeSet<String> {
        crate::external::names_in(std::io::Cursor::new(model), model.len() as u64)
    }
}
