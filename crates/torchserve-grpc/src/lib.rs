//! TorchServe's API over gRPC: `InferenceAPIsService` and `ManagementAPIsService`, each on a port of its own or both on one.

mod front;
mod inference;
mod management;
mod status;

pub use front::{Services, TorchServeGrpcFront};
