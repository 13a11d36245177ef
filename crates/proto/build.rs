//! Turns the workspace's `.proto` files into messages, in pure Rust.
//!
//! There is no `protoc` on the way: `protobuf-parse` reads the text, prost makes the code. The descriptors are kept too:
//! config.pbtxt is read by them, and `services` makes services of them.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message;
use protobuf::Message as _;

/// Relative to the folder `proto/`, as the files import each other.
const FILES: [&str; 3] = ["v2/model_config.proto", "v2/grpc_service.proto", "health/v1/health.proto"];

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
    // Crates that depend on this one find it as DEP_HIPPOCAMP_PROTO_DESCRIPTORS when they are built.
    println!("cargo::metadata=descriptors={}", out.display());

    let descriptors = prost_types::FileDescriptorSet::decode(bytes.as_slice())?;
    // Tensor data stays a slice of the received message; maps are mostly empty, where a BTreeMap costs
    // nothing, and are answered in a stable order.
    prost_build::Config::new().bytes(["."]).btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}
