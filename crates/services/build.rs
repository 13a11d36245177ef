//! Generates service traits and clients from the descriptors that the build of `proto` writes.

use std::error::Error;

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    // Cargo builds `proto` first and passes on the path where it wrote the descriptors.
    let path = std::env::var("DEP_HIPPOCAMP_PROTO_DESCRIPTORS")?;
    println!("cargo::rerun-if-changed={path}");
    let descriptors = prost_types::FileDescriptorSet::decode(std::fs::read(path)?.as_slice())?;
    tonic_prost_build::configure()
        .build_server(true)
        .build_client(true)
        .codec_path("crate::MessageCodec")
        .extern_path(".inference", "::hippocamp_proto::inference")
        .extern_path(".nvidia.inferenceserver", "::hippocamp_proto::v1")
        .extern_path(".grpc.health.v1", "::hippocamp_proto::health")
        .extern_path(".org.pytorch.serve.grpc.inference", "::hippocamp_proto::torchserve::inference")
        .extern_path(".org.pytorch.serve.grpc.management", "::hippocamp_proto::torchserve::management")
        .extern_path(".google.rpc", "::hippocamp_proto::torchserve::google::rpc")
        .emit_rerun_if_changed(false)
        .compile_fds_with_config(descriptors, prost_build::Config::new())?;
    Ok(())
}
