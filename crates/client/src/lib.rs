//! `hippocamp infer`: asks a running server, and shows what it answers.
//!
//! Reads the model's metadata, makes tensors of what the command line gives, sends one request over HTTP or gRPC, and
//! writes the outputs as a table or JSON, and detections onto the picture. Works with any server that speaks KServe v2.
//! Every failure says what to do about it.

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
