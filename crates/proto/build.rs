//! Generates Rust messages from the workspace's `.proto` files, without `protoc`.
//!
//! `protobuf-parse` parses the text, prost generates the code. The descriptors are kept, too: `model-config` reads
//! config.pbtxt by them, and `services` generates services from them.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message;
use protobuf::Message as _;

/// Paths relative to the folder `proto/`, because the files import each other by them.
const FILES: [&str; 11] = [
    "v2/model_config.proto",
    "v2/grpc_service.proto",
    "v1/api.proto",
    "v1/request_status.proto",
    "v1/model_config.proto",
    "v1/server_status.proto",
    "v1/grpc_service.proto",
    "health/v1/health.proto",
    "torchserve/status.proto",
    "torchserve/inference.proto",
    "torchserve/management.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin");
    let files: Vec<PathBuf> = FILES.iter().map(|file| root.join(file)).collect();
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    let parsed = protobuf_parse::Parser::new().pure().include(&root).inputs(&files).file_descriptor_set()?;
    let bytes = parsed.write_to_bytes()?;
    std::fs::write(&out, &bytes)?;
    // Dependent crates read it as DEP_HIPPOCAMP_PROTO_DESCRIPTORS in their build scripts.
    println!("cargo::metadata=descriptors={}", out.display());

    let descriptors = prost_types::FileDescriptorSet::decode(bytes.as_slice())?;
    // `Bytes` fields are slices of the received message. Maps are mostly empty, for which a BTreeMap does not allocate,
    // and it has a stable order.
    prost_build::Config::new().bytes(["."]).btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}
