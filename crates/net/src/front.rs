//! The trait that a protocol over HTTP implements.

use std::fmt;

use bytes::Bytes;
use hyper::body::Body;
use hyper::{Request, Response};

use crate::body::RequestBody;

/// A protocol over HTTP, which responds to the requests of all its connections.
pub trait Front: Send + Sync + 'static {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Responds to one request. Dropping the future cancels the request.
    fn respond(&self, request: Request<RequestBody>) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The response to a request that is refused. `None` for requests that are always answered: health and metrics.
    fn refuse(&self, request: &Request<RequestBody>, why: Refusal) -> Option<Response<Self::Body>>;
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This many connections are open, which is the limit.
    Connections(usize),
    /// The process may open no more files.
    Files,
    /// The server is stopping.
    Stopping,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Connections(count) => {
                write!(f, "the server has {count} connections, the most that --max-connections allows; try again later")
            }
            Refusal::Files => f.write_str(
                "the server has as many files and connections open as its limit of open files allows; try again later",
            ),
            Refusal::Stopping => {
                f.write_str("Server is stopping, and has stopped accepting new requests")
            }
        }
    }
}
