//! KServe v2 over gRPC: decodes a message, calls the server, encodes the answer. No rule of serving lives here.
//!
//! The path of a unary request: `model_infer` reads the call as its frames and leaves the tensors in them (`service` reads it if it is compressed),
//! `infer` makes the one call of `core`, which has `decode` turn the message into a request, and
//! `encode` makes the reply. `stream` does the same for each message of a stream.

mod compression;
mod contents;
mod decode;
mod delays;
mod encode;
mod front;
mod guard;
mod health;
mod infer;
mod metadata;
mod metadata_limit;
mod model_infer;
mod parameters;
mod reflection;
mod repository;
mod serve;
mod service;
mod settings;
mod shared_memory;
mod statistics;
mod status;
mod stream;

pub use compression::CompressionLevel;
pub use delays::TestDelays;
pub use front::GrpcFront;
pub use serve::{GrpcSettings, serve};

/// What the fuzz targets call.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use hippocamp_proto::inference::ModelInferRequest;

    /// The message behind the header that the frames begin with, with its tensors in it; `None` where it is left to tonic.
    pub fn decode(frames: &[bytes::Bytes]) -> Option<ModelInferRequest> {
        let (mut request, raw) =
            hippocamp_grpc_content::decode::<crate::model_infer::ModelInferTensors>(frames)?;
        request.raw_input_contents =
            raw.iter().map(hippocamp_tensor::TensorData::to_host).collect::<Result<_, _>>().ok()?;
        Some(request)
    }
}
