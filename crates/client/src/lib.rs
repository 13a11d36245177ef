//! `hippocamp infer`: a client for the command line.
//!
//! Reads the model's metadata, converts the command line's values to tensors, sends one request over HTTP or gRPC, and
//! prints the outputs as a table or JSON; it can draw detections on the image. Works with every server that speaks
//! KServe v2. Every failure says what to do about it.

mod access;
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
mod plain_json;
mod server;
mod table;
mod typed_contents;

pub use access::{Access, Headers};
pub use answer::{Answer, Metadata, Parameter, Request, Tensor, TensorInfo, describe, dims};
pub use args::{InferArgs, Protocol};
pub use failure::{Failure, Result};
pub use grpc::message as grpc_message;
pub use http::{HEADER_LENGTH, header as http_header, path as http_path, plain as http_plain};
pub use infer::{check_outputs, draw, infer};
pub use input::undeclared::completed;
pub use input::{Inputs, given_inputs, given_shapes, parameter};
pub use plain_json::data as plain_data;
pub use server::{Server, Target, place, unreachable};
