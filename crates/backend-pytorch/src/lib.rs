//! Executes TorchScript models by PyTorch's C++ library, on the CPU.
//!
//! The library is opened when the first model is loaded, with a small one of this project beside it that gives it a C
//! interface (the folder `shim`, built by `scripts/torch-shim`). This crate is built without both. The instances of a model
//! share its weights, unless the model keeps something from one run to the next. Inputs are passed to the library without a copy
//! where it only reads them, and large outputs are returned without one.
//!
//! All unsafe code is in `ffi`. Faults of a model or of its inputs become errors of the model or of the request.

mod arguments;
mod backend;
mod element_type;
mod error;
mod ffi;
mod instance;
mod model;
mod model_file;
mod modules;
mod naming;
mod options;
mod results;
mod runtime;
mod settings;
mod values;

pub use backend::PyTorchBackend;
pub use settings::Settings;
