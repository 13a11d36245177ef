//! `hippocamp plan`: builds a TensorRT plan from an ONNX model, where a library with a builder is installed.
//!
//! TensorRT 10 chooses the types of layers by itself, as far as it is allowed to; TensorRT 11 and TensorRT for RTX take them from the
//! model. So `--fp16` and `--int8` are of version 10, and the messages of the others say how a model gets these types.

mod args;
mod batches;
mod build;
mod libraries;
mod pictures;
mod profiles;
mod progress;
mod shapes;

pub use args::PlanArgs;
pub use build::{Built, build_plan};
pub use shapes::ShapeRange;
