//! Counts what a warm server allocates for a large tensor on each way in and out: no block of the tensor's size where
//! zero copies are promised.

#![allow(clippy::unwrap_used, reason = "tests")]

mod allocator;
mod grpc;
mod http;
mod in_process;
mod shared_memory;

use hippocamp_testing::{Repository, TestServer, identity_config};

/// The size of the tensor in bytes.
const SIZE: usize = 4_915_200;

/// Frames and pieces of a body may be as large as this, whatever the tensor's size.
const PIECE: usize = 2 << 20;

/// An ensemble of two identity models, one after the other.
const ENSEMBLE: &str = r#"
    platform: "ensemble"
    input { name: "INPUT0" data_type: TYPE_FP32 dims: -1 }
    output { name: "OUTPUT0" data_type: TYPE_FP32 dims: -1 }
    ensemble_scheduling {
      step { model_name: "m" model_version: -1
             input_map { key: "INPUT0" value: "INPUT0" } output_map { key: "OUTPUT0" value: "between" } }
      step { model_name: "m" model_version: -1
             input_map { key: "INPUT0" value: "between" } output_map { key: "OUTPUT0" value: "OUTPUT0" } }
    }"#;

/// Serves the identity model `m`, and the ensemble `e` around it.
async fn server() -> TestServer {
    let repository = Repository::default().with("m", &identity_config(0, "")).with("e", ENSEMBLE);
    let (server, faults) =
        TestServer::start_with(repository, |settings| settings.allow_client_shm = true).await;
    assert_eq!(faults, [""; 0]);
    server
}

/// Content in which no two neighbouring pages are equal.
fn content() -> Vec<u8> {
    (0..SIZE).map(|i| (i ^ (i >> 12)) as u8).collect()
}
