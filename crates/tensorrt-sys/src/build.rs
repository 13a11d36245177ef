//! Making plans: needs a library with a builder, and the one that reads ONNX.

mod builder;
mod calibrator;
mod config;
mod network;
mod parser;
mod profile;
mod progress;

pub use builder::{Builder, HostMemory};
pub use calibrator::Batches;
pub use config::Config;
pub use network::{Network, NetworkTensor};
pub use parser::ParserLibrary;
pub use profile::Profile;
pub use progress::Progress;
