//! KServe v2 over gRPC: decodes a message, calls the server, encodes the answer. No rule of serving lives here.
//!
//! A request's path: `model_infer` takes the call as its frames (or [`service`](self), what is compressed), `infer` finds the model, `decode` turns the message into a request
//! without copying a tensor, the model answers, `encode` makes the reply.

mod contents;
mod deadline;
mod decode;
mod encode;
mod fields;
mod health;
mod infer;
mod metadata;
mod model_infer;
mod parameters;
mod repository;
mod serve;
mod service;
mod shared_memory;
mod statistics;
mod status;
mod stream;
mod whole_messages;

pub use serve::{GrpcSettings, serve};
