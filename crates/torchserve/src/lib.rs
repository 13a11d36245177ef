//! TorchServe's API over the server's one call: what its encodings over HTTP and gRPC share.
//!
//! A request of TorchServe has contents by names and no tensors; `inputs` makes the tensors of a model of them, and `outputs`
//! makes contents of the model's outputs. `management` registers archives and sets their numbers of instances, which is what
//! workers are here. Errors are [`Failure`]s with TorchServe's statuses, types and texts. No rule of serving lives here.

#![warn(missing_docs)]

mod config;
mod config_keys;
mod config_models;
mod counters;
mod describe;
mod failure;
mod inputs;
mod json_tensor;
mod kserve;
mod management;
mod metrics;
mod outputs;
mod predict;
mod properties;
mod resolve;
mod state;
mod tokens;
mod turns;

pub use config::{LoadModels, TorchServeConfig};
pub use config_models::ConfiguredModel;
pub use failure::Failure;
pub use inputs::{Content, ContentKind};
pub use management::{RegisterRequest, Registered, Scale};
pub use predict::{Predicted, Prediction, PredictionStream};
pub use state::{MAX_DOWNLOAD, TorchServe, TorchServeSettings};
pub use tokens::{TokenKind, Tokens};
