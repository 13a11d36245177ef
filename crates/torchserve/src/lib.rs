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

/// For tests/fuzz.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use hippocamp_tensor::{DataType, Shape};

    use crate::json_tensor;

    /// Reads JSON as an input of that type and shape: the shape and the number of bytes that it has. `None` if it is none.
    pub fn input(text: &[u8], data_type: DataType, dims: &[i64], batched: bool) -> Option<(Shape, usize)> {
        let value = serde_json::from_slice(text).ok()?;
        let spec = json_tensor::spec(data_type, dims);
        let rows =
            json_tensor::of_rows("m", std::slice::from_ref(&spec), batched, std::slice::from_ref(&value));
        drop(rows);
        let (input, _) = json_tensor::of_value("m", &spec, batched, &value).ok()?;
        Some((input.shape, input.data.len()))
    }
}
