//! V1, the protocol of TensorRT Inference Server 19.12 to 20.03, over gRPC: `nvidia.inferenceserver.GRPCService`.
//!
//! Every call ends with the gRPC status OK. What went wrong is in the `request_status` of its reply, as the clients expect: one
//! that streams never comes back from a stream that ends with an error. `front` takes `Infer` apart without a copy of its
//! tensors, `service` answers the other calls, and the work is done by `hippocamp-v1`.

mod front;
mod infer;
mod service;
mod shared_memory;
mod stream;

pub use front::V1GrpcFront;

/// What the fuzz targets call.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    use hippocamp_proto::v1::InferRequest;
    use hippocamp_tensor::TensorData;

    /// The message behind the header that the frames begin with, with its tensors in it; `None` where it is left to tonic.
    pub fn decode(frames: &[bytes::Bytes]) -> Option<InferRequest> {
        let (mut request, raw) = hippocamp_grpc_content::decode::<crate::infer::InferTensors>(frames)?;
        request.raw_input = raw.iter().map(TensorData::to_host).collect::<Result<_, _>>().ok()?;
        Some(request)
    }
}
