//! Generates the messages from `proto/otlp`, without `protoc`, as the build of `proto` does.

use std::error::Error;
use std::path::Path;

use prost::Message;
use protobuf::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let file = root.join("otlp/trace.proto");
    println!("cargo::rerun-if-changed={}", file.display());
    println!("cargo::rerun-if-changed=build.rs");
    let parsed = protobuf_parse::Parser::new().pure().include(&root).input(&file).file_descriptor_set()?;
    let descriptors = prost_types::FileDescriptorSet::decode(parsed.write_to_bytes()?.as_slice())?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
