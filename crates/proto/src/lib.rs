//! The messages of the served protocols, generated from `proto/` at build time.
//!
//! Every `bytes` field is a [`bytes::Bytes`], so that decoding does not copy tensor data. Maps are `BTreeMap`s: empty
//! ones do not allocate, and the order in responses is stable. There is no logic here.

/// Protocol buffer descriptors of everything in this crate, an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// KServe v2 with Triton's extensions, and the model configuration (package `inference`).
// Generated: neither names nor shapes of its items are ours to change.
#[allow(clippy::all, clippy::pedantic, missing_debug_implementations, unreachable_pub)]
pub mod inference {
    include!(concat!(env!("OUT_DIR"), "/inference.rs"));
}

/// V1, the protocol of TensorRT Inference Server 19.12 to 20.03 (package `nvidia.inferenceserver`).
// Generated: neither names nor shapes of its items are ours to change.
#[allow(clippy::all, clippy::pedantic, missing_debug_implementations, unreachable_pub)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/nvidia.inferenceserver.rs"));
}

/// The health check of gRPC (package `grpc.health.v1`).
// Generated: neither names nor shapes of its items are ours to change.
#[allow(clippy::all, clippy::pedantic, missing_debug_implementations, unreachable_pub)]
pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}

/// TorchServe's APIs (packages `org.pytorch.serve.grpc.inference` and `.management`). The generated code refers to other
/// packages by paths, so that the modules are nested as these are.
pub mod torchserve {
    /// `org.pytorch.serve.grpc`.
    pub use self::org::pytorch::serve::grpc::{inference, management};

    // Generated: neither names nor shapes of its items are ours to change.
    #[allow(clippy::all, clippy::pedantic, missing_debug_implementations, unreachable_pub)]
    mod org {
        pub mod pytorch {
            pub mod serve {
                pub mod grpc {
                    pub mod inference {
                        include!(concat!(env!("OUT_DIR"), "/org.pytorch.serve.grpc.inference.rs"));
                    }
                    pub mod management {
                        include!(concat!(env!("OUT_DIR"), "/org.pytorch.serve.grpc.management.rs"));
                    }
                }
            }
        }
    }

    /// How a request on a stream ended (package `google.rpc`).
    #[allow(clippy::all, clippy::pedantic, missing_debug_implementations, unreachable_pub)]
    pub mod google {
        /// `google.rpc`.
        pub mod rpc {
            include!(concat!(env!("OUT_DIR"), "/google.rpc.rs"));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;

    use crate::inference::ModelInferRequest;

    /// Decoding from `Bytes` must slice, not copy: the tensor lies inside the received buffer.
    #[test]
    fn raw_tensors_are_slices_of_the_message() {
        let request = ModelInferRequest {
            model_name: "simple".into(),
            raw_input_contents: vec![Bytes::from(vec![7_u8; 4096])],
            ..Default::default()
        };
        let message = Bytes::from(request.encode_to_vec());
        let decoded = ModelInferRequest::decode(message.clone()).unwrap();
        let tensor: &Bytes = &decoded.raw_input_contents[0];
        assert_eq!(tensor, &request.raw_input_contents[0]);
        assert!(message.as_ptr_range().contains(&tensor.as_ptr()));
    }
}
