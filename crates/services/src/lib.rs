//! The service traits and clients of the served protocols, generated from the descriptors of [`hippocamp_proto`].
//!
//! The messages are those of `hippocamp_proto`; this crate has the tonic services and clients that exchange them, and
//! their codec. It has no other logic.

mod codec;

pub use codec::{MessageCodec, MessageDecoder};

/// KServe v2 with Triton's extensions (package `inference`).
// Generated: neither names nor shapes of its items are ours to change.
#[allow(clippy::all, clippy::pedantic, missing_debug_implementations, unreachable_pub)]
pub mod inference {
    tonic::include_proto!("inference");
}

/// V1, the protocol of TensorRT Inference Server (package `nvidia.inferenceserver`).
// Generated: neither names nor shapes of its items are ours to change.
#[allow(clippy::all, clippy::pedantic, missing_debug_implementations, unreachable_pub)]
pub mod v1 {
    tonic::include_proto!("nvidia.inferenceserver");
}

/// The health check of gRPC (package `grpc.health.v1`).
// Generated: neither names nor shapes of its items are ours to change.
#[allow(clippy::all, clippy::pedantic, missing_debug_implementations, unreachable_pub)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// TorchServe's API of inference (package `org.pytorch.serve.grpc.inference`).
// Generated: neither names nor shapes of its items are ours to change.
#[allow(clippy::all, clippy::pedantic, missing_debug_implementations, unreachable_pub)]
pub mod torchserve_inference {
    tonic::include_proto!("org.pytorch.serve.grpc.inference");
}

/// TorchServe's API of management (package `org.pytorch.serve.grpc.management`).
// Generated: neither names nor shapes of its items are ours to change.
#[allow(clippy::all, clippy::pedantic, missing_debug_implementations, unreachable_pub)]
pub mod torchserve_management {
    tonic::include_proto!("org.pytorch.serve.grpc.management");
}
