//! KServe v2 over gRPC: decodes a message, calls the server, encodes the answer. No rule of serving lives here.
//!
//! A request's path: `model_infer` takes the call as its frames (or [`service`](self), what is compressed), `infer` finds the model, `decode` turns the message into a request
//! without copying a tensor, the model answers, `encode` makes the reply.

mod contents;
mod decode;
mod delays;
mod encode;
mod frame_decode;
mod front;
mod health;
mod infer;
mod metadata;
mod model_infer;
mod parameters;
mod repository;
mod room;
mod serve;
mod service;
mod shared_memory;
mod statistics;
mod status;
mod stream;

pub use delays::TestDelays;
pub use serve::{GrpcSettings, serve};

/// What the fuzz targets call.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use hippocamp_proto::inference::ModelInferRequest;

    /// The message behind the header that the frames begin with, with its tensors in it; `None` where it is left to tonic.
    pub fn decode(frames: &[bytes::Bytes]) -> Option<ModelInferRequest> {
        let (mut request, raw) = crate::frame_decode::decode(frames)?;
        request.raw_input_contents =
            raw.iter().map(hippocamp_tensor::TensorData::to_host).collect::<Result<_, _>>().ok()?;
        Some(request)
    }
}
