//! What a line says.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A request of a client with what became of it. What is not known, or does not apply, is left out of the line.
#[derive(Clone, Debug)]
pub struct Line {
    /// When the head of the request was read.
    pub time: SystemTime,
    /// The address of the client.
    pub client: Arc<str>,
    /// The version of HTTP, such as `HTTP/1.1`.
    pub protocol: &'static str,
    /// The method of HTTP.
    pub method: Box<str>,
    /// The path, without its query, which may hold what is nobody's business.
    pub path: Arc<str>,
    /// The status of HTTP; 499 if the client was gone before there was one.
    pub status: u16,
    /// The status of gRPC.
    pub grpc_status: Option<i32>,
    /// From the head of the request to the end of the response.
    pub duration: Duration,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body that were handed to the connection.
    pub response_bytes: u64,
    /// The name of the model.
    pub model: Option<Arc<str>>,
    /// The version that served, once the request was accepted.
    pub version: Option<u64>,
    /// The client's own id of the request; may be empty.
    pub request_id: Arc<str>,
    /// How long the phases at the model took, if it was executed.
    pub phases: Option<Phases>,
    /// Whether the response cache answered.
    pub cached: bool,
    /// The error of the model, cut to a bounded length.
    pub error: Option<Box<str>>,
    /// The id of the trace: the server's own, or that of the client's `traceparent`.
    pub trace_id: Option<[u8; 16]>,
}

/// The phases of an execution, as in Triton's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases {
    /// Waiting for an instance.
    pub queue: Duration,
    /// Assembling the inputs.
    pub compute_input: Duration,
    /// Running the model.
    pub compute_infer: Duration,
    /// Splitting the outputs.
    pub compute_output: Duration,
}
