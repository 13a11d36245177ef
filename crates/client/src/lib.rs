//! `hippocamp infer`: a client for the command line.
//!
//! Reads the model's metadata, converts the command line's values to tensors, sends one request over HTTP or gRPC, and
//! prints the outputs as a table or JSON; it can draw detections on the image. Works with every server that speaks
//! KServe v2. Every failure says what to do about it.

mod answer;
mod args;
mod elements;
mod failure;
mod found;
mod grpc;
mod http;
mod infer;
mod input;
mod json;
mod picture;
mod server;
mod table;

pub use args::InferArgs;
pub use failure::Failure;
pub use infer::infer;
